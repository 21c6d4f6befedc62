"""Whom a revocation ends: itself, what was chained from it, and nobody else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from broker.domain.session import Session
from broker.revocations import Revocations
from broker.store.engine import Database
from broker.store.revocations import Revocation, RevocationKind, delete_revocations, put_revocation

A, B = "123456789012", "210987654321"
NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
MOMENT = int(NOW.timestamp())
PROVIDER = f"arn:aws:iam::{A}:oidc-provider/issuer.example"
SESSION = Session(
    A,
    f"arn:aws:iam::{A}:role/r",
    "AROAR",
    "s",
    NOW,
    NOW + timedelta(hours=1),
    source_identity="mallory",
    subject=(PROVIDER, "job:1"),
    source_account=A,
)


def _revoke(database: Database, *rows: Revocation) -> Revocations:
    with database.change() as connection:
        for row in rows:
            put_revocation(connection, row)
    return Revocations(database)


def _of(kind: RevocationKind, account: str = "", provider: str = "", value: str = "", at: int = MOMENT) -> Revocation:
    return Revocation(kind, account, provider, value, at)


SUBJECT = _of(RevocationKind.SUBJECT, "", PROVIDER, "job:1")
SOURCE = _of(RevocationKind.SOURCE_IDENTITY, A, "", "mallory")


@pytest.mark.parametrize(
    ("row", "session", "ended"),
    [
        (_of(RevocationKind.SESSION, value="ASIAONE"), SESSION, True),
        (_of(RevocationKind.SESSION, value="ASIAPARENT"), replace(SESSION, ancestors=("ASIAPARENT", "ASIAX")), True),
        (_of(RevocationKind.SESSION, value="ASIAOTHER"), SESSION, False),
        (SUBJECT, SESSION, True),
        (SUBJECT, replace(SESSION, subject=(PROVIDER, "job:2")), False),
        (SUBJECT, replace(SESSION, subject=(PROVIDER + "2", "job:1")), False),
        (SUBJECT, replace(SESSION, subject=None), False),
        (SUBJECT, replace(SESSION, issued_at=NOW + timedelta(seconds=1)), False),
        # chained while the news travelled: as old as its chain
        (SUBJECT, replace(SESSION, issued_at=NOW + timedelta(seconds=2), chain_started_at=NOW), True),
        (SOURCE, SESSION, True),
        (SOURCE, replace(SESSION, account=B), True),
        (SOURCE, replace(SESSION, source_account=B), False),
        (SOURCE, replace(SESSION, source_identity="alice"), False),
        (SOURCE, replace(SESSION, source_identity=None, source_account=None), False),
    ],
)
def test_what_a_revocation_ends(database: Database, row: Revocation, session: Session, ended: bool) -> None:
    assert _revoke(database, row).revoked(session, "ASIAONE") is ended


def test_the_later_revocation_counts_and_old_ones_are_forgotten(database: Database) -> None:
    later = replace(SUBJECT, revoked_at=MOMENT + 60)
    revocations = _revoke(database, SUBJECT, later)
    assert revocations.revoked(replace(SESSION, issued_at=NOW + timedelta(seconds=30)), "ASIAONE")
    with database.change() as connection:
        delete_revocations(connection, before=MOMENT + 61)
    assert not revocations.revoked(SESSION, "ASIAONE"), "seen at once, without being told"
