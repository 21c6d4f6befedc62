"""From an access key id to a verified caller: what the store or a session token says about it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from broker.catalog import deny_all
from broker.credentials.keyids import TEMPORARY
from broker.credentials.session_token import TokenInvalid, open_token, parse_token
from broker.domain.arn import assumed_role_arn, federated_user_arn, root_arn
from broker.domain.principal import Principal, PrincipalKind
from broker.domain.role import User
from broker.domain.secret import Secret
from broker.domain.session import Session, SessionKind
from broker.errors import InvalidClientToken, SessionExpired
from broker.policy.compile import CompiledPolicy, compile_document
from broker.policy.document import PolicyKind, parse_policy
from broker.policy.evaluate import PolicySource
from broker.services import Candidate, Identity, Services

_UNKNOWN = "The security token included in the request is invalid."
_EXPIRED = "The security token included in the request is expired"
_REVOKED = "The security token included in the request is revoked"


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
    principal = root_principal(key.account) if key.user is None else user_principal(key.user.user)
    return Candidate(principal, key.secret, key=key)


def _temporary(services: Services, access_key_id: str, session_token: str) -> Candidate:
    try:
        token = parse_token(session_token)
        key = services.ring.find(token.unverified_key_id)
        if key is None:
            raise TokenInvalid("sealed by a key that is not in the ring")
        session, secret = open_token(key, access_key_id, token)
    except TokenInvalid as error:
        raise InvalidClientToken(_UNKNOWN, detail=f"session token: {error}") from None
    return Candidate(session_principal(session), Secret(secret), session=session)


def root_principal(account: str) -> Principal:
    """The root user of an account."""
    return Principal(PrincipalKind.ROOT, account, root_arn(account), account)


def user_principal(user: User) -> Principal:
    return Principal(PrincipalKind.USER, user.account, user.arn, user.user_id, user_name=user.name)


def session_principal(session: Session) -> Principal:
    """Who acts with a session's credentials: after GetSessionToken it is the user itself, or root."""
    if session.kind is SessionKind.USER:
        return _owner_principal(session)
    if session.kind is SessionKind.FEDERATED_USER:
        name = f"{session.account}:{session.session_name}"
        arn = federated_user_arn(session.account, session.session_name)
        return Principal(PrincipalKind.FEDERATED_USER, session.account, arn, name)
    role_name = session.owner_arn.rpartition("/")[2]
    return Principal(
        PrincipalKind.ROLE_SESSION,
        session.account,
        assumed_role_arn(session.account, role_name, session.session_name),
        f"{session.owner_id}:{session.session_name}",
        role_arn=session.owner_arn,
        role_id=session.owner_id,
    )


def _owner_principal(session: Session) -> Principal:
    """The user, or root, behind a session."""
    if session.owner_id == session.account:
        return root_principal(session.account)
    name = session.owner_arn.rpartition("/")[2]
    return Principal(PrincipalKind.USER, session.account, session.owner_arn, session.owner_id, user_name=name)


def check_alive(services: Services, candidate: Candidate, access_key_id: str, now: datetime) -> None:
    """Raises SessionExpired. Called after the signature, so that only its holder learns it."""
    session = candidate.session
    if session is None:
        return
    if session.expires_at <= now:
        raise SessionExpired(_EXPIRED)
    if services.revocations.revoked(session, access_key_id):
        raise SessionExpired(_REVOKED, detail="the session was revoked")
    services.subjects.use(session, now)


def load_identity(services: Services, candidate: Candidate) -> Identity:
    """The caller with the policies that bind it now. Read only by operations that decide something: a session's
    own identity needs no database."""
    if candidate.session is not None:
        return _session_identity(services, candidate.principal, candidate.session)
    view = candidate.key.user if candidate.key is not None else None
    if view is None:
        return Identity(candidate.principal)
    return Identity(candidate.principal, None, view.user.tags, view.identity, view.boundary)


def _session_identity(services: Services, principal: Principal, session: Session) -> Identity:
    owner = _owner(services, session)
    if owner is None:  # deleted, moved, or made anew under the same name
        return Identity(principal, session, session.tags, session_policies=(deny_all(session.owner_arn),))
    tags, policies, boundary = owner
    return Identity(
        principal,
        session,
        overlay(tags, session.tags),
        policies,
        boundary,
        _session_policies(services, session),
        _owner_principal(session) if session.kind is SessionKind.FEDERATED_USER else None,
    )


_Owner = tuple[Mapping[str, str], tuple[PolicySource, ...], PolicySource | None]


def _owner(services: Services, session: Session) -> _Owner | None:
    """Tags, policies and boundary of the role, user or root behind a session, as they are now."""
    if session.kind is SessionKind.ROLE:
        role = services.catalog.role(session.owner_arn)
        if role is None or role.role.role_id != session.owner_id:
            return None
        return role.role.tags, role.identity, role.boundary
    if session.owner_id == session.account:
        created_at = services.catalog.account_created_at(session.account)
        gone = created_at is None or created_at > session.issued_at.timestamp()  # or deleted and made anew
        return None if gone else ({}, (), None)
    user = services.catalog.user(session.owner_id)
    if user is None or user.user.arn != session.owner_arn:
        return None
    return user.user.tags, user.identity, user.boundary


def _session_policies(services: Services, session: Session) -> tuple[PolicySource, ...] | None:
    if session.session_policy is None and not session.session_policy_arns:
        return None
    found = [(arn, services.catalog.managed_policy(arn)) for arn in session.session_policy_arns]
    sources = [deny_all(arn) if policy is None else policy.source for arn, policy in found]
    if session.session_policy is not None:
        sources.append(PolicySource(f"session policy of {session.owner_arn}", _compile(session.session_policy)))
    return tuple(sources)


@lru_cache(maxsize=128)
def _compile(document: str) -> CompiledPolicy:
    """Callers choose these texts: they have a cache of their own, so that they cannot push out the store's."""
    return compile_document(parse_policy(document, PolicyKind.SESSION))


def overlay(below: Mapping[str, str], above: Mapping[str, str]) -> dict[str, str]:
    """``above`` over ``below``; keys are the same without regard to case (IAM User Guide, "session tags")."""
    taken = {key.lower() for key in above}
    return {**{key: value for key, value in below.items() if key.lower() not in taken}, **above}
