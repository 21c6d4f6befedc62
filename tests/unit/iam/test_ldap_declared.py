"""Directories of the configuration file are checked as the wire's model checks those that come by API."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from broker.aws.model import load_extensions
from broker.domain.secret import Secret
from broker.errors import InvalidInput, ValidationFailed
from broker.iam import ldap_declared
from broker.iam.ldap_declared import declared_ldap_record
from broker.iam.ldap_settings import LdapSettings
from broker.settings import LdapProviderEntry

SHAPES = load_extensions()["iam"]["shapes"]
GOOD: dict[str, Any] = {
    "kind": "ldap",
    "name": "corp",
    "servers": ["ldaps://ldap.example.com"],
    "bind_dn": "cn=broker,dc=example",
    "user_search": {"base_dn": "dc=example", "filter": "(uid={username})"},
}


def entry(**fields: Any) -> LdapProviderEntry:
    found = {name: value for name, value in (GOOD | fields).items() if value is not None}
    return msgspec.convert(found, LdapProviderEntry)


def make(password: str | None = "secret", **fields: Any) -> dict[str, Any]:
    secret = None if password is None else Secret(password)
    return dict(declared_ldap_record(b"m" * 32, "123456789012", entry(**fields), None, secret).settings)


def test_what_is_kept() -> None:
    found = make(session_tags={"Team": "ou"}, group_search={"base_dn": "dc=example", "filter": "(member={dn})"})
    assert found["session_tags"] == [{"key": "Team", "attribute": "ou"}]
    assert found["group_search"]["nested"] == "None"
    assert found["any_network"] is True
    assert "secret" not in str(found)


def test_the_defaults_are_the_api_s() -> None:
    api = {field: getattr(LdapSettings(()), field) for field in ldap_declared._RANGES}
    assert {field: getattr(entry(), field) for field in ldap_declared._RANGES} == api


def test_the_limits_are_the_model_s() -> None:
    members = SHAPES["LDAPProviderSettings"]["members"]
    for field, (least, most) in ldap_declared._RANGES.items():
        shape = SHAPES[members["".join(part.capitalize() for part in field.split("_"))]["shape"]]
        assert (shape["min"], shape["max"]) == (least, most), field
    assert SHAPES["ldapServerType"]["pattern"] == ldap_declared._SERVER.pattern
    assert SHAPES["ldapAttributeType"]["pattern"] == "[A-Za-z][A-Za-z0-9-]*"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"servers": []}, "Servers must not be empty"),
        ({"servers": ["http://ldap.example.com"]}, "is not ldaps://"),
        ({"servers": ["ldaps://a.example.com:0"]}, "no port between"),
        ({"referral_servers": ["ldaps://*"]}, "is not ldaps://"),
        ({"attributes": ["mail)(x"]}, "no attribute's name"),
        ({"username_attribute": "a b"}, "no attribute's name"),
        ({"timeout_seconds": 0}, "timeout_seconds must be between 1 and 60"),
        ({"page_size": 1_001}, "page_size must be between"),
        ({"sync_threshold_percent": 0}, "must be between 1 and 100"),
        ({"user_search": None}, "UserSearch or UserDNTemplate"),
        ({"user_search": {"base_dn": "people", "filter": "(uid={username})"}}, "no distinguished name"),
        ({"user_dn_template": "uid={username},dc=x"}, "either UserSearch or UserDNTemplate"),
        ({"password": None}, "BindDN and BindPassword"),
        ({"bind_dn": None}, "BindDN and BindPassword"),
        ({"session_tags": {"aws:x": "ou"}}, "UserSearch|aws:|reserved"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises((InvalidInput, ValidationFailed), match=words):
        make(**fields)
