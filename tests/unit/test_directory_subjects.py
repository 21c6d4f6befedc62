"""Who came from a directory: noted durably, looked up by one worker, forgotten with the provider."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from broker.directory_subjects import DirectorySubjects
from broker.domain.session import Session
from broker.store.accounts import put_account
from broker.store.directory_subjects import (
    claim_checks,
    claim_sync,
    delete_old_subjects,
    delete_subjects,
    find_due,
    find_subject,
    find_sync,
    list_subjects,
)
from broker.store.engine import Database
from broker.store.identity_providers import ProviderRecord, delete_provider, put_provider
from providers.base import ExternalIdentity

NOW = datetime(2027, 1, 1, 12, tzinfo=UTC)
MOMENT = int(NOW.timestamp())
ARN = "arn:aws:iam::123456789012:ldap-provider/corp"
RECORD = ProviderRecord(ARN, "123456789012", "ldap", ARN, {})


@pytest.fixture(autouse=True)
def provider(database: Database) -> None:
    with database.change() as connection:
        put_account(connection, "123456789012", "", 0)
        put_provider(connection, RECORD, declared=False, now=0)


def identity(subject: str = "id-1", username: str = "alice") -> ExternalIdentity:
    attributes = {"username": (username,), "dn": (f"uid={username}",), "groups": ()}
    return ExternalIdentity(ARN, ARN, subject, (ARN,), attributes, None, NOW, NOW)


def seen(database: Database) -> list[tuple[str, str, int]]:
    with database.read() as connection:
        return [(one.subject, one.username, one.seen_at - MOMENT) for one in list_subjects(connection, ARN)]


def test_a_login_is_noted_and_again_after_an_hour(database: Database) -> None:
    subjects = DirectorySubjects(database)
    subjects.note(RECORD, identity(), NOW)
    subjects.note(RECORD, identity(username="renamed"), NOW + timedelta(minutes=59))
    assert seen(database) == [("id-1", "alice", 0)]
    subjects.note(RECORD, identity(username="renamed"), NOW + timedelta(minutes=61))
    assert seen(database) == [("id-1", "renamed", 3_660)]


def test_what_another_worker_took_away_is_noted_again_after_a_change(database: Database) -> None:
    subjects = DirectorySubjects(database)
    subjects.note(RECORD, identity(), NOW)
    with database.change() as connection:
        delete_subjects(connection, ARN, ["id-1"])
    assert seen(database) == []
    subjects.note(RECORD, identity(), NOW + timedelta(seconds=5))
    assert seen(database) == [("id-1", "alice", 5)]


def test_each_check_is_one_worker_s(database: Database) -> None:
    subjects = DirectorySubjects(database)
    for name in ("id-1", "id-2"):
        subjects.note(RECORD, identity(name), NOW)
    with database.write() as connection:
        assert claim_checks(connection, ARN, ["id-1", "id-9"], before=MOMENT - 1, now=MOMENT) == []
        assert claim_checks(connection, ARN, ["id-1", "id-9"], before=MOMENT, now=MOMENT + 9) == ["id-1"]
        assert claim_checks(connection, ARN, ["id-1", "id-2"], before=MOMENT, now=MOMENT + 9) == ["id-2"]


def test_more_are_looked_for_than_a_statement_may_name(database: Database) -> None:
    subjects = DirectorySubjects(database)
    subjects.note(RECORD, identity("id-69999"), NOW)
    many = [f"id-{number}" for number in range(70_000)]
    with database.write() as connection:
        assert find_due(connection, ARN, many, before=MOMENT - 1) == []
        assert find_due(connection, ARN, many, before=MOMENT) == ["id-69999"]
        assert claim_checks(connection, ARN, many, before=MOMENT, now=MOMENT + 9) == ["id-69999"]
        assert find_due(connection, ARN, many, before=MOMENT) == []


def test_each_sync_is_one_worker_s(database: Database) -> None:
    with database.write() as connection:
        assert find_sync(connection, ARN) is None
        assert claim_sync(connection, ARN, before=MOMENT - 60, now=MOMENT)
        assert not claim_sync(connection, ARN, before=MOMENT - 60, now=MOMENT)
        assert find_sync(connection, ARN) == MOMENT
        assert claim_sync(connection, ARN, before=MOMENT, now=MOMENT + 60)


def test_a_name_is_a_subject_if_it_is_one_s(database: Database) -> None:
    subjects = DirectorySubjects(database)
    subjects.note(RECORD, identity("id-1", "alice"), NOW)
    with database.read() as connection:
        assert find_subject(connection, ARN, "alice") == "id-1"
        assert find_subject(connection, ARN, "bob") is None
    subjects.note(RECORD, identity("id-2", "alice"), NOW)
    with database.read() as connection:
        assert find_subject(connection, ARN, "alice") is None


def test_they_are_forgotten(database: Database) -> None:
    subjects = DirectorySubjects(database)
    subjects.note(RECORD, identity("id-1"), NOW)
    subjects.note(RECORD, identity("id-2"), NOW + timedelta(days=1))
    with database.write() as connection:
        delete_old_subjects(connection, before=MOMENT + 1)
    assert [one[0] for one in seen(database)] == ["id-2"]
    with database.change() as connection:
        delete_provider(connection, ARN)
    assert seen(database) == []


def session(provider: str) -> Session:
    arn = "arn:aws:iam::123456789012:role/x"
    return Session("123456789012", arn, "AROA", "x", NOW, NOW, subject=(provider, "id-1"))


def test_sessions_in_use_are_asked_about_now_and_then(database: Database) -> None:
    subjects = DirectorySubjects(database)
    subjects.use(session("arn:aws:iam::123456789012:oidc-provider/x"), NOW)
    assert subjects.take_used() == []
    subjects.use(session(ARN), NOW)
    subjects.use(session(ARN), NOW + timedelta(milliseconds=900))
    assert subjects.take_used() == [(ARN, "id-1")]
    assert subjects.take_used() == []
    subjects.use(session(ARN), NOW + timedelta(seconds=1))
    assert subjects.take_used() == [(ARN, "id-1")]
