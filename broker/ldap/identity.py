"""An LDAP identity as policies and sessions see it.

Condition keys: ``ldap:dn``, ``ldap:username``, ``ldap:groups`` (all of them, nested ones too) and ``ldap:ATTRIBUTE``
for each attribute that the registration names. Session tags, source identity and session name are made of
attributes, as the registration says.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from broker.authorization import Context
from broker.domain.principal import Principal, PrincipalKind
from broker.domain.session import Tag
from broker.errors import InvalidIdentity
from broker.session_requests import check_source_identity, check_tags
from broker.store.identity_providers import ProviderRecord
from providers.base import ExternalIdentity

ACTION = "sts:AssumeRoleWithLDAPIdentity"
_KEPT = ("dn", "username")
_NOT_IN_NAMES = re.compile(rb"[^\w+,.@-]")
"""Of what a session name and a source identity may have, ``=`` is left out: it marks what was replaced."""
_LONGEST_NAME, _DIGEST = 64, 16


@dataclass(frozen=True, slots=True)
class AskedSession:
    """What the registration makes of the attributes."""

    session_name: str
    tags: Mapping[str, str]
    source_identity: str | None


def ldap_principal(record: ProviderRecord, identity: ExternalIdentity) -> Principal:
    """The subject is what the directory's entry is known by for ever; people know the user name."""
    (username,) = identity.attributes["username"]
    return Principal(PrincipalKind.LDAP_IDENTITY, record.account, record.arn, identity.subject, user_name=username)


def ldap_context(identity: ExternalIdentity) -> Context:
    """All keys."""
    return {f"ldap:{name}": values for name, values in identity.attributes.items()}


def kept_keys(identity: ExternalIdentity) -> Context:
    """Those that stay for the session's life."""
    return {f"ldap:{name}": identity.attributes[name] for name in _KEPT}


def read_asked_session(record: ProviderRecord, identity: ExternalIdentity) -> AskedSession:
    """Raises InvalidIdentity if an attribute that is needed is missing, or has several values."""
    settings = record.settings
    name = settings["session_name_attribute"] or "username"
    source = settings["source_identity_attribute"]
    tags = [
        Tag(one["key"], _single(identity, one["attribute"]))
        for one in settings["session_tags"]
        if one["attribute"] in identity.attributes
    ]
    source_identity = None if source is None else as_name(_single(identity, source))
    check_source_identity(source_identity)
    return AskedSession(as_name(_single(identity, name)), check_tags(tags, ()), source_identity)


def as_name(text: str) -> str:
    """``text`` as a session name: what such names cannot have becomes ``=27``, and a long one ends in a digest.

    Two texts never become one name, so that nobody can be taken for somebody else.
    """
    name = _NOT_IN_NAMES.sub(lambda found: b"=%02X" % found[0][0], text.encode()).decode()
    if len(name) > _LONGEST_NAME:
        digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST]
        return f"{name[: _LONGEST_NAME - _DIGEST - 2]}=={digest}"
    return name if len(name) > 1 else f"{name}="


def _single(identity: ExternalIdentity, attribute: str) -> str:
    values = identity.attributes.get(attribute, ())
    if len(values) != 1:
        raise InvalidIdentity(
            "The directory's entry cannot be mapped to a session",
            detail=f"the attribute {attribute} has {len(values)} values; the mapping needs one",
        )
    return values[0]
