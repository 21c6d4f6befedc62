"""``accredit saml metadata`` and ``refresh``: where SAML providers' metadata comes from, and what of it ends soon."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click

from broker.database import command_database
from broker.errors import BrokerError, ConfigurationError, NotFound, ValidationFailed
from broker.provider_files import check_authority
from broker.saml.metadata_changes import endings
from broker.saml.metadata_refresh import Refreshed, refresh, set_metadata
from broker.saml_providers import check_metadata_url, fetch_metadata, provider_arn
from broker.settings import Settings, load_settings
from broker.store.engine import Database
from broker.store.identity_providers import ProviderRecord, find_registration, list_providers
from broker.store.saml_metadata_checks import MetadataCheck, list_checks
from providers.errors import ProviderError
from providers.saml.metadata import parse_metadata

_directory = click.option(
    "--directory",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The broker's data directory.",
)
_provider = click.option("--provider", metavar="NAME|ARN", help="By default every SAML provider.")
_account = click.option("--account", metavar="ID", help="By default the first that is configured.")


@click.command()
@click.argument("source", metavar="[URL|FILE]", required=False)
@_directory
@_provider
@_account
@click.option(
    "--ca-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="PEM: the only authority that may vouch for the URL's server.",
)
def metadata(
    source: str | None, directory: Path, provider: str | None, account: str | None, ca_file: Path | None
) -> None:
    """Show SAML providers' metadata, or give a provider another one.

    A URL is fetched now and from then on regularly; a FILE ends that. What changes is shown as a diff.
    """
    settings = load_settings(directory)
    with command_database(settings) as database:
        if source is None:
            for record in _chosen(database, settings, provider, account):
                click.echo("\n".join(_described(database, record)))
            return
        if provider is None:
            raise click.UsageError("--provider says whose metadata it is")
        (record,) = _chosen(database, settings, provider, account)
        _check_changeable(database, record)
        for line in _set(database, settings, record, source, ca_file):
            click.echo(line)


@click.command()
@_directory
@_provider
@_account
@click.option("--dry-run", is_flag=True, help="Fetch and compare; nothing is stored.")
def refresh_metadata(directory: Path, provider: str | None, account: str | None, dry_run: bool) -> None:
    """Fetch SAML providers' metadata now, and show what changes and what ends soon.

    The exit status is 1 if one could not be used: then the last good copy stays.
    """
    settings, failed = load_settings(directory), False
    with command_database(settings) as database:
        for record in _chosen(database, settings, provider, account):
            done = refresh(database, settings, record, datetime.now(UTC), dry_run=dry_run)
            failed |= bool(done.problem)
            click.echo("\n".join(_told(done)))
    if failed:
        raise SystemExit(1)


def _chosen(database: Database, settings: Settings, provider: str | None, account: str | None) -> list[ProviderRecord]:
    """Raises NotFound."""
    with database.read() as connection:
        found = list_providers(connection, "saml")
    if provider is None:
        return [record for record in found if account in (None, record.account)]
    arn = provider_arn(settings, account, provider)
    chosen = [record for record in found if record.arn == arn]
    if not chosen:
        raise NotFound(f"there is no SAML provider {arn}")
    return chosen


def _check_changeable(database: Database, record: ProviderRecord) -> None:
    with database.read() as connection:
        registration = find_registration(connection, record.account, record.arn)
    if registration is not None and registration.declared:
        raise BrokerError(f"{record.arn} is declared in accredit.toml: set metadata_url or metadata_file there")


def _set(
    database: Database, settings: Settings, record: ProviderRecord, source: str, ca_file: Path | None
) -> Iterator[str]:
    """The lines to show. Raises ValidationFailed."""
    ca, url = None, ""
    if "://" in source:
        check_metadata_url(source, allow_http_loopback=settings.fetch.allow_http_loopback)
        ca = _authority(ca_file)
        try:
            url, text = source, fetch_metadata(settings, source, ca)
        except ValidationFailed as error:
            raise ValidationFailed(f"{error.message} {error.detail}") from None
    else:
        try:
            text = Path(source).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ValidationFailed(f"{source} cannot be read: {error}") from None
    lines = set_metadata(database, record, text, url, ca, datetime.now(UTC))
    yield f"{record.arn}: {'fetched from now on' if url else 'set; nothing is fetched'}"
    yield from (f"  {line}" for line in lines or ["nothing else changes"])


def _authority(file: Path | None) -> str | None:
    if file is None:
        return None
    text = file.read_text(encoding="utf-8", errors="replace")
    try:
        check_authority(text)
    except ConfigurationError as error:
        raise ValidationFailed(f"{file} {error.message}") from None
    return text


def _described(database: Database, record: ProviderRecord) -> Iterator[str]:
    now = datetime.now(UTC)
    with database.read() as connection:
        check = list_checks(connection).get(record.arn, MetadataCheck(record.arn))
    url = record.settings["metadata_url"]
    yield record.arn
    yield f"  entity       {record.issuer}"
    yield f"  fetched from {url or '(nowhere: a document)'}"
    if url:
        looked = f"{datetime.fromtimestamp(check.checked_at, UTC):%Y-%m-%dT%H:%M:%SZ}" if check.checked_at else "never"
        yield f"  last look    {looked}"
    if check.problem:
        yield f"  ✗ {check.problem}"
    try:
        found = parse_metadata(record.settings["metadata"])
    except ProviderError as error:
        yield f"  ✗ it cannot be used any more: {error.detail}"
        return
    for one in found.certificates:
        yield f"  certificate  {one.fingerprint} ({one.subject}), until {one.not_after:%Y-%m-%d}"
    if found.valid_until is not None:
        yield f"  valid until  {found.valid_until:%Y-%m-%dT%H:%M:%SZ}"
    for ending in endings(found, now, document=not url or bool(check.problem)):
        yield f"  ! {ending.sentence()}"


def _told(done: Refreshed) -> Iterator[str]:
    yield done.record.arn
    if done.problem:
        yield f"  ✗ {done.problem}"
        yield "  the last good copy stays in use"
    elif not done.fetched:
        yield "  has no metadata URL: nothing is fetched"
    else:
        yield from (f"  {line}" for line in done.lines or ("✓ nothing has changed",))
    yield from (f"  ! {line}" for line in done.warnings)
