"""Trust in a user or role means the one who was there when the policy was saved, and no namesake."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from realm.server import ACCOUNT, BrokerServer, Keys, accredit, refused, serving
from realm.site import allow, role, role_arn, trust, user, user_arn

SECRET = "s" * 40
SOON = 15.0
OBJECTS = "\n".join(
    (
        user("ops", may=[allow("sts:*")], secret_file="ops.secret"),
        role("first", trust({"AWS": ACCOUNT}), trust({"AWS": role_arn("mutual")}), may=[allow("sts:*")]),
        role("mutual", trust({"AWS": [role_arn("first"), role_arn("mutual")]}), may=[allow("sts:*")]),
        role("for-ops", trust({"AWS": user_arn("ops")})),
        role("for-session", trust({"AWS": f"arn:aws:sts::{ACCOUNT}:assumed-role/first/live"})),
    )
)


@pytest.fixture
def site(make_broker: Callable[..., BrokerServer]) -> Iterator[BrokerServer]:
    made = make_broker(settings={"server.workers": 2})
    secret_file = made.directory / "ops.secret"
    secret_file.touch(mode=0o600)
    secret_file.write_text(SECRET)
    made.add(OBJECTS)
    with serving(made):
        yield made


@pytest.fixture
def ops(site: BrokerServer) -> Keys:
    (key_id,) = json.loads(accredit("config", "check", "--json", site.directory))["access_keys"]
    return Keys(key_id, SECRET)


def _assume(site: BrokerServer, keys: Keys, name: str) -> Keys:
    answer = site.client(keys).assume_role(RoleArn=role_arn(name), RoleSessionName="live")
    return Keys.of(answer)


def _recreate(site: BrokerServer, arn: str) -> None:
    """What deleting the entity and making another of the same name leaves: all as it was, but for the unique id.

    Written from outside, as another node would; returns when both workers have heard of it.
    """
    with contextlib.closing(sqlite3.connect(site.database, timeout=10)) as connection, connection:
        (old,) = connection.execute("SELECT id FROM entities WHERE arn = ?", (arn,)).fetchone()
        new = old[:-4] + "2345"
        for table, column in (
            ("entities", "id"),
            ("roles", "id"),
            ("inline_policies", "entity_id"),
            ("access_keys", "user_id"),
        ):
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (new, old))
        connection.execute("UPDATE revision SET value = value + 1")
    time.sleep(2)


def _until_granted(ask: Callable[[], Any]) -> None:
    deadline = time.monotonic() + SOON
    while True:
        try:
            ask()
        except (ClientError, OSError):
            assert time.monotonic() < deadline, "the policy is not bound anew"
            time.sleep(0.2)
        else:
            return


def test_a_namesake_of_a_user_is_not_trusted_until_the_policy_is_saved_again(site: BrokerServer, ops: Keys) -> None:
    _assume(site, ops, "for-ops")
    _recreate(site, user_arn("ops"))
    _assume(site, ops, "first")  # by the account's name, which is nobody's in particular
    for _ in range(8):
        with refused("AccessDenied"):
            _assume(site, ops, "for-ops")
    site.reload()
    _until_granted(lambda: _assume(site, ops, "for-ops"))


def test_a_namesake_of_a_role_is_not_trusted(site: BrokerServer, ops: Keys) -> None:
    before = _assume(site, ops, "first")
    _assume(site, before, "mutual")
    _recreate(site, role_arn("first"))
    after = _assume(site, ops, "first")
    for keys in (before, after):
        with refused("AccessDenied"):
            _assume(site, keys, "mutual")
    _assume(site, after, "for-session")  # a session's name is a name


def test_roles_that_trust_each_other_and_themselves(site: BrokerServer, ops: Keys) -> None:
    mutual = _assume(site, _assume(site, ops, "first"), "mutual")
    _assume(site, mutual, "first")
    _assume(site, mutual, "mutual")


def test_a_reload_that_trusts_nobody_is_refused_and_the_old_trust_goes_on(site: BrokerServer, ops: Keys) -> None:
    site.add(role("dangling", trust({"AWS": role_arn("nowhere")})))
    site.reload()
    deadline = time.monotonic() + SOON
    while "configuration not applied" not in site.log():
        assert time.monotonic() < deadline, site.log()[-2000:]
        time.sleep(0.1)
    assert "[[role]] dangling: trust policy: Invalid principal in policy" in site.log()
    _until_granted(lambda: _assume(site, ops, "for-ops"))
    with refused("AccessDenied"):
        _assume(site, ops, "dangling")
