"""Providers' rows: what is unique of each kind, and who is found by an issuer."""

from __future__ import annotations

import pytest

from broker.store.accounts import put_account
from broker.store.engine import Database
from broker.store.identity_providers import (
    ProviderRecord,
    Registration,
    count_providers,
    delete_declared_providers,
    find_provider,
    find_registration,
    insert_provider,
    is_registered,
    list_entries,
    list_providers,
    put_provider,
    set_provider_tags,
)

ACCOUNT, OTHER = "123456789012", "210987654321"
ISSUER = "https://id.example.com"


def record(kind: str, name: str, issuer: str = ISSUER, account: str = ACCOUNT) -> ProviderRecord:
    return ProviderRecord(
        f"arn:aws:iam::{account}:{kind}-provider/{name}", account, kind, issuer, {"valid_until": None}
    )


OIDC, SAML, LDAP = record("oidc", "id.example.com"), record("saml", "Okta"), record("ldap", "Directory")


@pytest.fixture(autouse=True)
def accounts(database: Database) -> None:
    with database.change() as connection:
        for account in (ACCOUNT, OTHER):
            put_account(connection, account, "", 0)


@pytest.mark.parametrize("first", [SAML, LDAP])
def test_a_token_finds_no_provider_of_another_kind(database: Database, first: ProviderRecord) -> None:
    """A SAML provider's entity id may look like an issuer: no token may be judged by it."""
    with database.change() as connection:
        insert_provider(connection, Registration(first, {}, False, 0))
        assert find_provider(connection, ACCOUNT, ISSUER) is None
        insert_provider(connection, Registration(OIDC, {}, False, 0))
        assert find_provider(connection, ACCOUNT, ISSUER) == OIDC
        assert find_provider(connection, OTHER, ISSUER) is None
        assert list_providers(connection, "oidc") == [OIDC]


@pytest.mark.parametrize(
    ("other", "taken"),
    [
        (record("saml", "oKTA"), True),
        (record("saml", "Okta", "https://elsewhere.example.com"), True),
        (record("saml", "Okta-2"), False),
        (record("ldap", "Okta"), False),
        (record("saml", "Okta", account=OTHER), False),
        (record("oidc", "id.example.com", "http://id.example.com"), True),
        (record("oidc", "ID.example.com", "https://ID.example.com"), False),
    ],
    ids=lambda value: getattr(value, "arn", value),
)
def test_what_is_unique(database: Database, other: ProviderRecord, taken: bool) -> None:
    with database.change() as connection:
        for made in (OIDC, SAML):
            insert_provider(connection, Registration(made, {}, False, 0))
        assert is_registered(connection, other) is taken


def test_a_name_in_another_case_is_the_same_also_for_the_configuration(database: Database) -> None:
    again = record("saml", "OKTA")
    with database.change() as connection:
        insert_provider(connection, Registration(SAML, {"a": "b"}, False, 7))
        put_provider(connection, again, declared=True, now=9)
        assert count_providers(connection, ACCOUNT, "saml") == 1
        assert find_registration(connection, ACCOUNT, SAML.arn) is None
        assert find_registration(connection, ACCOUNT, again.arn) == Registration(again, {"a": "b"}, True, 7)
        assert delete_declared_providers(connection, keep=[]) == [again.arn]


def test_an_account_sees_its_own(database: Database) -> None:
    with database.change() as connection:
        insert_provider(connection, Registration(SAML, {}, False, 7))
        set_provider_tags(connection, SAML.arn, {"Team": "blue"})
        assert find_registration(connection, ACCOUNT, SAML.arn) == Registration(SAML, {"Team": "blue"}, False, 7)
        assert find_registration(connection, OTHER, SAML.arn) is None
        assert list_entries(connection, OTHER, "saml") == []
        assert [entry.arn for entry in list_entries(connection, ACCOUNT, "saml")] == [SAML.arn]
        assert list_entries(connection, ACCOUNT, "saml", after="okta") == []
