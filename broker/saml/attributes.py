"""What an assertion asks of the session to come: AWS's own attributes.

IAM User Guide, "configure SAML assertions for the authentication response". Their names are exact; their values are
literals, never patterns or variables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from broker.domain.session import Tag
from broker.errors import InvalidIdentity, ValidationFailed
from broker.session_requests import check_source_identity, check_tags

PREFIX = "https://aws.amazon.com/SAML/Attributes/"
ROLE = f"{PREFIX}Role"
_SESSION_NAME = f"{PREFIX}RoleSessionName"
_DURATION = f"{PREFIX}SessionDuration"
_TAG = f"{PREFIX}PrincipalTag:"
_TRANSITIVE = f"{PREFIX}TransitiveTagKeys"
_SOURCE_IDENTITY = f"{PREFIX}SourceIdentity"
_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_ARN = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:(role|saml-provider)/[\w+=,.@/-]{1,640}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{3,5}")
_SHORTEST, _LONGEST = 900, 43_200

Attributes = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class RolePair:
    """A role that the provider lets the subject choose, and the provider that says so."""

    role_arn: str
    provider_arn: str


@dataclass(frozen=True, slots=True)
class AskedSession:
    """``longest_seconds`` only ever shortens a session."""

    session_name: str
    longest_seconds: int | None
    tags: Mapping[str, str]
    transitive_tag_keys: tuple[str, ...]
    source_identity: str | None


def read_role_pairs(attributes: Attributes) -> list[RolePair]:
    """Every good value of the attribute Role; one that is no pair lets nobody in."""
    pairs = (parse_role_pair(value) for value in attributes.get(ROLE, ()))
    return [pair for pair in pairs if pair is not None]


def parse_role_pair(value: str) -> RolePair | None:
    """``role ARN,provider ARN`` in either order, white space around them aside."""
    parts = [part.strip(" \t\r\n") for part in value.split(",")]
    found = {match[1]: match[0] for part in parts if (match := _ARN.fullmatch(part))}
    if len(parts) != 2 or len(found) != 2:
        return None
    return RolePair(found["role"], found["saml-provider"])


def read_asked_session(attributes: Attributes) -> AskedSession:
    """Raises InvalidIdentity, with AWS's sentences where it has any."""
    name = _single(attributes, _SESSION_NAME, "RoleSessionName")
    if name is None:
        raise InvalidIdentity("RoleSessionName is required in AuthnResponse")
    if not _NAME.fullmatch(name):
        raise InvalidIdentity("RoleSessionName in AuthnResponse must match [a-zA-Z_0-9+=,.@-]{2,64}")
    source_identity = _single(attributes, _SOURCE_IDENTITY, "SourceIdentity")
    transitive = attributes.get(_TRANSITIVE, ())
    try:
        check_source_identity(source_identity)
        tags = check_tags(_read_tags(attributes), transitive)
    except ValidationFailed as error:
        raise InvalidIdentity(error.message) from None
    return AskedSession(name, _read_duration(attributes), tags, transitive, source_identity)


def _read_tags(attributes: Attributes) -> list[Tag]:
    tags = []
    for name, values in attributes.items():
        if name.startswith(_TAG):
            key = name.removeprefix(_TAG)
            if len(values) != 1:
                raise InvalidIdentity(f"The session tag {key[:128]} must have exactly one value")
            tags.append(Tag(key, values[0]))
    return tags


def _read_duration(attributes: Attributes) -> int | None:
    text = _single(attributes, _DURATION, "SessionDuration")
    if text is None:
        return None
    if not _SECONDS.fullmatch(text) or not _SHORTEST <= int(text) <= _LONGEST:
        raise InvalidIdentity(f"SessionDuration in AuthnResponse must be between {_SHORTEST} and {_LONGEST} seconds")
    return int(text)


def _single(attributes: Attributes, name: str, shown: str) -> str | None:
    values = attributes.get(name)
    if values is None:
        return None
    if len(values) != 1:
        raise InvalidIdentity(f"{shown} in AuthnResponse must have exactly one value")
    return values[0]
