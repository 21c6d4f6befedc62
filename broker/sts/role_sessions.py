"""What every way into a role shares: its parameters checked, its trust policy asked, its credentials issued."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

import msgspec

from broker.catalog import RoleView
from broker.credentials.durations import role_session_seconds
from broker.credentials.issuer import packed_policy_size
from broker.credentials.session_token import MAX_TOKEN_CHARACTERS
from broker.domain.arn import ACCOUNT_ID, PRODUCT_ACCOUNT, Arn, assumed_role_arn
from broker.domain.credentials import Credentials
from broker.domain.role import Role
from broker.domain.session import PolicyDescriptor, Session
from broker.errors import MalformedPolicy, ValidationFailed
from broker.policy.document import PolicyKind, parse_policy
from broker.services import Caller, Services
from broker.session_requests import SessionRequest

MAX_SESSION_POLICY_ARNS = 10
MAX_SESSION_POLICY_CHARACTERS = 2_048
LONGEST_CHAIN = 50
"""Sessions one chained from another: each names all before it, so that revoking any of them ends it too."""
_SESSION_POLICY_CHARACTERS = re.compile(r"[\t\n\r\x20-\xff]+")


class AssumedRoleUser(msgspec.Struct, frozen=True):
    """STS ``AssumedRoleUser``: the session's names."""

    assumed_role_id: str
    arn: str


@lru_cache(maxsize=512)
def parse_role_arn(text: str) -> Arn:
    """The ARN of a role. Raises ValidationFailed."""
    arn = Arn.parse(text)
    if (
        arn.service != "iam"
        or arn.region
        or arn.kind != "role"
        or not arn.name
        or not ACCOUNT_ID.fullmatch(arn.account)
    ):
        raise ValidationFailed(f"{text} is invalid")
    return arn


def check_session_policy(policy: str | None, policy_arns: Sequence[PolicyDescriptor]) -> tuple[str, ...]:
    """The managed policies' ARNs. Raises MalformedPolicy, ValidationFailed, before anything else is looked at."""
    arns = tuple(descriptor.arn for descriptor in policy_arns)
    if len(arns) > MAX_SESSION_POLICY_ARNS:
        raise ValidationFailed(f"The number of policy ARNs exceeds the limit of {MAX_SESSION_POLICY_ARNS}.")
    if policy is not None:
        if not _SESSION_POLICY_CHARACTERS.fullmatch(policy):
            raise MalformedPolicy("The session policy is empty or has characters outside of U+0020 to U+00FF.")
        if len(policy) > MAX_SESSION_POLICY_CHARACTERS:  # the plain text, white space included
            raise ValidationFailed(f"The session policy exceeds {MAX_SESSION_POLICY_CHARACTERS} characters.")
        parse_policy(policy, PolicyKind.SESSION)
    return arns


def issue_session(
    services: Services,
    caller: Caller,
    view: RoleView,
    request: SessionRequest,
    *,
    provider: str | None = None,
    federation: Mapping[str, tuple[str, ...]] | None = None,
    subject: tuple[str, str] | None = None,
    parent: Session | None = None,
    ends_by: datetime | None = None,
) -> IssuedSession:
    """Make the session that was allowed; ``parent`` is the one that it is chained from, ``ends_by`` its latest end.

    Raises ValidationFailed, PackedPolicyTooLarge.
    """
    role, chained = view.role, parent is not None
    check_managed_policies(services, request.policy, request.policy_arns, role.account)
    packed = packed_policy_size(request.policy, request.policy_arns, request.tags)
    seconds = role_session_seconds(request.duration_seconds, role_maximum=role.max_session_duration, chained=chained)
    issued_at = caller.now.replace(microsecond=0)
    session = Session(
        account=role.account,
        owner_arn=role.arn,
        owner_id=role.role_id,
        session_name=request.session_name,
        issued_at=issued_at,
        expires_at=_earlier(issued_at + timedelta(seconds=seconds), ends_by),
        chained=chained,
        tags=request.tags,
        transitive_tag_keys=request.transitive_tag_keys,
        source_identity=request.source_identity,
        session_policy=request.policy,
        session_policy_arns=request.policy_arns,
        provider=provider,
        federation=federation or {},
        ancestors=_ancestors(caller, parent),
        subject=parent.subject if parent else subject,
        chain_started_at=(parent.chain_started_at or parent.issued_at) if parent else None,
        source_account=_source_account(request, role, parent),
    )
    credentials = services.issuer.issue(session, now=caller.now)
    user = AssumedRoleUser(
        f"{role.role_id}:{request.session_name}", assumed_role_arn(role.account, role.name, request.session_name)
    )
    return IssuedSession(credentials, user, packed)


def _earlier(end: datetime, limit: datetime | None) -> datetime:
    return end if limit is None else min(end, limit.replace(microsecond=0))


def _ancestors(caller: Caller, parent: Session | None) -> tuple[str, ...]:
    """Raises ValidationFailed: no session may forget one that it came from, and a token has its limits."""
    if parent is None:
        return ()
    ancestors = (*parent.ancestors, caller.record.access_key_id or "")
    if len(ancestors) > LONGEST_CHAIN:
        raise ValidationFailed(f"A chain of role sessions may have {LONGEST_CHAIN} links at most.")
    return ancestors


def _source_account(request: SessionRequest, role: Role, parent: Session | None) -> str | None:
    """Where the source identity was set: here, unless the chain brought it along."""
    if request.source_identity is None:
        return None
    return parent.source_account if parent is not None and parent.source_account else role.account


class IssuedSession(msgspec.Struct, frozen=True):
    """Credentials and what STS answers beside them."""

    credentials: Credentials
    assumed_role_user: AssumedRoleUser
    packed_policy_size: int | None

    @property
    def session_token_size(self) -> int:
        """Bytes of the session token."""
        return len(self.credentials.session_token)

    @property
    def session_token_utilization(self) -> int:
        """The token's share of the longest that we issue, in percent."""
        return -(-100 * self.session_token_size // MAX_TOKEN_CHARACTERS)


def check_managed_policies(
    services: Services, policy_text: str | None, policy_arns: Sequence[str], account: str
) -> None:
    """Managed session policies must be of the session's account or the product's, and count into the size limit.

    Raises ValidationFailed.
    """
    size = len(policy_text or "")
    for arn in policy_arns:
        usable = arn.split(":", 5)[4:5] in ([account], [PRODUCT_ACCOUNT])
        policy = services.catalog.managed_policy(arn) if usable else None
        if policy is None:
            raise ValidationFailed(f"The policy {arn} does not exist in the session's account or is not attachable.")
        size += policy.size
    if size > MAX_SESSION_POLICY_CHARACTERS:
        raise ValidationFailed(
            f"Inline and managed session policies together exceed {MAX_SESSION_POLICY_CHARACTERS} characters."
        )
