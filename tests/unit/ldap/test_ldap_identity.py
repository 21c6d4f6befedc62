"""What a directory's attributes become: names that no two people share, tags, a source identity."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import InvalidIdentity
from broker.ldap.identity import as_name, kept_keys, ldap_context, ldap_principal, read_asked_session
from broker.store.identity_providers import ProviderRecord
from providers.base import ExternalIdentity

NOW = datetime(2027, 1, 1, tzinfo=UTC)
ARN = "arn:aws:iam::123456789012:ldap-provider/corp"
NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)


@given(st.text(min_size=1, max_size=100))
def test_every_text_becomes_a_name(text: str) -> None:
    assert NAME.fullmatch(as_name(text))


@given(st.text(min_size=1, max_size=70), st.text(min_size=1, max_size=70))
def test_two_texts_become_two_names(one: str, other: str) -> None:
    assert (as_name(one) == as_name(other)) is (one == other)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("alice", "alice"),
        ("o'brien", "o=27brien"),
        ("o=27brien", "o=3D27brien"),
        ("a b", "a=20b"),
        ("a", "a="),
        ("a=", "a=3D"),
        ("é", "=C3=A9"),
        ("alice@example.com", "alice@example.com"),
    ],
)
def test_names(text: str, name: str) -> None:
    assert as_name(text) == name


def test_long_names_end_in_a_digest() -> None:
    first, second = as_name("x" * 65), as_name("x" * 66)
    assert len(first) == len(second) == 64
    assert first != second
    assert as_name("x" * 64) == "x" * 64


def record(**settings: Any) -> ProviderRecord:
    kept = {"session_name_attribute": None, "source_identity_attribute": None, "session_tags": [], **settings}
    return ProviderRecord(ARN, "123456789012", "ldap", ARN, kept)


def identity(**attributes: tuple[str, ...]) -> ExternalIdentity:
    own = {"username": ("alice",), "dn": ("uid=alice,dc=x",), "groups": ("a", "b")}
    return ExternalIdentity(ARN, ARN, "id-1", (ARN,), {**attributes, **own}, None, NOW, NOW)


def test_the_user_name_names_the_session() -> None:
    assert read_asked_session(record(), identity()).session_name == "alice"


def test_attributes_are_mapped() -> None:
    settings = {
        "session_name_attribute": "mail",
        "source_identity_attribute": "employeeNumber",
        "session_tags": [{"key": "Team", "attribute": "ou"}, {"key": "Missing", "attribute": "nothing"}],
    }
    found = read_asked_session(record(**settings), identity(mail=("a@x",), employeeNumber=("0042",), ou=("Red",)))
    assert (found.session_name, found.source_identity, found.tags) == ("a@x", "0042", {"Team": "Red"})


@pytest.mark.parametrize(
    ("settings", "attributes"),
    [
        ({"session_name_attribute": "mail"}, {}),
        ({"session_name_attribute": "mail"}, {"mail": ("a@x", "b@x")}),
        ({"source_identity_attribute": "uid"}, {}),
        ({"session_tags": [{"key": "Team", "attribute": "ou"}]}, {"ou": ("Red", "Blue")}),
        ({"session_tags": [{"key": "Team", "attribute": "ou"}]}, {"ou": ("Red!",)}),
    ],
)
def test_attributes_that_cannot_be_mapped(settings: dict[str, Any], attributes: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(InvalidIdentity):
        read_asked_session(record(**settings), identity(**attributes))


def test_keys_and_principal() -> None:
    found = identity(mail=("a@x",))
    assert ldap_context(found) == {
        "ldap:mail": ("a@x",),
        "ldap:username": ("alice",),
        "ldap:dn": ("uid=alice,dc=x",),
        "ldap:groups": ("a", "b"),
    }
    assert kept_keys(found) == {"ldap:dn": ("uid=alice,dc=x",), "ldap:username": ("alice",)}
    principal = ldap_principal(record(), found)
    assert (principal.arn, principal.unique_id, principal.user_name) == (ARN, "id-1", "alice")
