"""The guides under docs/saml-guides: what they tell to type works, and ends with the ✓ that they show."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from realm import saml_forge as forge
from realm.saml_forge import ACCOUNT, AWS, Draft

from broker.cli import main
from broker.configure import apply_configuration, check_configuration
from broker.credentials.keyring import add_key
from broker.settings import SamlProviderEntry, load_settings
from broker.store.engine import Database
from broker.store.schema import migrate

GUIDES = sorted((Path(__file__).resolve().parents[2] / "docs" / "saml-guides").glob("*.md"))
MASTER = b"m" * 32
SERVER = "https://sts.example.com"


def block(text: str, start: str) -> str:
    """The fenced block that begins with this line."""
    (found,) = re.findall(rf"^```\w*\n({re.escape(start)}.*?)^```", text, re.MULTILINE | re.DOTALL)
    return str(found)


def make_site(directory: Path, text: str) -> SamlProviderEntry:
    """A data directory of the guide's configuration; its metadata is what the guide's issuer would publish."""
    issuer = re.search(r"✓ Issuer of the response: (\S+)", text)
    assert issuer is not None
    toml = f'[[account]]\nid = "{ACCOUNT}"\n{block(text, "[server]")}'
    (directory / "accredit.toml").write_text(toml)
    key = directory / "master.key"
    key.touch(mode=0o600)
    key.write_text(base64.b64encode(MASTER).decode())
    settings = load_settings(directory, {})
    (entry,) = settings.identity_provider
    assert isinstance(entry, SamlProviderEntry)
    published = {entry.metadata_url: forge.metadata(entity_id=issuer[1])}
    declared = check_configuration(settings, MASTER, {}, lambda _arn, url, _ca: published[url])
    database = Database("sqlite:///accredit.db", directory)
    migrate(database)
    apply_configuration(database, declared, MASTER)
    with database.change() as connection:
        add_key(connection, MASTER, now=datetime.now(UTC), activation_seconds=0)
    database.close()
    return entry


def response(entry: SamlProviderEntry, text: str) -> str:
    """As the provider makes it that was told what the guide says."""
    issuer = re.search(r"✓ Issuer of the response: (\S+)", text)
    pair = re.search(r"^  ✓ (arn:\S+)$", text, re.MULTILINE)
    assert issuer is not None
    assert pair is not None
    entity = f"{SERVER}/saml/{ACCOUNT}/{entry.name}"
    draft = Draft(
        now=datetime.now(UTC),
        issuer=issuer[1],
        response_issuer=issuer[1],
        subject="alice@example.com",
        destination=f"{entity}/acs",
        recipient=f"{entity}/acs",
        audiences=[[entity]],
        attributes={f"{AWS}Role": [pair[1]], f"{AWS}RoleSessionName": ["alice@example.com"]},
    )
    return forge.pack(forge.signed(draft, "both"))


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_a_guide_ends_with_a_tick(guide: Path, tmp_path: Path) -> None:
    text = guide.read_text(encoding="utf-8")
    entry = make_site(tmp_path, text)
    (tmp_path / "response.b64").write_text(response(entry, text))
    command, *shown = block(text, "$ accredit saml check").splitlines()
    arguments = command.removeprefix("$ accredit ").split()
    arguments = [str(tmp_path / one) if one == "response.b64" else one for one in arguments]
    arguments = [str(tmp_path) if one == "/srv/accredit" else one for one in arguments]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert "✗" not in done.output
    lines = done.output.splitlines()
    assert len(shown) > 10
    for line in shown:
        beginning = line.removesuffix("…")
        assert any(one == line or (line != beginning and one.startswith(beginning)) for one in lines), line


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_a_guide_names_the_addresses_that_there_are(guide: Path, tmp_path: Path) -> None:
    text = guide.read_text(encoding="utf-8")
    entry = make_site(tmp_path, text)
    settings = load_settings(tmp_path, {})
    entity = settings.saml_entity_id(ACCOUNT, entry.name)
    known = {entity, *(f"{entity}/{page}" for page in ("acs", "slo", "login", "metadata"))}
    named = set(re.findall(rf"{re.escape(SERVER)}/[^\s`|]+", text))
    assert {entity, f"{entity}/acs"} <= named
    assert named <= known
    roles = set(re.findall(r"arn:aws:iam::(\d+):saml-provider/([\w.-]+)", text))
    assert roles == {(ACCOUNT, entry.name)}


def test_there_is_a_guide_for_each() -> None:
    assert [guide.stem for guide in GUIDES] == ["adfs", "entra-id", "keycloak", "okta"]
