"""Temporary credentials of a user itself, and of somebody that a user vouches for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from broker.authorization import authorize, request_tag_context
from broker.credentials.durations import user_session_seconds
from broker.credentials.issuer import packed_policy_size
from broker.domain.arn import federated_user_arn
from broker.domain.credentials import Credentials
from broker.domain.principal import PrincipalKind
from broker.domain.secret import Secret
from broker.domain.session import PolicyDescriptor, Session, SessionKind, Tag
from broker.services import Caller, Services
from broker.session_requests import parse_tags
from broker.sts.role_sessions import check_managed_policies, check_session_policy


@dataclass(frozen=True, slots=True)
class SessionToken:
    """STS ``GetSessionTokenResponse``."""

    credentials: Credentials


@dataclass(frozen=True, slots=True)
class FederatedUser:
    """STS ``FederatedUser``: the session's names."""

    federated_user_id: str
    arn: str


@dataclass(frozen=True, slots=True)
class FederationToken:
    """STS ``GetFederationTokenResponse``."""

    credentials: Credentials
    federated_user: FederatedUser
    packed_policy_size: int | None


def get_session_token(
    services: Services,
    caller: Caller,
    *,
    duration_seconds: int | None = None,
    serial_number: str | None = None,
    token_code: Secret | None = None,
) -> SessionToken:
    """Temporary credentials for the caller itself, with or without MFA (AWS STS GetSessionToken).

    Needs no permission. Only long-term keys may call it (``broker.restrictions``).
    """
    principal = caller.authenticated().principal
    with_mfa = serial_number is not None or token_code is not None
    if with_mfa:
        services.mfa.verify(principal, serial_number, token_code, caller.now)
    root = principal.kind is PrincipalKind.ROOT
    issued_at = caller.now.replace(microsecond=0)
    session = Session(
        account=principal.account,
        owner_arn=principal.arn,
        owner_id=principal.unique_id,
        session_name=principal.user_name or "root",
        issued_at=issued_at,
        expires_at=issued_at + timedelta(seconds=user_session_seconds(duration_seconds, root=root)),
        mfa_authenticated_at=issued_at if with_mfa else None,
        kind=SessionKind.USER,
    )
    return SessionToken(services.issuer.issue(session, now=caller.now))


def get_federation_token(
    services: Services,
    caller: Caller,
    *,
    name: str,
    policy: str | None = None,
    policy_arns: Sequence[PolicyDescriptor] = (),
    duration_seconds: int | None = None,
    tags: Sequence[Tag] = (),
) -> FederationToken:
    """Credentials for somebody whom the caller's own application has authenticated (AWS STS GetFederationToken).

    The session may do what the caller's policies and the passed policy both allow: nothing, if none is passed.
    """
    arns = check_session_policy(policy, policy_arns)
    passed = parse_tags(tags, ())
    principal = caller.authenticated().principal
    arn = federated_user_arn(principal.account, name)
    caller.record.resources.append(arn)
    for action in ("sts:GetFederationToken", *(("sts:TagSession",) if passed else ())):
        authorize(services, caller, action, arn, request_tag_context(passed, passed))
    check_managed_policies(services, policy, arns, principal.account)
    packed = packed_policy_size(policy, arns, passed)
    root = principal.kind is PrincipalKind.ROOT
    issued_at = caller.now.replace(microsecond=0)
    session = Session(
        account=principal.account,
        owner_arn=principal.arn,
        owner_id=principal.unique_id,
        session_name=name,
        issued_at=issued_at,
        expires_at=issued_at + timedelta(seconds=user_session_seconds(duration_seconds, root=root)),
        tags=passed,
        session_policy=policy,
        session_policy_arns=arns,
        kind=SessionKind.FEDERATED_USER,
    )
    credentials = services.issuer.issue(session, now=caller.now)
    return FederationToken(credentials, FederatedUser(f"{principal.account}:{name}", arn), packed)
