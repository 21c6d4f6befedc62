"""Settings of a directory: kept as JSON without a loss, and checked without a look at the directory."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.credentials.provider_secrets import seal_bind_password, unseal_bind_password
from broker.credentials.sealing import SealBroken
from broker.domain.secret import Secret
from broker.errors import InvalidInput
from broker.iam.ldap_settings import (
    GroupSearch,
    LdapSettings,
    SessionTag,
    UserSearch,
    check_ldap_settings,
    settings_from_json,
    settings_to_json,
)

TEXT = st.text(min_size=1, max_size=20)
NAMES = st.lists(TEXT, max_size=3).map(tuple)
SETTINGS = st.builds(
    LdapSettings,
    servers=NAMES,
    certificate_authority=st.none() | TEXT,
    bind_dn=st.none() | TEXT,
    user_search=st.none() | st.builds(UserSearch, TEXT, TEXT),
    user_dn_template=st.none() | TEXT,
    group_search=st.none() | st.builds(GroupSearch, TEXT, TEXT, TEXT, TEXT),
    attributes=NAMES,
    session_tags=st.lists(st.builds(SessionTag, TEXT, TEXT), max_size=3).map(tuple),
    source_identity_attribute=st.none() | TEXT,
    session_name_attribute=st.none() | TEXT,
)


@given(SETTINGS)
def test_what_is_kept_is_what_was_given(settings: LdapSettings) -> None:
    stored = settings_to_json(settings)
    found = settings_from_json(json.loads(json.dumps(stored)))
    assert settings_to_json(found) == stored
    assert (found.user_search, found.group_search) == (settings.user_search, settings.group_search)
    assert tuple(found.session_tags) == settings.session_tags


@given(SETTINGS, st.booleans())
def test_settings_are_good_or_invalid_input(settings: LdapSettings, with_password: bool) -> None:
    try:
        check_ldap_settings(settings, with_password=with_password)
    except InvalidInput:
        return
    assert settings.user_search is not None or settings.user_dn_template is not None
    assert (settings.bind_dn is not None) is with_password


def direct(template: str) -> LdapSettings:
    return LdapSettings(("ldaps://a.example.com",), user_dn_template=template)


@pytest.mark.parametrize(
    "template",
    [
        "uid={username},dc=example",
        "uid={username}, ou=people,dc=example,dc=com",
        "cn={username}+sn=x,dc=example",
        "2.5.4.3={username},dc=example",
        r"cn={username},ou=a\,b,dc=ex\20ample",
        "cn={username},o=Bücher",
    ],
)
def test_distinguished_names(template: str) -> None:
    check_ldap_settings(direct(template), with_password=False)


@pytest.mark.parametrize(
    "template",
    [
        "{username}",
        "uid={username},",
        "uid={username},dc",
        "uid={username};dc=x",
        "uid={username},dc=a<b",
        "=x{username}",
    ],
)
def test_what_is_no_distinguished_name(template: str) -> None:
    with pytest.raises(InvalidInput, match="UserDNTemplate is no distinguished name"):
        check_ldap_settings(direct(template), with_password=False)


def searching(**members: Any) -> LdapSettings:
    return LdapSettings(("ldaps://a.example.com",), **members)


@pytest.mark.parametrize("text", ["(uid={username})", "(&(objectClass=person)(|(uid={username})(mail={username})))"])
def test_filters(text: str) -> None:
    check_ldap_settings(searching(user_search=UserSearch("dc=example", text)), with_password=False)


@pytest.mark.parametrize(
    "text", ["", "()", "uid={username}", "(uid={username}", "(uid={username}))", "(a={username})(b=c)"]
)
def test_what_is_no_filter(text: str) -> None:
    with pytest.raises(InvalidInput):
        check_ldap_settings(searching(user_search=UserSearch("dc=example", text)), with_password=False)


def test_a_long_name_is_judged_in_no_time() -> None:
    with pytest.raises(InvalidInput):
        check_ldap_settings(direct("cn={username}" + ",a=b" * 100_000 + ","), with_password=False)


def test_a_password_opens_for_its_provider_alone() -> None:
    sealed = seal_bind_password(b"m" * 32, "arn:one", Secret("correct"))
    assert "correct" not in sealed
    assert unseal_bind_password(b"m" * 32, "arn:one", sealed).reveal() == "correct"
    with pytest.raises(SealBroken):
        unseal_bind_password(b"m" * 32, "arn:two", sealed)
    with pytest.raises(SealBroken):
        unseal_bind_password(b"n" * 32, "arn:one", sealed)
