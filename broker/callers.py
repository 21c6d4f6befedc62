"""From an access key id to a verified caller: what the store or a session token says about it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from broker.catalog import RoleView, deny_all
from broker.credentials.keyids import TEMPORARY
from broker.credentials.session_token import TokenInvalid, open_token, parse_token
from broker.domain.arn import assumed_role_arn, root_arn
from broker.domain.principal import Principal, PrincipalKind
from broker.domain.session import RoleSession
from broker.errors import InvalidClientToken, SessionExpired
from broker.policy.compile import CompiledPolicy, compile_document
from broker.policy.document import PolicyKind, parse_policy
from broker.policy.evaluate import PolicySource
from broker.services import Candidate, Identity, Services

_UNKNOWN = "The security token included in the request is invalid."
_EXPIRED = "The security token included in the request is expired"


def find_candidate(services: Services, access_key_id: str, session_token: str | None) -> Candidate:
    """Who this access key id (and session token) stands for. Raises InvalidClientToken."""
    if session_token is not None:
        return _temporary(services, access_key_id, session_token)
    if access_key_id.startswith(TEMPORARY):
        raise InvalidClientToken(_UNKNOWN, detail="temporary access key id without its session token")
    key = services.catalog.access_key(access_key_id)
    if key is None:
        raise InvalidClientToken(_UNKNOWN, detail="unknown access key id")
    if not key.active:
        raise InvalidClientToken(_UNKNOWN, detail="inactive access key")
    if key.user is None:
        principal = Principal(PrincipalKind.ROOT, key.account, root_arn(key.account), key.account)
    else:
        user = key.user.user
        principal = Principal(PrincipalKind.USER, user.account, user.arn, user.user_id, user_name=user.name)
    return Candidate(principal, key.secret.reveal(), key=key)


def _temporary(services: Services, access_key_id: str, session_token: str) -> Candidate:
    try:
        token = parse_token(session_token)
        key = services.ring.find(token.unverified_key_id)
        if key is None:
            raise TokenInvalid("sealed by a key that is not in the ring")
        session, secret = open_token(key, access_key_id, token)
    except TokenInvalid as error:
        raise InvalidClientToken(_UNKNOWN, detail=f"session token: {error}") from None
    return Candidate(session_principal(session), secret, session=session)


def session_principal(session: RoleSession) -> Principal:
    """The principal of a role session."""
    role_name = session.role_arn.rpartition("/")[2]
    return Principal(
        PrincipalKind.ROLE_SESSION,
        session.account,
        assumed_role_arn(session.account, role_name, session.session_name),
        f"{session.role_id}:{session.session_name}",
        role_arn=session.role_arn,
        role_id=session.role_id,
    )


def check_alive(candidate: Candidate, now: datetime) -> None:
    """Raises SessionExpired. Called after the signature, so that only its holder learns it."""
    if candidate.session is not None and candidate.session.expires_at <= now:
        raise SessionExpired(_EXPIRED)


def load_identity(services: Services, candidate: Candidate) -> Identity:
    """The caller with the policies that bind it now. Read only by operations that decide something: a session's
    own identity needs no database."""
    if candidate.session is not None:
        return _session_identity(services, candidate.principal, candidate.session)
    view = candidate.key.user if candidate.key is not None else None
    if view is None:
        return Identity(candidate.principal)
    return Identity(candidate.principal, None, view.user.tags, view.identity, view.boundary)


def _session_identity(services: Services, principal: Principal, session: RoleSession) -> Identity:
    view = services.catalog.role(session.role_arn)
    if view is None or view.role.role_id != session.role_id:  # deleted, moved, or made anew under the same name
        return Identity(principal, session, session.tags, session_policies=(deny_all(session.role_arn),))
    return Identity(
        principal,
        session,
        overlay(view.role.tags, session.tags),
        view.identity,
        view.boundary,
        _session_policies(services, session, view),
    )


def _session_policies(services: Services, session: RoleSession, view: RoleView) -> tuple[PolicySource, ...] | None:
    if session.session_policy is None and not session.session_policy_arns:
        return None
    found = [(arn, services.catalog.managed_policy(arn)) for arn in session.session_policy_arns]
    sources = [deny_all(arn) if policy is None else policy.source for arn, policy in found]
    if session.session_policy is not None:
        sources.append(PolicySource(f"session policy of {view.role.arn}", _compile(session.session_policy)))
    return tuple(sources)


@lru_cache(maxsize=128)
def _compile(document: str) -> CompiledPolicy:
    """Callers choose these texts: they have a cache of their own, so that they cannot push out the store's."""
    return compile_document(parse_policy(document, PolicyKind.SESSION))


def overlay(below: Mapping[str, str], above: Mapping[str, str]) -> dict[str, str]:
    """``above`` over ``below``; keys are the same without regard to case (IAM User Guide, "session tags")."""
    taken = {key.lower() for key in above}
    return {**{key: value for key, value in below.items() if key.lower() not in taken}, **above}
