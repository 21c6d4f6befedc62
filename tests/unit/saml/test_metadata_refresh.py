"""Metadata that is fetched: what is taken, what leaves the last good copy, who is told, who fetches."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from realm import saml_forge as forge
from realm.metadata_server import MetadataServer
from realm.saml_forge import ACCOUNT, PROVIDER

from broker.app import Prepared, build_services, prepare
from broker.cli import main
from broker.configure import apply_configuration, check_configuration
from broker.errors import ConfigurationError
from broker.metadata_refresher import refresh_due
from broker.saml.metadata_refresh import due_providers, refresh
from broker.saml.service import live_provider, service_provider
from broker.saml_providers import make_saml_record
from broker.services import Services
from broker.settings import load_settings
from broker.store.engine import Database
from broker.store.identity_providers import (
    ProviderRecord,
    Registration,
    delete_provider,
    insert_provider,
    set_provider_settings,
)
from broker.store.saml_metadata_checks import list_checks
from broker.store.schema import migrate
from providers.errors import ProviderError
from providers.saml.response import parse_saml_response

MASTER = b"m" * 32
NOW = forge.NOW


@pytest.fixture
def published() -> Iterator[MetadataServer]:
    made = MetadataServer(forge.metadata())
    yield made
    made.close()


def write(directory: Path, provider: str = "", more: str = "") -> None:
    directory.chmod(0o700)
    entry = f'[[identity_provider]]\nkind = "saml"\nname = "realm"\n{provider}' if provider else ""
    (directory / "accredit.toml").write_text(
        f'[fetch]\nallow_http_loopback = true\ntimeout_seconds = 1\n{more}[[account]]\nid = "{ACCOUNT}"\n{entry}'
    )
    key = directory / "master.key"
    key.touch(mode=0o600)
    key.write_text(base64.b64encode(MASTER).decode())


@pytest.fixture
def services(tmp_path: Path, published: MetadataServer) -> Iterator[Services]:
    """With a provider that an administrator registered, whose metadata is published."""
    write(tmp_path)
    settings = load_settings(tmp_path, {})
    database = Database("sqlite:///accredit.db", tmp_path)
    migrate(database)
    apply_configuration(database, check_configuration(settings, MASTER, {}), MASTER)
    database.close()
    made = build_services(Prepared(settings, MASTER))
    given = {"audiences": [forge.AUDIENCE], "acs_urls": [forge.ACS], "metadata_url": published.url}
    record = make_saml_record(ACCOUNT, "realm", forge.metadata(), NOW, given)
    with made.database.change() as connection:
        insert_provider(connection, Registration(record, {}, False, 0))
    yield made
    close(made)


def close(services: Services) -> None:
    services.usage.close()
    services.audit.close()
    services.database.close()


def record_of(services: Services) -> ProviderRecord:
    found = services.catalog.provider(PROVIDER)
    assert found is not None
    return found


def look(services: Services, now: datetime = NOW, **more: Any) -> Any:
    return refresh(services.database, services.settings, record_of(services), now, **more)


def events(services: Services, name: str) -> list[dict[str, Any]]:
    with services.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT record FROM audit_events ORDER BY sequence")
        found = [json.loads(row[0]) for row in rows]
    return [event for event in found if event["eventName"] == name]


def accepted(services: Services, key: str) -> bool:
    """Whether a response counts that is signed with this key."""
    response = parse_saml_response(forge.pack(forge.signed(signer=forge.Signer(key=key))))
    try:
        services.providers.get(record_of(services)).authenticate(response, now=NOW)
    except ProviderError:
        return False
    return True


# --- what is taken ----------------------------------------------------------------------------------------------------


def test_keys_roll_over(services: Services, published: MetadataServer) -> None:
    """Both count while both are published; the old one is refused as soon as it is not."""
    assert look(services).lines == ()
    published.text = forge.metadata("idp", "new")
    assert [line[:13] for line in look(services).lines] == ["+ certificate"]
    assert (accepted(services, "idp"), accepted(services, "new")) == (True, True)
    published.text = forge.metadata("new")
    assert [line[:13] for line in look(services).lines] == ["- certificate"]
    assert (accepted(services, "idp"), accepted(services, "new")) == (False, True)


def test_a_change_is_recorded(services: Services, published: MetadataServer) -> None:
    published.text = forge.metadata("idp", "new").replace("https://idp.example/sso", "https://idp.example/login")
    done = look(services)
    (event,) = events(services, "RefreshSAMLMetadata")
    assert event["responseElements"]["changes"] == list(done.lines)
    assert event["requestParameters"] == {"sAMLProviderArn": PROVIDER, "metadataURL": published.url}
    assert event["recipientAccountId"] == ACCOUNT
    assert "- single sign-on at https://idp.example/sso by HTTP-Redirect" in done.lines
    assert "+ single sign-on at https://idp.example/login by HTTP-Redirect" in done.lines
    look(services)
    assert len(events(services, "RefreshSAMLMetadata")) == 1


def test_what_changes_nothing_is_kept_without_an_event(services: Services, published: MetadataServer) -> None:
    """As providers sign their metadata anew each time."""
    published.text = forge.metadata() + "\n"
    revision = services.database.revision()
    look(services)
    assert record_of(services).settings["metadata"] == published.text
    assert services.database.revision() > revision
    assert events(services, "RefreshSAMLMetadata") == []


def test_a_dry_run(services: Services, published: MetadataServer) -> None:
    published.text = forge.metadata("new")
    assert len(look(services, dry_run=True).lines) == 2
    assert (accepted(services, "idp"), events(services, "RefreshSAMLMetadata")) == (True, [])
    with services.database.read() as connection:
        assert list_checks(connection) == {}


# --- what is not ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "status", "problem"),
    [
        (forge.metadata(entity_id="https://other.example"), 200, "of another entity, https://other.example"),
        (forge.metadata(valid_until="2020-01-01T00:00:00Z"), 200, "was valid until 2020-01-01"),
        (forge.metadata(use=' use="encryption"'), 200, "no certificate for signing"),
        (forge.metadata("weak"), 200, "neither RSA of 2,048 bits"),
        ("<!DOCTYPE x [<!ENTITY y 'z'>]>" + forge.metadata(), 200, "document type"),
        ("<html>Sign in</html>", 200, "no EntityDescriptor"),
        ("", 200, "cannot be used"),
        ("\udcff\udcfe", 200, "not UTF-8"),
        ("x" * 10_000_001, 200, "larger than 10000000 bytes"),
        (forge.metadata("new"), 404, "answered 404"),
        (forge.metadata("new"), 302, "answered 302"),
        (forge.metadata("new"), 500, "answered 500"),
    ],
)
def test_the_last_good_copy_stays(
    services: Services, published: MetadataServer, text: str, status: int, problem: str
) -> None:
    published.text, published.status, published.location = text, status, "http://127.0.0.1:1/"
    done = look(services)
    assert problem in done.problem
    assert (accepted(services, "idp"), accepted(services, "new")) == (True, False)
    assert record_of(services).settings["metadata"] == forge.metadata()
    look(services)
    (event,) = events(services, "RefreshSAMLMetadata")  # of a problem that goes on, once
    assert (event["errorCode"], problem in event["additionalEventData"]["reason"]) == ("MetadataNotUsable", True)


def test_a_provider_that_is_down(services: Services) -> None:
    down = MetadataServer(forge.metadata("new"))
    down.close()
    record = record_of(services)
    with services.database.change() as connection:
        set_provider_settings(connection, replace(record, settings={**record.settings, "metadata_url": down.url}))
    assert "ConnectionRefused" in look(services).problem
    assert accepted(services, "idp")


def test_a_problem_passes(services: Services, published: MetadataServer) -> None:
    published.text, published.status = forge.metadata("idp", "new"), 503
    assert look(services).problem
    published.status = 200
    assert look(services).problem == ""
    assert accepted(services, "new")


def test_nothing_is_fetched_from_inside(services: Services, tmp_path: Path) -> None:
    """The address is an administrator's of one account: it must not reach what the broker can reach."""
    strict = replace_fetch(services)
    for url in ("http://127.0.0.1:1/x", "https://127.0.0.1:1/x", "https://169.254.169.254/latest", "https://[::1]/x"):
        record = record_of(services)
        record = replace(record, settings={**record.settings, "metadata_url": url})
        assert "no address that may be reached" in refresh(services.database, strict, record, NOW, dry_run=True).problem


