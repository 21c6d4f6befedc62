"""Claims on assertions: each use counts once, on both stores, whoever asks at the same time."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.store.assertion_claims import Claim, Redemption, delete_expired_claims, redeem
from broker.store.engine import Database

FIRST, AGAIN, REFUSED = Redemption.FIRST, Redemption.AGAIN, Redemption.REFUSED


def claim(name: str, at: int = 100, *, again: int = 0, until: int = 1_000) -> Claim:
    """``a/role`` is a use of assertion ``a``, ``a/`` the use of all of it."""
    return Claim(name, name.partition("/")[0] + "/", at, until, again)


def redeemed(database: Database, *claims: Claim) -> list[Redemption]:
    with database.engine.begin() as connection:
        return redeem(connection, claims)


def test_each_use_once(database: Database) -> None:
    assert redeemed(database, claim("a/one"), claim("a/two"), claim("b/one")) == [FIRST, FIRST, FIRST]
    assert redeemed(database, claim("a/one"), claim("a/three"), claim("b/one")) == [REFUSED, FIRST, REFUSED]


def test_one_of_a_group_has_it(database: Database) -> None:
    assert sorted(redeemed(database, *[claim("a/one")] * 3), key=lambda one: one.value) == [FIRST, REFUSED, REFUSED]


def test_what_was_used_up_as_a_whole_is_of_no_use_any_more(database: Database) -> None:
    assert redeemed(database, claim("a/one")) == [FIRST]
    assert redeemed(database, claim("a/")) == [FIRST]
    assert redeemed(database, claim("a/"), claim("a/two"), claim("a/one", again=500)) == [REFUSED] * 3


@pytest.mark.parametrize(("later", "expected"), [(0, AGAIN), (59, AGAIN), (60, REFUSED), (600, REFUSED)])
def test_a_window(database: Database, later: int, expected: Redemption) -> None:
    assert redeemed(database, claim("a/one", 100, again=60)) == [FIRST]
    assert redeemed(database, claim("a/one", 100 + later, again=60)) == [expected]
    assert redeemed(database, claim("a/one", 100 + later)) == [REFUSED]


def test_expired_claims_go(database: Database) -> None:
    redeemed(database, claim("a/one", until=200), claim("a/two", until=201))
    with database.write() as connection:
        delete_expired_claims(connection, 201)
    assert redeemed(database, claim("a/one"), claim("a/two")) == [FIRST, REFUSED]


def test_a_transaction_that_fails_claims_nothing(database: Database) -> None:
    with database.engine.connect() as connection:
        redeem(connection, [claim("a/one")])
        connection.rollback()
    assert redeemed(database, claim("a/one")) == [FIRST]


def test_nodes_at_once(open_store: Callable[..., Database], tmp_path: Path) -> None:
    """Groups of the same uses in any order, by nodes that wait for each other: each use is had once."""
    nodes = [open_store(), open_store()]
    uses = [f"{letter}/{number}" for letter in "abcd" for number in range(6)]
    won: list[str] = []

    def ask(database: Database, seed: int) -> None:
        mixed = random.Random(seed).sample(uses, len(uses))
        for start in range(0, len(mixed), 4):
            claims = [claim(use) for use in mixed[start : start + 4]]
            with database.exclusive():
                outcomes = redeemed(database, *claims)
            won.extend(one.id for one, outcome in zip(claims, outcomes, strict=True) if outcome is FIRST)

    threads = [threading.Thread(target=ask, args=(nodes[number % 2], number)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == sorted(uses)
