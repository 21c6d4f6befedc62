"""What credentials may call at all, whatever their policies say.

IAM User Guide, "Compare AWS STS credentials": credentials of GetSessionToken reach IAM only if MFA was used, and of STS
AssumeRole and GetCallerIdentity alone; those of GetFederationToken reach neither IAM nor, but for GetCallerIdentity,
STS; no temporary credentials may call GetSessionToken or GetFederationToken. The same document lets all of them
call other services.
"""

from __future__ import annotations

from collections.abc import Mapping

from broker.domain.session import Session, SessionKind
from broker.errors import AccessDenied, InvalidClientToken
from broker.services import Candidate

_LONG_TERM_ONLY = frozenset({"GetSessionToken", "GetFederationToken"})
_STS: Mapping[SessionKind, frozenset[str]] = {
    SessionKind.USER: frozenset({"AssumeRole", "GetCallerIdentity"}),
    SessionKind.FEDERATED_USER: frozenset({"GetCallerIdentity"}),
}


def check_may_call(candidate: Candidate, service: str, operation: str) -> None:
    """Raises AccessDenied, or InvalidClientToken for IAM, as AWS answers."""
    session = candidate.session
    if session is None:
        return
    if service == "sts":
        allowed = _STS.get(session.kind)
        if operation in _LONG_TERM_ONLY or (allowed is not None and operation not in allowed):
            kind = "federation" if session.kind is SessionKind.FEDERATED_USER else "session"
            raise AccessDenied(f"Cannot call {operation} with {kind} credentials")
    elif service == "iam" and not _may_call_iam(session):
        raise InvalidClientToken(
            "The security token included in the request is invalid", detail="IAM is closed to this kind of credentials"
        )


def _may_call_iam(session: Session) -> bool:
    return session.kind is SessionKind.ROLE or (
        session.kind is SessionKind.USER and session.mfa_authenticated_at is not None
    )
