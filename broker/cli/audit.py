"""``accredit audit``: the audit record, and the proof that it is whole."""

from __future__ import annotations

import heapq
import itertools
import json
import math
import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from broker.audit.digests import Place, last_digest_end, write_digest
from broker.audit.export import csv_line, csv_values, sealed_records
from broker.audit.index import ALL, ATTRIBUTES, ERROR_CODE, PRINCIPAL, event_seconds
from broker.audit.journal import replay
from broker.audit.lookup import MAX_TIME, Search, search_all
from broker.audit.merkle import ProofRefused
from broker.audit.notes import NoteRefused, Verifier, open_head, parse_verifiers, split_notes
from broker.audit.proofs import check_proof, prove_consistency, prove_event, prove_record
from broker.audit.query import tail as read_tail
from broker.audit.retention import prune
from broker.audit.verify import Verification, verify_record
from broker.credentials.audit_ring import DIGESTS, HEADS, AuditRing
from broker.credentials.keyring import check_master_key
from broker.credentials.masterkey import load_master_key
from broker.database import command_database
from broker.errors import BrokerError
from broker.settings import load_settings
from broker.store.accounts import list_accounts
from broker.store.audit_keys import list_audit_keys
from broker.store.audit_tree import last_heads
from broker.store.engine import Database

_directory = click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
_file = click.Path(path_type=Path, exists=True, dir_okay=False)
_key = click.option("--key", "key_file", type=_file, required=True, help="Verifier keys, from 'accredit audit key'.")

_Answer = TypeVar("_Answer")


class _Moment(click.ParamType[int]):
    """A time or a day, as seconds since the epoch."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value} is no time like 2026-01-02T03:04:05Z")
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


@click.group()
def audit() -> None:
    """The audit record."""


@audit.command()
@_directory
@click.option("-n", "--count", default=10, type=click.IntRange(1, 10_000), help="How many events.")
def tail(directory: Path, count: int) -> None:
    """Print the last events of DIRECTORY, one JSON object a line."""
    with command_database(load_settings(directory)) as database:
        replay(database)
        with database.read() as connection:
            events = read_tail(connection, count)
    for event in events:
        click.echo(json.dumps(event))


@audit.command()
@_directory
def key(directory: Path) -> None:
    """Print the verifier keys of the record's signed heads, one a line. Keep them elsewhere."""
    with command_database(load_settings(directory)) as database, database.read() as connection:
        rows = [row for row in list_audit_keys(connection) if row.algorithm == HEADS]
    for row in rows:
        click.echo(Verifier(row.origin, row.public_key).text())


@audit.command()
@_directory
def head(directory: Path) -> None:
    """Print the newest signed head. Keep it elsewhere: it tells later what the record was by now."""
    with command_database(load_settings(directory)) as database, database.read() as connection:
        heads = last_heads(connection, 1)
    if not heads:
        raise BrokerError("there is no signed head yet: the broker signs one when it serves")
    click.echo(heads[0].note, nl=False)


@audit.command()
@_directory
@click.option("--event", "event_id", help="That this event is in the record.")
@click.option("--account", default="", help="The event's account (recipientAccountId).")
@click.option("--since", "since_file", type=_file, help="That the record of this older head is a part of today's.")
@click.option("--record", "record_file", type=_file, help="That this exported event (JSON) was in the record.")
@click.option("--key", "key_file", type=_file, help="Verifier keys; needed with --since.")
def prove(
    directory: Path,
    event_id: str | None,
    account: str,
    since_file: Path | None,
    record_file: Path | None,
    key_file: Path | None,
) -> None:
    """Print a proof that 'accredit audit verify PROOF' checks anywhere."""
    if sum(map(bool, (event_id, since_file, record_file))) != 1 or (since_file and not key_file):
        raise click.UsageError("give --event and --account, or --record, or --since and --key")
    with command_database(load_settings(directory)) as database, database.read() as connection:
        if since_file and key_file:
            old = _refusing(lambda: open_head(_notes(since_file)[-1], _verifiers(key_file)))
            proof: dict[str, Any] = _refusing(lambda: prove_consistency(connection, old))
        elif record_file:
            proof = prove_record(connection, record_file.read_text(encoding="utf-8").strip())
        else:
            proof = prove_event(connection, account, event_id or "")
    click.echo(json.dumps(proof))


@audit.command()
@click.argument("what", type=click.Path(path_type=Path, exists=True))
@_key
@click.option("--since", "since_file", type=_file, help="Heads that were kept elsewhere; each must hold.")
@click.option("--no-anchor", is_flag=True, help="Leave this node's anchor file aside.")
@click.option("--json", "as_json", is_flag=True)
def verify(what: Path, key_file: Path, since_file: Path | None, no_anchor: bool, as_json: bool) -> None:
    """Check the record of a data directory, or a proof (a file), with public keys alone.

    Exit status 1 if anything is wrong.
    """
    verifiers, since = _verifiers(key_file), _notes(since_file) if since_file else []
    if what.is_file():
        click.echo(_refusing(lambda: check_proof(what.read_text(encoding="utf-8"), verifiers, since)))
        return
    settings = load_settings(what)
    anchor = settings.file(settings.audit.anchor_file)
    if not no_anchor and anchor.exists():
        since += _notes(anchor)
    with command_database(settings) as database:
        replay(database)
        found = _verify(database, verifiers, since)
    _tell(found, as_json)
    if found.problems:
        raise SystemExit(1)


_account = click.option("--account", help="Events of this account alone; '' for those of none.")
_since = click.option("--since", "start", type=_Moment(), help="2026-01-02T03:04:05Z, or a day; this and later.")
_until = click.option("--until", "end", type=_Moment(), help="This and earlier.")


