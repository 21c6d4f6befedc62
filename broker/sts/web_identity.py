"""AssumeRoleWithWebIdentity: an OpenID Connect token becomes role credentials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from broker.authorization import Context
from broker.domain.credentials import Credentials
from broker.domain.principal import Principal, PrincipalKind
from broker.domain.secret import Secret
from broker.domain.session import PolicyDescriptor, Tag
from broker.errors import InvalidIdentity
from broker.services import Caller, Services
from broker.session_requests import SessionRequest, check_source_identity, check_tags
from broker.store.identity_providers import ProviderRecord
from broker.sts.federation import Federated, federate
from broker.sts.role_sessions import AssumedRoleUser, check_session_policy, parse_role_arn
from providers.base import ExternalIdentity
from providers.oidc.token import parse_id_token

ACTION = "sts:AssumeRoleWithWebIdentity"
_TAGS = "https://aws.amazon.com/tags"
_TAG_PREFIXES = ("https://aws.amazon.com/tags.principal_tags.", "https://aws.amazon.com/tags/principal_tags/")
_TRANSITIVE = ("https://aws.amazon.com/tags.transitive_tag_keys", "https://aws.amazon.com/tags/transitive_tag_keys")
_SOURCE_IDENTITY = "https://aws.amazon.com/source_identity"
_KEPT = ("sub", "aud", "amr", "id", "oaud")
"""The keys of the external identity that stay in the session's context (IAM User Guide, "condition keys for AWS
web identity federation")."""


class AssumedRoleWithWebIdentity(msgspec.Struct, frozen=True):
    """STS ``AssumeRoleWithWebIdentityResponse``."""

    credentials: Credentials
    subject_from_web_identity_token: str
    assumed_role_user: AssumedRoleUser
    packed_policy_size: int | None
    provider: str
    audience: str
    source_identity: str | None
    session_token_size: int
    session_token_utilization: int


def assume_role_with_web_identity(
    services: Services,
    caller: Caller,
    *,
    role_arn: str,
    role_session_name: str,
    web_identity_token: Secret,
    policy_arns: Sequence[PolicyDescriptor] = (),
    policy: str | None = None,
    duration_seconds: int | None = None,
) -> AssumedRoleWithWebIdentity:
    """Exchange an OpenID Connect token for role credentials (AWS STS AssumeRoleWithWebIdentity).

    1. parameters; 2. the provider that the role's account registered for the token's issuer; 3. the token verified;
    4. what the token asks of the session; 5. the trust policy; 6. credentials.
    """
    arn = parse_role_arn(role_arn)
    arns = check_session_policy(policy, policy_arns)

    token = parse_id_token(web_identity_token.reveal())
    issuer = token.unverified_issuer
    record = services.catalog.identity_provider(arn.account, issuer)
    if record is None:
        raise InvalidIdentity(f"No OpenIDConnect provider found in your account for {issuer[:255]}")

    identity = services.providers.get(record).authenticate(token, now=caller.now)
    caller.record.identify(web_identity_principal(record, identity))
    request = asked_session(identity, role_session_name, duration_seconds)
    request = msgspec.structs.replace(request, policy=policy, policy_arns=arns)
    issued = federate(services, caller, str(arn), federated_web_identity(record, identity), request)
    return AssumedRoleWithWebIdentity(
        issued.credentials,
        identity.subject,
        issued.assumed_role_user,
        issued.packed_policy_size,
        identity.issuer,
        identity.audience[0],
        request.source_identity,
        issued.session_token_size,
        issued.session_token_utilization,
    )


def web_identity_principal(record: ProviderRecord, identity: ExternalIdentity) -> Principal:
    """CloudTrail names it by issuer, audience and subject (AWS CloudTrail User Guide, "userIdentity element")."""
    unique_id = f"{key_prefix(identity.issuer)}:{identity.audience[0]}:{identity.subject}"
    return Principal(PrincipalKind.WEB_IDENTITY, record.account, record.arn, unique_id, user_name=identity.subject)


def federated_web_identity(record: ProviderRecord, identity: ExternalIdentity) -> Federated:
    """The identity on its way into a role."""
    principal = web_identity_principal(record, identity)
    return Federated(ACTION, principal, identity.subject, _identity_context(identity), _kept_keys(identity))


def asked_session(
    identity: ExternalIdentity, role_session_name: str, duration_seconds: int | None = None
) -> SessionRequest:
    """The session that the token asks for, under this name. Raises InvalidIdentity, ValidationFailed."""
    tags, transitive = _asked_tags(identity.attributes)
    return SessionRequest(
        session_name=role_session_name,
        tags=tags,
        transitive_tag_keys=transitive,
        source_identity=_asked_source_identity(identity.attributes),
        duration_seconds=duration_seconds,
    )


def _asked_tags(attributes: Mapping[str, tuple[str, ...]]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Session tags and transitive keys that the token carries, nested or flat (reference: IAM User Guide, "pass
    session tags using AssumeRoleWithWebIdentity"). Raises InvalidIdentity for a tag with several values."""
    tags: list[Tag] = []
    for name, values in attributes.items():
        if not name.startswith(_TAGS):
            continue
        for prefix in _TAG_PREFIXES:
            if name.startswith(prefix):
                if len(values) != 1:
                    raise InvalidIdentity(f"The session tag {name[len(prefix) :][:128]} must have exactly one value")
                tags.append(Tag(name[len(prefix) :], values[0]))
    transitive = next((attributes[name] for name in _TRANSITIVE if name in attributes), ())
    return check_tags(tags, transitive), transitive


def _asked_source_identity(attributes: Mapping[str, tuple[str, ...]]) -> str | None:
    values = attributes.get(_SOURCE_IDENTITY)
    if values is None:
        return None
    if len(values) != 1:
        raise InvalidIdentity("The source identity in the token must have exactly one value")
    check_source_identity(values[0])
    return values[0]


def key_prefix(issuer: str) -> str:
    """What the condition keys of an issuer begin with: its URL without the scheme."""
    return issuer.removeprefix("https://").removeprefix("http://")


def _identity_context(identity: ExternalIdentity) -> Context:
    """Every claim as a condition key (``token.actions.githubusercontent.com:repository``)."""
    prefix = key_prefix(identity.issuer)
    return {f"{prefix}:{name}": values for name, values in identity.attributes.items()}


def _kept_keys(identity: ExternalIdentity) -> Context:
    prefix = key_prefix(identity.issuer)
    return {f"{prefix}:{name}": identity.attributes[name] for name in _KEPT if name in identity.attributes}
