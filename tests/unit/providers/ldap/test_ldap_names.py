"""What is typed stays a value, in filters and in DNs."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from realm.ldap_attacks import DN, FILTER

from providers.errors import CredentialsRejected
from providers.ldap.names import anybody, check_credentials, equals, fill_filter, fill_name, follow_chain

TYPED = st.text(min_size=1, max_size=40).filter(lambda text: text.strip() and "\x00" not in text)
TEMPLATE = "uid={username},ou=people,dc=test"


@pytest.mark.parametrize("name", [*FILTER, *DN])
def test_known_attacks_on_filters(name: str) -> None:
    query = fill_filter("(&(objectClass=person)(uid={username}))", username=name)
    assert query.count("(") == 3
    assert query.count(")") == 3
    assert query.partition("(uid=")[2].count("*") == 0


def special(dn: str) -> str:
    """The characters that mean something in a DN: what is left without the escaped ones (RFC 4514, section 3)."""
    return "".join(one for one in re.sub(r"\\.", "", dn, flags=re.DOTALL) if one in ',+"\\<>;=\x00')


@given(TYPED)
def test_a_name_is_one_comparison(name: str) -> None:
    query = fill_filter("(&(objectClass=person)(|(uid={username})(mail={username})))", username=name)
    assert query.count("(") == 5
    assert query.count(")") == 5
    assert "*" not in query


def test_what_somebody_does_not_have_matches_nothing() -> None:
    assert fill_filter("(|(member={dn})(memberUid={username}))", dn="cn=x") == "(|(member=cn=x)(memberUid=\\00))"


def test_names_are_put_in_once() -> None:
    assert fill_filter("(member={dn})", dn="cn={username}", username="*") == "(member=cn={username})"


@given(TYPED)
def test_a_dn_has_as_many_parts_as_the_template(name: str) -> None:
    assert special(fill_name(TEMPLATE, name)) == "=,=,="


@pytest.mark.parametrize("name", DN)
def test_known_attacks_on_dns(name: str) -> None:
    made = fill_name(TEMPLATE, name)
    assert special(made) == "=,=,="
    assert not made.startswith("uid=#")


@pytest.mark.parametrize("template", ["{username}@ad.test", "AD\\{username}"])
@pytest.mark.parametrize("name", ["alice@other.test", "OTHER\\alice", "alice/x"])
def test_a_domain_cannot_be_chosen(template: str, name: str) -> None:
    with pytest.raises(CredentialsRejected):
        fill_name(template, name)


def test_names_with_a_domain() -> None:
    assert fill_name("{username}@ad.test", "alice") == "alice@ad.test"
    assert fill_name("AD\\{username}", "alice") == "AD\\alice"


def test_the_rule_that_follows_groups() -> None:
    rule = "1.2.840.113556.1.4.1941"
    assert follow_chain("(&(objectClass=group)(member={dn}))") == f"(&(objectClass=group)(member:{rule}:={{dn}}))"
    assert follow_chain("(memberUid={username})") == "(memberUid={username})"


def test_whoever_could_log_in() -> None:
    assert anybody("(&(objectClass=person)(uid={username}))") == "(&(objectClass=person)(uid=*))"


def test_octets_are_escaped() -> None:
    assert equals("objectGUID", b"\x00*(") == "(objectGUID=\\00\\2a\\28)"


@pytest.mark.parametrize(
    ("name", "password"), [("alice", "x" * 1_024), ("x" * 1_024, "y"), ("o'brien", " "), ("李", "密")]
)
def test_what_may_be_sent(name: str, password: str) -> None:
    check_credentials(name, password)
