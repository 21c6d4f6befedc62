"""Passwords while others write: what was decided outside of the transaction is looked at again inside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from simulated_account import ACCOUNT, NOW, make_services

from broker.audit.event import CallRecord
from broker.callers import root_principal
from broker.catalog import LongTermKey
from broker.domain.secret import Secret
from broker.errors import BrokerError, NotFound, PasswordPolicyViolation, TemporarilyUnmodifiable
from broker.iam.login_profiles import create_login_profile, delete_login_profile, update_login_profile
from broker.iam.password_policy import update_account_password_policy
from broker.services import Caller, Candidate, Services
from broker.store.entities import delete_entity, find_entity_by_name
from broker.store.login_profiles import REMEMBERED, LoginProfile, find_login_profile, former_passwords

FIRST, SECOND, THIRD = Secret("Wolf7!lantern"), Secret("Quay-of-9-Geese"), Secret("Marble+42+river")


class Interrupted:
    """Hashing in no time, during which something else may happen once."""

    def __init__(self) -> None:
        self.meanwhile: Callable[[], None] = lambda: None

    def hash(self, password: Secret) -> str:
        happens, self.meanwhile = self.meanwhile, lambda: None
        happens()
        return f"hash of {password.reveal()}"

    def matches(self, stored: str | None, password: Secret) -> bool:
        return stored == f"hash of {password.reveal()}"


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = make_services(tmp_path)
    object.__setattr__(made, "passwords", Interrupted())
    yield made
    made.usage.close()
    made.audit.close()
    made.database.close()


def root() -> Caller:
    key = LongTermKey(ACCOUNT, True, Secret("secret"), None)
    return Caller(NOW, CallRecord("id", NOW), verified=Candidate(root_principal(ACCOUNT), "secret", key=key))


def meanwhile(services: Services, happens: Callable[[], None]) -> None:
    services.passwords.meanwhile = happens  # type: ignore[attr-defined]


def profile(services: Services) -> LoginProfile | None:
    with services.database.read() as connection:
        user = find_entity_by_name(connection, ACCOUNT, "user", "bob")
        return None if user is None else find_login_profile(connection, user.id)


def set_password(services: Services, password: Secret) -> None:
    update_login_profile(services, root(), user_name="bob", password=password)


def create(services: Services, password: Secret = FIRST) -> None:
    create_login_profile(services, root(), user_name="bob", password=password)


def delete_bob(services: Services) -> None:
    with services.database.change() as connection:
        user = find_entity_by_name(connection, ACCOUNT, "user", "bob")
        assert user is not None
        delete_entity(connection, user.id)


@pytest.mark.parametrize(
    ("happens", "refusal"),
    [
        (lambda services: set_password(services, THIRD), TemporarilyUnmodifiable),
        (
            lambda services: update_account_password_policy(services, root(), minimum_password_length=30),
            TemporarilyUnmodifiable,
        ),
        (lambda services: delete_login_profile(services, root(), user_name="bob"), NotFound),
        (delete_bob, NotFound),
    ],
)
def test_what_changed_meanwhile_is_not_overwritten(
    services: Services, happens: Callable[[Services], None], refusal: type[BrokerError]
) -> None:
    create(services)
    meanwhile(services, lambda: happens(services))
    with pytest.raises(refusal):
        set_password(services, SECOND)
    found = profile(services)
    assert found is None or found.password_hash != f"hash of {SECOND.reveal()}"


def test_of_two_that_create_one_does(services: Services) -> None:
    meanwhile(services, lambda: create(services, SECOND))
    with pytest.raises(BrokerError, match="already exists"):
        create(services, FIRST)
    found = profile(services)
    assert found is not None
    assert found.password_hash == f"hash of {SECOND.reveal()}"


def test_as_many_as_a_policy_can_forbid_are_remembered(services: Services) -> None:
    update_account_password_policy(services, root(), password_reuse_prevention=24)
    create(services, Secret("Lantern-000-wolf"))
    for number in range(1, 31):
        set_password(services, Secret(f"Lantern-{number:03}-wolf"))
    found = profile(services)
    assert found is not None
    with services.database.read() as connection:
        assert len(former_passwords(connection, found.user_id)) <= REMEMBERED
    for number in (30, 29, 7):
        with pytest.raises(PasswordPolicyViolation, match="last 24 passwords"):
            set_password(services, Secret(f"Lantern-{number:03}-wolf"))
    set_password(services, Secret("Lantern-006-wolf"))
