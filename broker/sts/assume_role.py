"""AssumeRole: from credentials of ours to those of a role."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from broker.authorization import caller_context, decide, explained, unauthorized, unexplained
from broker.callers import load_identity
from broker.catalog import RoleView
from broker.domain.credentials import Credentials
from broker.domain.principal import PrincipalKind
from broker.domain.secret import Secret
from broker.domain.session import PolicyDescriptor, Session, Tag
from broker.errors import AccessDenied, ValidationFailed
from broker.policy.evaluate import AccessRequest
from broker.services import Caller, Identity, Services
from broker.session_requests import SessionRequest, check_source_identity, parse_tags, role_context
from broker.sts.role_sessions import AssumedRoleUser, IssuedSession, check_session_policy, issue_session, parse_role_arn


class AssumedRole(msgspec.Struct, frozen=True):
    """STS ``AssumeRoleResponse``."""

    credentials: Credentials
    assumed_role_user: AssumedRoleUser
    packed_policy_size: int | None
    source_identity: str | None
    session_token_size: int
    session_token_utilization: int


def assume_role(
    services: Services,
    caller: Caller,
    *,
    role_arn: str,
    role_session_name: str,
    policy_arns: Sequence[PolicyDescriptor] = (),
    policy: str | None = None,
    duration_seconds: int | None = None,
    tags: Sequence[Tag] = (),
    transitive_tag_keys: Sequence[str] = (),
    external_id: str | None = None,
    source_identity: str | None = None,
    serial_number: str | None = None,
    token_code: Secret | None = None,
) -> AssumedRole:
    """Exchange the caller's credentials for a role's (AWS STS AssumeRole).

    1. parameters; 2. the caller's kind, and its MFA code; 3. what a chained session inherits; 4. the trust policy and,
    where it delegates, the caller's own policies; 5. duration, session policies, credentials.
    """
    arn = str(parse_role_arn(role_arn))
    check_source_identity(source_identity)
    passed = parse_tags(tags, transitive_tag_keys)
    arns = check_session_policy(policy, policy_arns)

    verified = caller.authenticated()
    if verified.principal.kind is PrincipalKind.ROOT:
        raise AccessDenied("Roles may not be assumed by root accounts.")
    if serial_number is not None or token_code is not None:
        services.mfa.verify(verified.principal, serial_number, token_code, caller.now)
        caller = msgspec.structs.replace(caller, mfa_verified=True)

    identity = load_identity(services, verified)
    caller.record.resources.append(arn)
    inherited = _inherited_tags(verified.session, passed)
    request = SessionRequest(
        session_name=role_session_name,
        tags={**passed, **inherited},
        transitive_tag_keys=(*transitive_tag_keys, *inherited),
        inherited=inherited,
        source_identity=_source_identity(services, caller, source_identity, arn),
        policy=policy,
        policy_arns=arns,
        duration_seconds=duration_seconds,
    )

    view = services.catalog.role(arn)
    if view is None:
        sentence = unauthorized(identity.principal, "sts:AssumeRole", arn)
        raise unexplained(services, caller, sentence, parse_role_arn(arn).account, "the role does not exist")
    caller.record.recipient = view.role.account
    _ask_trust_policy(services, caller, identity, view, request, external_id)

    issued = issue_session(services, caller, view, request, parent=verified.session)
    return _answer(issued, request.source_identity)


def _inherited_tags(session: Session | None, passed: dict[str, str]) -> dict[str, str]:
    """The transitive tags of the caller's session. Raises ValidationFailed if the request passes one of them anew."""
    if session is None:
        return {}
    wanted = {key.lower() for key in session.transitive_tag_keys}
    inherited = {key: value for key, value in session.tags.items() if key.lower() in wanted}
    names = {key.lower() for key in inherited}
    if clash := [key for key in passed if key.lower() in names]:
        raise ValidationFailed(
            f"One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key"
            f" from the calling session: {clash[0]}"
        )
    return inherited


def _source_identity(services: Services, caller: Caller, asked: str | None, arn: str) -> str | None:
    """A source identity stays for the whole chain (IAM User Guide, "monitor and control actions")."""
    verified = caller.authenticated()
    held = verified.session.source_identity if verified.session else None
    if held is not None and asked is not None and asked != held:
        sentence = unauthorized(verified.principal, "sts:SetSourceIdentity", arn)
        detail = "the session already has another source identity"
        raise unexplained(services, caller, sentence, verified.principal.account, detail)
    return asked if held is None else held


def _ask_trust_policy(
    services: Services,
    caller: Caller,
    identity: Identity,
    view: RoleView,
    request: SessionRequest,
    external_id: str | None,
) -> None:
    inherited = request.inherited or {}
    context = {**caller_context(caller, identity), **request.context(), **role_context(view, inherited)}
    if external_id is not None:
        context["sts:ExternalId"] = (external_id,)
    policies = identity.policy_set(view.trust)
    for action in ("sts:AssumeRole", *request.extra_actions()):
        access = AccessRequest(identity.principal, action, view.role.arn, view.role.account, context)
        if not decide(access, policies).allowed:  # the same sentence whether the role exists or not
            sentence = unauthorized(identity.principal, action, view.role.arn)
            raise explained(services, caller, sentence, access, policies)


def _answer(issued: IssuedSession, source_identity: str | None) -> AssumedRole:
    return AssumedRole(
        issued.credentials,
        issued.assumed_role_user,
        issued.packed_policy_size,
        source_identity,
        issued.session_token_size,
        issued.session_token_utilization,
    )
