"""What use cases are given: the parts of the product, and who calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from broker.assertion_claims import AssertionClaims
from broker.audit.event import CallRecord
from broker.audit.log import AuditLog
from broker.catalog import Catalog, LongTermKey
from broker.credentials.issuer import CredentialIssuer
from broker.credentials.keyring import KeyRing
from broker.credentials.passwords import Passwords
from broker.credentials.signing_ring import SigningRing
from broker.directory_subjects import DirectorySubjects
from broker.domain.principal import Principal
from broker.domain.secret import Secret
from broker.domain.session import Session
from broker.errors import AccessDenied
from broker.mfa import MfaVerifier
from broker.policy.context import request_context
from broker.policy.evaluate import PolicySet, PolicySource
from broker.provider_pool import ProviderPool
from broker.revocations import Revocations
from broker.settings import Settings
from broker.store.engine import Database
from broker.usage import UsageLog


@dataclass(frozen=True, slots=True)
class Services:
    """The parts, built once in ``app.py``."""

    settings: Settings
    database: Database
    catalog: Catalog
    ring: KeyRing
    revocations: Revocations
    signing: SigningRing
    issuer: CredentialIssuer
    mfa: MfaVerifier
    providers: ProviderPool
    claims: AssertionClaims
    subjects: DirectorySubjects
    audit: AuditLog
    usage: UsageLog
    passwords: Passwords
    master_key: bytes = field(repr=False)
    """Secrets are sealed under it before they are stored."""


class Identity(msgspec.Struct, frozen=True):
    """A caller with the policies that bind it.

    ``session_policies`` is None when no session policy was passed. ``tags`` are the principal tags: the user's own,
    or a role's with the session's laid over them. ``federated_by``: the user or root behind a federated user session.
    """

    principal: Principal
    session: Session | None = None
    tags: Mapping[str, str] = msgspec.field(default_factory=dict)
    policies: tuple[PolicySource, ...] = ()
    boundary: PolicySource | None = None
    session_policies: tuple[PolicySource, ...] | None = None
    federated_by: Principal | None = None

    def policy_set(self, trust: PolicySource | None = None) -> PolicySet:
        """All that binds the caller, and the trust policy of the role that it asks for."""
        return PolicySet(
            identity=self.policies,
            resource=trust,
            resource_is_trust=trust is not None,
            boundary=self.boundary,
            session=self.session_policies,
            federated_by=self.federated_by,
        )


class Candidate(msgspec.Struct, frozen=True):
    """Who a caller is if the request's signature was made with ``secret``; after the check, who it is.

    ``key`` is set for long-term keys, ``session`` for temporary ones.
    """

    principal: Principal
    secret: Secret
    session: Session | None = None
    key: LongTermKey | None = None

    @property
    def owner_id(self) -> str:
        """The unique id of the user, role or root user that the credentials are of."""
        return self.principal.unique_id if self.session is None else self.session.owner_id


class Caller(msgspec.Struct, frozen=True):
    """One call: when, from where, and by whom. ``secure``: it came over TLS."""

    now: datetime
    record: CallRecord
    secure: bool = False
    verified: Candidate | None = None
    in_url: bool = False
    """Parameters came in the URL, which servers and proxies write into their logs."""
    mfa_verified: bool = False
    """A code of the caller's MFA device came with this very call, and was right."""
    granted: PolicySource | None = None
    """What everybody may do to what is theirs, on pages that have looked who it is; a deny outweighs it as always."""

    def context(self) -> dict[str, tuple[str, ...]]:
        """The condition keys of the request itself; made only where something is decided."""
        context = request_context(self.now, self.record.source_ip, self.record.user_agent, self.secure)
        if self.record.region:
            context["aws:RequestedRegion"] = (self.record.region,)
        return context

    def authenticated(self) -> Candidate:
        """Who calls. Raises AccessDenied if the call came without a signature."""
        if self.verified is None:
            raise AccessDenied("Access denied", detail="the call is not signed")
        return self.verified