@audit.command()
@_directory
@_account
@_since
@_until
@click.option("--attribute", nargs=2, help="One of CloudTrail's, or ErrorCode or Principal, and its value.")
@click.option("-n", "--count", default=50, type=click.IntRange(1, 100_000), help="How many, the newest first.")
@click.option("--csv", "as_csv", is_flag=True, help="A table instead of lines of JSON.")
def search(
    directory: Path,
    account: str | None,
    start: int | None,
    end: int | None,
    attribute: tuple[str, str] | None,
    count: int,
    as_csv: bool,
) -> None:
    """Find sealed events of DIRECTORY by a value and a time, the newest first."""
    name, value = attribute or (ALL, "")
    if name not in (*ATTRIBUTES, ERROR_CODE, PRINCIPAL, ALL):
        raise click.UsageError(f"--attribute takes one of {', '.join((*ATTRIBUTES, ERROR_CODE, PRINCIPAL))}")
    with command_database(load_settings(directory)) as database, database.read() as connection:
        accounts = [account] if account is not None else ["", *list_accounts(connection)]
        searches = [Search(one, name, value, start or 0, MAX_TIME if end is None else end) for one in accounts]
        found = heapq.merge(*(search_all(connection, one) for one in searches), key=lambda one: one.leaf, reverse=True)
        _print(((one.leaf, one.record) for one in itertools.islice(found, count)), as_csv)


@audit.command()
@_directory
@_account
@_since
@_until
@click.option("--csv", "as_csv", is_flag=True, help="A table instead of lines of JSON.")
def export(directory: Path, account: str | None, start: int | None, end: int | None, as_csv: bool) -> None:
    """Print all sealed events of DIRECTORY, the oldest first."""
    with command_database(load_settings(directory)) as database, database.read() as connection:
        _print(sealed_records(connection, start or 0, MAX_TIME if end is None else end, account), as_csv)


@audit.command()
@_directory
@click.argument("target", type=click.Path(path_type=Path, file_okay=False))
@click.option("--account", required=True)
@click.option("--region", default="us-east-1", help="Which stands in the files' names.")
@click.option("--bucket", default="accredit", help="What the digests call the place of the files.")
def digest(directory: Path, target: Path, account: str, region: str, bucket: str) -> None:
    """Write what is new of an account below TARGET, as log file and digest file in CloudTrail's form."""
    settings = load_settings(directory)
    master_key = load_master_key(settings.file(settings.keys.master_key_file), os.environ)
    place, now = Place(target, bucket, account, region), datetime.now(UTC).replace(microsecond=0)
    end = now - timedelta(seconds=math.ceil(2 * settings.audit.seal_seconds) + 1)
    with command_database(settings) as database:
        ring = AuditRing(database, master_key)
        with database.read() as connection:
            before = last_digest_end(place)
            start = 0 if before is None else int(before.timestamp()) + 1
            records = [record for _, record in sealed_records(connection, start, int(end.timestamp()), account)]

        def sign(payload: bytes) -> tuple[str, bytes]:
            used, signature = ring.sign(DIGESTS, payload, now)
            return used.id, signature

        begin = before or min((_time_of(record) for record in records), default=end)
        click.echo(write_digest(place, records, begin, end, sign))


@audit.command("prune")
@_directory
@click.option("--keep-days", required=True, type=click.IntRange(1, 36_500), help="Younger events stay.")
def prune_events(directory: Path, keep_days: int) -> None:
    """Delete events that are older, in whole segments of 256; their hashes, heads and proofs stay."""
    settings = load_settings(directory)
    master_key = load_master_key(settings.file(settings.keys.master_key_file), os.environ)
    with command_database(settings) as database:
        check_master_key(database, master_key)
        count = prune(database, AuditRing(database, master_key), datetime.now(UTC) - timedelta(days=keep_days))
    click.echo(f"{count} events deleted")


def _print(found: Iterable[tuple[int, str]], as_csv: bool) -> None:
    """Every line is ASCII: nothing in an event can do anything to a terminal."""
    if as_csv:
        click.echo(csv_line(None))
    for leaf, record in found:
        click.echo(csv_line(csv_values(leaf, record)) if as_csv else json.dumps(json.loads(record)))


def _time_of(record: str) -> datetime:
    return datetime.fromtimestamp(event_seconds(json.loads(record)), UTC)


def _verify(database: Database, verifiers: list[Verifier], since: list[str]) -> Verification:
    with database.read() as connection:
        return verify_record(connection, verifiers, since)


def _tell(found: Verification, as_json: bool) -> None:
    if as_json:
        told = {"size": found.size, "root": found.root.hex(), "unsealed": found.unsealed, "heads": found.heads}
        click.echo(json.dumps({**told, "problems": found.problems}))
        return
    for problem in found.problems:
        click.echo(problem)
    state = "NOT the record that was signed" if found.problems else "all as they were signed"
    click.echo(f"{found.size} events, {found.heads} heads: {state}; {found.unsealed} younger than the last head")


def _verifiers(path: Path) -> list[Verifier]:
    return _refusing(lambda: parse_verifiers(path.read_text(encoding="utf-8")))


def _notes(path: Path) -> list[str]:
    notes = split_notes(path.read_text(encoding="utf-8"))
    if not notes:
        raise BrokerError(f"{path} has no signed head")
    return notes


def _refusing(ask: Callable[[], _Answer]) -> _Answer:
    try:
        return ask()
    except (NoteRefused, ProofRefused, UnicodeDecodeError) as error:
        raise BrokerError(str(error)) from error
