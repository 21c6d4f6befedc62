"""One event per call, in CloudTrail's record format (AWS CloudTrail User Guide, "record contents").

A ``CallRecord`` is filled while the call is served and turned into JSON once, at its end. Texts that came in as
``Secret`` never get here: they are left out of the parameters.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import msgspec

from broker.domain.moment import iso_seconds
from broker.domain.principal import EXTERNAL, Principal, PrincipalKind
from broker.domain.secret import Secret
from broker.domain.session import Session, SessionKind
from broker.identifiers import new_uuid

EVENT_VERSION = "1.11"
_MAX_PARAMETERS_BYTES = 32 * 1024
_MAX_TEXT = 2_048
"""Characters kept of any one text: the record's size is bounded whatever a caller sends."""


_encode = msgspec.json.Encoder().encode


class CallRecord(msgspec.Struct):
    """What is known of a call so far. ``recipient`` is the account whose objects were asked for."""

    request_id: str
    time: datetime
    source_ip: str = ""
    user_agent: str = ""
    region: str = ""
    event_source: str = ""
    event_name: str = ""
    event_type: str = "AwsApiCall"
    read_only: bool = True
    principal: Principal | None = None
    access_key_id: str | None = None
    session: Session | None = None
    identity_provider: str | None = None
    recipient: str | None = None
    parameters: Mapping[str, object] | None = None
    response: object = None
    resources: list[str] = []
    error_code: str | None = None
    error_message: str | None = None
    reason: str = ""
    warnings: list[str] = []
    """What was let pass because a registration allows it, though it is weaker than it should be."""
    additional: dict[str, str] = {}
    """What CloudTrail has in ``additionalEventData``, as whether a second factor was given at sign-in."""
    written: bool = False
    """It is on its way to the disk, in a change's own transaction."""

    def identify(self, principal: Principal, *, session: Session | None = None) -> None:
        """Say who asks, as soon as that is verified: a later failure is then recorded with the name."""
        self.principal, self.session = principal, session


def render(call: CallRecord) -> str:
    """The event as one line of JSON."""
    principal = call.principal
    record: dict[str, Any] = {
        "eventVersion": EVENT_VERSION,
        "userIdentity": _identity(call),
        "eventTime": iso_seconds(call.time),
        "eventSource": call.event_source,
        "eventName": call.event_name[:_MAX_TEXT],
        "awsRegion": call.region[:64],
        "sourceIPAddress": call.source_ip,
        "userAgent": call.user_agent[:_MAX_TEXT],
        "requestParameters": _bounded(_parameters(call.parameters)),
        "responseElements": _plain(call.response),
        "requestID": call.request_id,
        "eventID": new_uuid(),
        "readOnly": call.read_only,
        "eventType": call.event_type,
        "managementEvent": True,
        "eventCategory": "Management",
        "recipientAccountId": call.recipient or (principal.account if principal else None),
    }
    if call.error_code is not None:
        record["errorCode"] = call.error_code
        record["errorMessage"] = (call.error_message or "")[:_MAX_TEXT]
    if call.reason or call.warnings or call.additional:
        record["additionalEventData"] = _additional(call)
    if call.resources:
        record["resources"] = [{"ARN": arn, "accountId": arn.split(":")[4]} for arn in call.resources]
    try:
        return _encode(record).decode("utf-8")
    except UnicodeEncodeError:  # a lone surrogate, which a provider may send in JSON
        return _encode(_without_surrogates(record)).decode("utf-8")


def _additional(call: CallRecord) -> dict[str, Any]:
    given: dict[str, Any] = {name: text[:_MAX_TEXT] for name, text in call.additional.items()}
    reason = {"reason": call.reason[:_MAX_TEXT]} if call.reason else {}
    return given | reason | ({"warnings": [warning[:_MAX_TEXT] for warning in call.warnings]} if call.warnings else {})


