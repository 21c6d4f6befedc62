"""The index of the audit record: where an account's events with some value are.

Each leaf gets a mark under every value that CloudTrail's LookupEvents can ask for. A value is known by a digest, so
that long or hostile ones cost no more than others; a reader compares the event itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

ATTRIBUTES = (
    "EventId",
    "EventName",
    "ReadOnly",
    "Username",
    "ResourceType",
    "ResourceName",
    "EventSource",
    "AccessKeyId",
)
"""CloudTrail API Reference, "LookupAttribute"."""
ALL = "All"
"""The attribute that every event of an account has."""
ERROR_CODE = "ErrorCode"
PRINCIPAL = "Principal"
"""Of our own commands: the unique id of the user or role."""

_MAX_RESOURCES = 20


@lru_cache(maxsize=16_384)
def index_key(account: str, attribute: str, value: str) -> int:
    """The digest that marks are kept under: 63 bits."""
    text = f"{account}\x00{attribute}\x00{value}".encode("utf-8", "replace")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


def index_keys(event: dict[str, Any]) -> set[int]:
    """All digests of an event."""
    account = event_account(event)
    keys = {index_key(account, attribute, value) for attribute, value in event_values(event)}
    keys.add(index_key(account, ALL, ""))
    return keys


def event_account(event: dict[str, Any]) -> str:
    """The account whose record it is in; empty for attempts of nobody on nothing."""
    return str(event.get("recipientAccountId") or "")


def event_values(event: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Attribute and value, for each attribute that the event has."""
    identity = event.get("userIdentity") or {}
    single = {
        "EventId": event.get("eventID"),
        "EventName": event.get("eventName"),
        "ReadOnly": "true" if event.get("readOnly") else "false",
        "Username": user_name(identity),
        "EventSource": event.get("eventSource"),
        "AccessKeyId": identity.get("accessKeyId"),
        ERROR_CODE: event.get("errorCode"),
        PRINCIPAL: principal_id(identity),
    }
    yield from ((name, str(value)) for name, value in single.items() if value)
    for kind, name in event_resources(event):
        yield "ResourceName", name
        if kind:
            yield "ResourceType", kind


def user_name(identity: dict[str, Any]) -> str:
    """CloudTrail's Username: of a role session its name, of root the word."""
    kind = identity.get("type")
    if kind == "AssumedRole":
        return str(identity.get("arn", "")).rpartition("/")[2]
    return "root" if kind == "Root" else str(identity.get("userName") or "")


def principal_id(identity: dict[str, Any]) -> str:
    """The unique id of the user, or of the role behind a session."""
    return str(identity.get("principalId") or "").partition(":")[0]


def event_resources(event: dict[str, Any]) -> list[tuple[str, str]]:
    """Type and name of what the call was about: those listed in the record, and the access keys that it made."""
    listed = [str(found.get("ARN", "")) for found in event.get("resources") or ()][:_MAX_RESOURCES]
    resources = [(resource_type(arn), arn) for arn in listed if arn]
    resources += [(kind, arn.rpartition("/")[2]) for kind, arn in resources if "/" in arn]
    parameters = event.get("requestParameters") or {}
    resources += [(kind, str(parameters[name])) for name, kind in _PARAMETERS.items() if parameters.get(name)]
    made = ((event.get("responseElements") or {}).get("credentials") or {}).get("accessKeyId")
    if made:
        resources.append(("AWS::IAM::AccessKey", str(made)))
    return list(dict.fromkeys(resources))


_PARAMETERS = {
    "accessKeyId": "AWS::IAM::AccessKey",
    "groupName": "AWS::IAM::Group",
    "instanceProfileName": "AWS::IAM::InstanceProfile",
    "ldapProviderArn": "Accredit::IAM::LDAPProvider",
    "openIdConnectProviderArn": "AWS::IAM::OIDCProvider",
    "policyArn": "AWS::IAM::Policy",
    "roleName": "AWS::IAM::Role",
    "samlProviderArn": "AWS::IAM::SAMLProvider",
    "serialNumber": "AWS::IAM::MfaDevice",
    "userName": "AWS::IAM::User",
}
"""Parameters that name what a call is about."""

_TYPES = {
    "role": "AWS::IAM::Role",
    "user": "AWS::IAM::User",
    "group": "AWS::IAM::Group",
    "policy": "AWS::IAM::Policy",
    "instance-profile": "AWS::IAM::InstanceProfile",
    "mfa": "AWS::IAM::MfaDevice",
    "oidc-provider": "AWS::IAM::OIDCProvider",
    "saml-provider": "AWS::IAM::SAMLProvider",
    "ldap-provider": "Accredit::IAM::LDAPProvider",
    "assumed-role": "AWS::STS::AssumedRole",
}


def resource_type(arn: str) -> str:
    """The type of what an ARN names, as CloudFormation calls it; empty if unknown."""
    return _TYPES.get(arn.split(":", 5)[-1].partition("/")[0], "")


def event_seconds(event: Mapping[str, Any]) -> int:
    """The event's time, in seconds since the epoch; 0 if it has none."""
    try:
        return int(datetime.fromisoformat(str(event["eventTime"])).timestamp())
    except (KeyError, ValueError):
        return 0
