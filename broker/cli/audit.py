"""``accredit audit``: the audit record, and the proof that it is whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from broker.audit.journal import replay
from broker.audit.merkle import ProofRefused
from broker.audit.notes import NoteRefused, Verifier, open_head, parse_verifiers, split_notes
from broker.audit.proofs import check_proof, prove_consistency, prove_event
from broker.audit.query import tail as read_tail
from broker.audit.verify import Verification, verify_record
from broker.credentials.audit_ring import HEADS
from broker.database import command_database
from broker.errors import BrokerError
from broker.settings import load_settings
from broker.store.audit_keys import list_audit_keys
from broker.store.audit_tree import last_heads
from broker.store.engine import Database

_directory = click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
_file = click.Path(path_type=Path, exists=True, dir_okay=False)
_key = click.option("--key", "key_file", type=_file, required=True, help="Verifier keys, from 'accredit audit key'.")

_Answer = TypeVar("_Answer")


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
@click.option("--key", "key_file", type=_file, help="Verifier keys; needed with --since.")
def prove(directory: Path, event_id: str | None, account: str, since_file: Path | None, key_file: Path | None) -> None:
    """Print a proof that 'accredit audit verify PROOF' checks anywhere."""
    if bool(event_id) == bool(since_file) or (since_file and not key_file):
        raise click.UsageError("give --event and --account, or --since and --key")
    with command_database(load_settings(directory)) as database, database.read() as connection:
        if since_file and key_file:
            old = _refusing(lambda: open_head(_notes(since_file)[-1], _verifiers(key_file)))
            proof: dict[str, Any] = _refusing(lambda: prove_consistency(connection, old))
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
