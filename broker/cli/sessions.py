"""``accredit sessions``: the sessions that live, and their end before their time."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import click

from broker.audit.event import CallRecord, render
from broker.audit.journal import replay
from broker.audit.sessions import live_sessions
from broker.credentials.keyids import TEMPORARY, account_of
from broker.credentials.keyring import LONGEST_SESSION_SECONDS
from broker.database import command_database
from broker.identifiers import new_uuid
from broker.settings import load_settings
from broker.store.audit_events import append_records
from broker.store.directory_subjects import find_subject
from broker.store.identity_providers import provider_exists
from broker.store.revocations import Revocation, RevocationKind, delete_revocations, list_revocations, put_revocation


@click.group()
def sessions() -> None:
    """Temporary credentials that have been issued."""


_directory = click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))


@sessions.command("list")
@_directory
@click.option("-n", "--count", default=50, type=click.IntRange(1, 100_000), help="How many, the newest first.")
@click.option("--json", "as_json", is_flag=True)
def list_sessions(directory: Path, count: int, as_json: bool) -> None:
    """Show the sessions that have not expired; whether one was revoked is said with it."""
    with command_database(load_settings(directory)) as database:
        replay(database)
        with database.read() as connection:
            revoked = {row.value for row in list_revocations(connection) if row.kind is RevocationKind.SESSION}
            found = list(islice(live_sessions(connection, datetime.now(UTC)), count))
    if as_json:
        click.echo(json.dumps([{**asdict(one), "revoked": one.access_key_id in revoked} for one in found]))
        return
    for one in found:
        who = f"{one.provider} {one.subject}" if one.provider else one.issued_by
        source = f"  source identity {one.source_identity}" if one.source_identity else ""
        state = "  REVOKED" if one.access_key_id in revoked else ""
        click.echo(f"{one.access_key_id}  {one.arn}  until {one.expires_at}  by {who}{source}{state}")


@sessions.command()
@_directory
@click.option(
    "--session", "access_key_id", help="One session, by its access key id (ASIA…), and those chained from it."
)
@click.option("--source-identity", help="All sessions of this source identity; needs --account.")
@click.option("--account", help="The account of the source identity.")
@click.option(
    "--subject", help="All sessions of this external subject (of a directory also the user name); needs --provider."
)
@click.option("--provider", help="The ARN of the subject's identity provider.")
def revoke(
    directory: Path,
    access_key_id: str | None,
    source_identity: str | None,
    account: str | None,
    subject: str | None,
    provider: str | None,
) -> None:
    """End sessions now, on every node within two seconds. Whoever may sign in again can get a new one."""
    named = [text for text in (access_key_id, source_identity, subject) if text]
    if len(named) != 1:
        raise click.UsageError("give one of --session, --source-identity and --subject")
    if access_key_id:
        account_of(access_key_id)
        if not access_key_id.startswith(TEMPORARY):
            raise click.UsageError("--session takes the access key id of temporary credentials (ASIA…)")
        kind, owner, value = RevocationKind.SESSION, "", access_key_id
    elif source_identity:
        if not account:
            raise click.UsageError("--source-identity needs --account")
        kind, owner, value = RevocationKind.SOURCE_IDENTITY, account, source_identity
    else:
        if not provider:
            raise click.UsageError("--subject needs --provider")
        kind, owner, value = RevocationKind.SUBJECT, "", named[0]
    with command_database(load_settings(directory)) as database, database.change() as connection:
        if kind is RevocationKind.SUBJECT:
            if not provider_exists(connection, provider or ""):
                raise click.UsageError(f"there is no identity provider {provider}")
            value = find_subject(connection, provider or "", value) or value
        now = datetime.now(UTC)  # after waiting for the turn to write: what was issued until then is over
        moment = int(now.timestamp())
        row = Revocation(kind, owner, provider or "" if kind is RevocationKind.SUBJECT else "", value, moment)
        delete_revocations(connection, before=moment - LONGEST_SESSION_SECONDS)
        put_revocation(connection, row)
        append_records(connection, [_event(now, row)])
    click.echo(f"revoked: {row.kind.value} {row.value}, issued until {now.isoformat()[:19]}Z")


def _event(now: datetime, row: Revocation) -> str:
    record = CallRecord(new_uuid(), now, event_source="accredit", event_name="RevokeSessions", read_only=False)
    record.parameters = {"kind": row.kind.value, "value": row.value, "provider": row.provider or None}
    record.recipient = row.account or (account_of(row.value) if row.kind is RevocationKind.SESSION else None)
    return render(record)