def replace_fetch(services: Services) -> Any:
    import msgspec

    fetch = msgspec.structs.replace(services.settings.fetch, allow_http_loopback=False)
    return msgspec.structs.replace(services.settings, fetch=fetch)


def test_a_provider_that_goes_meanwhile(services: Services, published: MetadataServer) -> None:
    published.text, record = forge.metadata("new"), record_of(services)
    with services.database.change() as connection:
        delete_provider(connection, PROVIDER)
    refresh(services.database, services.settings, record, NOW)
    assert events(services, "RefreshSAMLMetadata") == []
    assert services.catalog.provider(PROVIDER) is None


# --- what ends soon ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("days", "warned"), [(31, False), (30, True), (7, True), (1, True), (-1, True)])
def test_a_certificate_ends(services: Services, days: float, warned: bool) -> None:
    end = forge.certificate("idp").not_valid_after_utc
    done = look(services, end - timedelta(days=days))
    assert bool(done.warnings) is warned
    assert len(events(services, "WarnOfSAMLExpiry")) == warned


def test_each_threshold_is_warned_of_once(services: Services) -> None:
    end = forge.certificate("idp").not_valid_after_utc
    for days in (31, 29, 20, 8, 6.9, 3, 1, 0.5, 0, -3):
        look(services, end - timedelta(days=days))
    reasons = [event["additionalEventData"]["reason"] for event in events(services, "WarnOfSAMLExpiry")]
    assert [reason.rpartition(", in ")[2] for reason in reasons[:3]] == [f"{n} days or less" for n in (30, 7, 1)]
    assert (len(reasons), "ended at 2040-01-01" in reasons[3]) == (4, True)