def _bounded(parameters: dict[str, Any] | None) -> Any:
    """Parameters, or, as CloudTrail does it, the word that they are too large."""
    if not parameters:
        return parameters
    try:
        encoded = _encode(parameters)
    except UnicodeEncodeError:
        encoded = _encode(_without_surrogates(parameters))
    if len(encoded) > _MAX_PARAMETERS_BYTES:
        return {"omitted": True, "originalSize": len(encoded), "reason": "requestParameters are too large"}
    return msgspec.Raw(encoded)


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    return value


def _identity(call: CallRecord) -> dict[str, Any]:
    principal = call.principal
    if principal is None:
        return {"type": PrincipalKind.ANONYMOUS.value, "accessKeyId": (call.access_key_id or "")[:128] or None}
    identity: dict[str, Any] = {"type": principal.kind.value, "principalId": principal.unique_id}
    if principal.kind in EXTERNAL:
        identity["userName"] = principal.user_name or principal.unique_id
        identity["identityProvider"] = call.identity_provider or principal.arn
        return identity
    identity["arn"] = principal.arn
    identity["accountId"] = principal.account
    identity["accessKeyId"] = call.access_key_id
    if principal.user_name is not None:
        identity["userName"] = principal.user_name
    if call.session is not None:
        identity["sessionContext"] = _session_context(call.session)
    return identity


def _session_context(session: Session) -> dict[str, Any]:
    """A user's own session has no issuer: the identity around it is the user's already."""
    context: dict[str, Any] = {
        "attributes": {
            "creationDate": iso_seconds(session.issued_at),
            "mfaAuthenticated": "true" if session.mfa_authenticated_at else "false",
        },
    }
    if session.kind is not SessionKind.USER:
        context["sessionIssuer"] = {
            "type": _issuer_type(session).value if session.kind is SessionKind.FEDERATED_USER else "Role",
            "principalId": session.owner_id,
            "arn": session.owner_arn,
            "accountId": session.account,
            "userName": session.owner_arn.rpartition("/")[2],
        }
    if session.provider is not None:
        context["webIdFederationData"] = {
            "federatedProvider": session.provider,
            "attributes": {key: list(values) for key, values in session.federation.items()},
        }
    if session.source_identity is not None:
        context["sourceIdentity"] = session.source_identity
    return context


def _issuer_type(session: Session) -> PrincipalKind:
    """Who made a federated user's session."""
    return PrincipalKind.ROOT if session.owner_id == session.account else PrincipalKind.USER


def _parameters(arguments: Mapping[str, object] | None) -> dict[str, Any] | None:
    if not arguments:
        return None
    return {
        _camel(name): _plain(value)
        for name, value in arguments.items()
        if value is not None and not isinstance(value, Secret)
    }


def _plain(value: object) -> Any:
    """``value`` as JSON types, with CloudTrail's lowerCamel names for fields and without secrets."""
    if isinstance(value, str):
        return value[:_MAX_TEXT]
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, msgspec.Struct) or dataclasses.is_dataclass(value):
        return _fields(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return iso_seconds(value)
    if isinstance(value, Mapping):
        return {str(key)[:_MAX_TEXT]: _plain(item) for key, item in value.items() if not isinstance(item, Secret)}
    if isinstance(value, SimpleNamespace):
        return _parameters(vars(value))
    return str(value)[:_MAX_TEXT]


def _fields(value: Any) -> dict[str, Any]:
    kind = type(value)
    names = _NAMES.get(kind)
    if names is None:
        listed = kind.__struct_fields__ if issubclass(kind, msgspec.Struct) else kind.__dataclass_fields__
        names = _NAMES[kind] = tuple((name, _camel(name)) for name in listed)
    found: dict[str, Any] = {}
    for name, shown in names:
        item = getattr(value, name)
        if item is not None and not isinstance(item, Secret):
            found[shown] = _plain(item)
    return found


_NAMES: dict[type, tuple[tuple[str, str], ...]] = {}


@lru_cache(maxsize=1_024)
def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)
