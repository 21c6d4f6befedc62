"""Every operation that is served: the feature list of the AWS interface.

An operation is a plain typed function; what it takes and answers is the service model's business. A parameter of the
model that the function does not take is refused by name.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from botocore import xform_name

from broker.analysis.validate_policy import validate_policy
from broker.aws.codec import query, restjson, xml
from broker.aws.errors import InvalidParameter
from broker.aws.model import Operation, Service, load_extensions, load_service
from broker.domain.session import PolicyDescriptor, Tag
from broker.iam.context_keys import get_context_keys_for_custom_policy, get_context_keys_for_principal_policy
from broker.iam.outbound_federation import (
    disable_outbound_web_identity_federation,
    enable_outbound_web_identity_federation,
    get_outbound_web_identity_federation_info,
)
from broker.iam.simulate import simulate_custom_policy, simulate_principal_policy
from broker.iam.simulate_trust import simulate_trust_policy
from broker.sts.assume_role import assume_role
from broker.sts.identity import decode_authorization_message, get_access_key_info, get_caller_identity
from broker.sts.saml import assume_role_with_saml
from broker.sts.tokens import get_web_identity_token
from broker.sts.user_sessions import get_federation_token, get_session_token
from broker.sts.web_identity import assume_role_with_web_identity


class Effect(Enum):
    """What a successful call does, which decides when its audit record must be on disk.

    A change writes its own record, in the transaction that makes it (``broker.iam.changes``).
    """

    READ = "read"
    ISSUE = "issue"
    CHANGE = "change"


@dataclass(frozen=True, slots=True)
class Entry:
    handler: Callable[..., object]
    effect: Effect


OPERATIONS: Mapping[str, Mapping[str, Entry]] = {
    "accessanalyzer": {
        "ValidatePolicy": Entry(validate_policy, Effect.READ),
    },
    "sts": {
        "AssumeRole": Entry(assume_role, Effect.ISSUE),
        "AssumeRoleWithSAML": Entry(assume_role_with_saml, Effect.ISSUE),
        "AssumeRoleWithWebIdentity": Entry(assume_role_with_web_identity, Effect.ISSUE),
        "DecodeAuthorizationMessage": Entry(decode_authorization_message, Effect.READ),
        "GetAccessKeyInfo": Entry(get_access_key_info, Effect.READ),
        "GetCallerIdentity": Entry(get_caller_identity, Effect.READ),
        "GetFederationToken": Entry(get_federation_token, Effect.ISSUE),
        "GetSessionToken": Entry(get_session_token, Effect.ISSUE),
        "GetWebIdentityToken": Entry(get_web_identity_token, Effect.ISSUE),
    },
    "iam": {
        "DisableOutboundWebIdentityFederation": Entry(disable_outbound_web_identity_federation, Effect.CHANGE),
        "EnableOutboundWebIdentityFederation": Entry(enable_outbound_web_identity_federation, Effect.CHANGE),
        "GetContextKeysForCustomPolicy": Entry(get_context_keys_for_custom_policy, Effect.READ),
        "GetContextKeysForPrincipalPolicy": Entry(get_context_keys_for_principal_policy, Effect.READ),
        "GetOutboundWebIdentityFederationInfo": Entry(get_outbound_web_identity_federation_info, Effect.READ),
        "SimulateCustomPolicy": Entry(simulate_custom_policy, Effect.READ),
        "SimulatePrincipalPolicy": Entry(simulate_principal_policy, Effect.READ),
        "SimulateTrustPolicy": Entry(simulate_trust_policy, Effect.READ),
    },
}

STRUCTURES: Mapping[str, Callable[..., object]] = {"Tag": Tag, "PolicyDescriptorType": PolicyDescriptor}
"""Shapes that arrive as one of our types."""

_CODECS: Mapping[str, tuple[Callable[..., Any], Callable[[Operation], Callable[[object, str], bytes]]]] = {
    "query": (query.compile_input, xml.compile_output),
    "rest-json": (restjson.compile_input, restjson.compile_output),
}
"""Protocol of a service model -> compilers of an operation's input and output."""


@dataclass(frozen=True, slots=True)
class Served:
    """An operation ready to be called."""

    name: str
    service: str
    event_source: str
    namespace: str
    method: str
    path: str
    authenticated: bool
    effect: Effect
    handler: Callable[..., object]
    parse: Callable[[Any], dict[str, object]]
    """Of what the protocol has read: the parameters of a form, or a ``RestRequest``."""
    render: Callable[[object, str], bytes]
    refused: Mapping[str, str]
    """Argument -> parameter of the model, where the handler does not take it."""

    def arguments(self, parameters: Any) -> dict[str, object]:
        """The handler's arguments. Raises ValidationFailed, InvalidParameter, and what the protocol's parser raises."""
        found = self.parse(parameters)
        if self.refused and (refused := found.keys() & self.refused.keys()):
            raise InvalidParameter(f"The parameter {self.refused[min(refused)]} of {self.name} is not supported.")
        return found


@dataclass(frozen=True, slots=True)
class Api:
    """One version of one service: what is served of it, and what else its model has."""

    protocol: str
    version: str
    namespace: str
    served: Mapping[str, Served]
    known: frozenset[str]


def load_apis() -> list[Api]:
    """Everything that is served, compiled."""
    extensions = load_extensions()
    return [_load_api(load_service(name, extensions.get(name)), entries) for name, entries in OPERATIONS.items()]


def _load_api(service: Service, entries: Mapping[str, Entry]) -> Api:
    served = {action: _serve(service, service.operations[action], entry) for action, entry in entries.items()}
    return Api(service.protocol, service.api_version, service.xml_namespace, served, frozenset(service.operations))


def _refused(operation: Operation, entry: Entry) -> dict[str, str]:
    taken = inspect.signature(entry.handler).parameters
    members = operation.input_shape.members if operation.input_shape is not None else {}
    return {xform_name(name): name for name in members if xform_name(name) not in taken}


def _serve(service: Service, operation: Operation, entry: Entry) -> Served:
    compile_input, compile_output = _CODECS[service.protocol]
    return Served(
        name=operation.name,
        service=service.signing_name,
        event_source=f"{service.signing_name}.amazonaws.com",
        namespace=service.xml_namespace,
        method=operation.method,
        path=operation.path,
        authenticated=operation.authenticated,
        effect=entry.effect,
        handler=entry.handler,
        parse=compile_input(operation, STRUCTURES),
        render=compile_output(operation),
        refused=_refused(operation, entry),
    )