def test_the_end_of_a_document_matters_if_no_other_comes(services: Services, published: MetadataServer) -> None:
    published.text = forge.metadata(valid_until=forge.instant(86_400 * 3))
    assert look(services).warnings == ()
    published.status = 500
    (warning,) = look(services).warnings
    assert "the metadata document ends at" in warning


# --- when, and who ----------------------------------------------------------------------------------------------------


def test_what_is_due(services: Services, published: MetadataServer) -> None:
    def due(minutes: float) -> bool:
        return bool(due_providers(services.database, services.settings, NOW + timedelta(minutes=minutes)))

    assert due(0)
    look(services)
    assert (due(59), due(60)) == (False, True)
    published.status = 500
    look(services)
    assert (due(4), due(5)) == (False, True)


def test_one_of_all_fetches(services: Services, published: MetadataServer) -> None:
    """Workers that find it due at the same time: one looks, the others find nothing left to do."""
    other = build_services(Prepared(services.settings, MASTER))
    done: list[int] = []
    start = threading.Barrier(4)

    def work(number: int) -> None:
        start.wait()
        done.append(refresh_due((services, other)[number % 2], f"worker {number}", datetime.now(UTC)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    close(other)
    assert sorted(done) == [0, 0, 0, 1]
    assert published.fetches == 1


# --- the configuration file -------------------------------------------------------------------------------------------


@contextmanager
def prepared(directory: Path) -> Iterator[Services]:
    made = build_services(prepare(directory))
    try:
        yield made
    finally:
        close(made)


def test_a_provider_by_its_url_alone(tmp_path: Path, published: MetadataServer) -> None:
    write(tmp_path, f'metadata_url = "{published.url}"\n')
    with prepared(tmp_path) as services:
        assert record_of(services).issuer == forge.ENTITY_ID
    published.status = 500
    with prepared(tmp_path) as services:  # a start depends on the provider only the first time
        assert record_of(services).settings["metadata"] == forge.metadata()


def test_what_was_fetched_outlives_a_start(tmp_path: Path, published: MetadataServer) -> None:
    (tmp_path / "idp.xml").write_text(forge.metadata())
    write(tmp_path, f'metadata_url = "{published.url}"\nmetadata_file = "idp.xml"\n')
    published.text = forge.metadata("new")
    with prepared(tmp_path) as services:
        assert record_of(services).settings["metadata"] == forge.metadata()
        look(services, datetime.now(UTC))
    with prepared(tmp_path) as services:
        assert record_of(services).settings["metadata"] == forge.metadata("new")
    write(tmp_path, 'metadata_file = "idp.xml"\n')
    with prepared(tmp_path) as services:
        assert record_of(services).settings["metadata"] == forge.metadata()


def test_our_key_outlives_a_start(tmp_path: Path) -> None:
    (tmp_path / "idp.xml").write_text(forge.metadata())
    write(tmp_path, 'metadata_file = "idp.xml"\n')
    with prepared(tmp_path) as services:
        certificate = service_provider(services, record_of(services), NOW).certificate
        assert live_provider(services, record_of(services))
    with prepared(tmp_path) as services:
        assert service_provider(services, record_of(services), NOW).certificate == certificate


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("", "give metadata_file or metadata_url"),
        ('metadata_url = "http://idp.example/x"\n', "must begin with https://"),
        ('metadata_url = "https://127.0.0.1:1/x"\n', "no address that may be reached"),
        ('metadata_url = "ftp://idp.example/x"\n', "must begin with https://"),
        ('metadata_url = "https://idp.example/\u00e9"\n', "must begin with https://"),
        ('metadata_url = "https://idp.example/"\nmetadata_ca_file = "accredit.toml"\n', "accredit.toml"),
    ],
)
def test_entries_that_are_refused(tmp_path: Path, entry: str, message: str) -> None:
    write(tmp_path, entry or "\n")
    if "http://" in entry:
        text = (tmp_path / "accredit.toml").read_text()
        (tmp_path / "accredit.toml").write_text(text.replace("allow_http_loopback = true", ""))
    with pytest.raises(ConfigurationError, match=message):
        check_configuration(load_settings(tmp_path, {}), MASTER, {})


# --- the commands -----------------------------------------------------------------------------------------------------


def accredit(services: Services, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["saml", *arguments, "--directory", str(services.settings.directory)])


def test_the_metadata_command_shows(services: Services, published: MetadataServer) -> None:
    shown = accredit(services, "metadata").output
    assert f"entity       {forge.ENTITY_ID}" in shown
    assert f"fetched from {published.url}" in shown
    assert "certificate" in shown
    assert "last look    never" in shown


def test_the_metadata_command_sets(services: Services, published: MetadataServer, tmp_path: Path) -> None:
    file = tmp_path / "new.xml"
    file.write_text(forge.metadata("new"))
    done = accredit(services, "metadata", str(file), "--provider", "realm")
    assert (done.exit_code, "set; nothing is fetched" in done.output) == (0, True), done.output
    assert "- certificate" in done.output
    assert accepted(services, "new")
    assert record_of(services).settings["metadata_url"] == ""
    published.text = forge.metadata("idp", "new")
    done = accredit(services, "metadata", published.url, "--provider", PROVIDER)
    assert (done.exit_code, "fetched from now on" in done.output) == (0, True), done.output
    assert accepted(services, "idp")
    found = events(services, "SetSAMLMetadata")
    assert [event["requestParameters"]["metadataURL"] for event in found] == ["", published.url]


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("/nowhere.xml", ["--provider", "realm"], "cannot be read"),
        ("http://127.0.0.1:1/x", ["--provider", "realm"], "cannot be fetched"),
        ("gopher://x", ["--provider", "realm"], "must begin with https://"),
        ("/nowhere.xml", [], "--provider says whose"),
        ("/nowhere.xml", ["--provider", "nobody"], "there is no SAML provider"),
    ],
)
def test_what_the_metadata_command_refuses(services: Services, source: str, options: list[str], message: str) -> None:
    done = accredit(services, "metadata", source, *options)
    assert done.exit_code != 0
    assert message in done.output
    assert accepted(services, "idp")


def test_metadata_of_another_entity_is_not_set(services: Services, tmp_path: Path) -> None:
    file = tmp_path / "other.xml"
    file.write_text(forge.metadata(entity_id="https://other.example"))
    done = accredit(services, "metadata", str(file), "--provider", "realm")
    assert (done.exit_code, "of another entity" in done.output) == (1, True)


def test_a_declared_provider_is_the_files_alone(tmp_path: Path, published: MetadataServer) -> None:
    write(tmp_path, f'metadata_url = "{published.url}"\n')
    with prepared(tmp_path) as services:
        done = accredit(services, "metadata", published.url, "--provider", "realm")
        assert (done.exit_code, "declared in accredit.toml" in done.output) == (1, True)


def test_the_refresh_command(services: Services, published: MetadataServer) -> None:
    assert "✓ nothing has changed" in accredit(services, "refresh").output
    published.text = forge.metadata("idp", "new")
    assert "+ certificate" in accredit(services, "refresh", "--dry-run").output
    assert not accepted(services, "new")
    assert "+ certificate" in accredit(services, "refresh", "--provider", "realm").output
    assert accepted(services, "new")
    published.status = 404
    done = accredit(services, "refresh")
    assert (done.exit_code, "✗" in done.output, "last good copy" in done.output) == (1, True, True)
    assert "✗" in accredit(services, "metadata").output


def test_events_are_of_nobody(services: Services, published: MetadataServer) -> None:
    published.text = forge.metadata("new")
    look(services)
    (event,) = events(services, "RefreshSAMLMetadata")
    assert (event["eventSource"], event["readOnly"]) == ("accredit", False)
