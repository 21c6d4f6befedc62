"""The ``Principal`` element: who is named, and what a grant to that name is worth.

IAM User Guide, "IAM JSON policy elements: Principal" and "Policy evaluation logic".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from broker.domain.principal import EXTERNAL, Principal, PrincipalKind

WELL_KNOWN_PROVIDERS = frozenset(
    {"accounts.google.com", "cognito-identity.amazonaws.com", "graph.facebook.com", "www.amazon.com"}
)

_ACCOUNT = re.compile(r"(?:arn:aws[a-z-]*:iam::)?([0-9]{12})(?::root)?")
_NAME = r"[\w+=,.@-]+"
_AWS = re.compile(
    rf"arn:aws[a-z-]*:(?:iam::[0-9]{{12}}:(?:user|role)/(?:[!-~]+/)?{_NAME}"
    rf"|sts::[0-9]{{12}}:(?:assumed-role/{_NAME}/{_NAME}|federated-user/{_NAME}))",
    re.ASCII,
)
UNIQUE_ID = re.compile(r"A(?:ID|RO)A[A-Z0-9]{12,124}")
_PROVIDER = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:(?:saml|oidc|ldap)-provider/[!-)+->@-~]+")
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+", re.IGNORECASE)
_CANONICAL = re.compile(r"[0-9a-f]{64}")


class Grant(IntEnum):
    """What an Allow of a resource-based policy is worth to the requester, by the name it used for it.

    The table "which named principal escapes which implicit deny" of the evaluation logic page, in ascending order.
    """

    NONE = 0
    """The requester is not named."""
    DELEGATED = 1
    """The account is named: the account's own policies decide."""
    BOUNDED = 2
    """The role (or the user who federated) is named: permissions boundary and session policy still limit."""
    DIRECT = 3
    """The user, the session or everybody is named: no implicit deny of another policy limits."""


@dataclass(frozen=True, slots=True)
class Principals:
    """A ``Principal`` or ``NotPrincipal`` element as written, ``"*"`` as ``everybody``."""

    everybody: bool
    accounts: frozenset[str]
    names: frozenset[str]
    providers: frozenset[str]
    services: frozenset[str] = frozenset()
    canonical_users: frozenset[str] = frozenset()


def check_aws(value: str) -> None:
    """Refuse what is not an account, a user, a role, a session or a unique id. Raises ValueError."""
    if value == "*" or _account(value) or _AWS.fullmatch(value) or UNIQUE_ID.fullmatch(value):
        return
    if "*" in value or "?" in value:
        raise ValueError("a wildcard cannot match part of a principal")
    raise ValueError("the AWS principal is not valid")


def check_federated(value: str) -> None:
    """Refuse what is neither a provider's ARN nor a provider's host name. Raises ValueError."""
    if not _PROVIDER.fullmatch(value) and not _HOST.fullmatch(value):
        raise ValueError("the federated principal is not valid")


def check_service(value: str) -> None:
    """Refuse what is not a service's host name. Raises ValueError."""
    if not _HOST.fullmatch(value):
        raise ValueError("the service principal is not valid")


def check_canonical_user(value: str) -> None:
    """Refuse what is not a canonical user id. Raises ValueError."""
    if not _CANONICAL.fullmatch(value):
        raise ValueError("the canonical user is not valid")


CHECKS: dict[str, Callable[[str], None]] = {
    "AWS": check_aws,
    "Federated": check_federated,
    "Service": check_service,
    "CanonicalUser": check_canonical_user,
}


def make_principals(named: dict[str, tuple[str, ...]]) -> Principals:
    """The element from its checked lists by type."""
    aws = named.get("AWS", ())
    return Principals(
        everybody="*" in aws,
        accounts=frozenset(account for account in map(_account, aws) if account),
        names=frozenset(value for value in aws if value != "*" and not _account(value)),
        providers=frozenset(named.get("Federated", ())),
        services=frozenset(named.get("Service", ())),
        canonical_users=frozenset(named.get("CanonicalUser", ())),
    )


def _account(value: str) -> str | None:
    """The account that ``123456789012`` and ``arn:aws:iam::123456789012:root`` both name."""
    match = _ACCOUNT.fullmatch(value)
    if match is None or value.startswith("arn:") != value.endswith(":root"):
        return None
    return match[1]


def is_external(principal: Principal) -> bool:
    """Whether the requester is the identity of a provider, whom only a trust policy can let in."""
    return principal.kind in EXTERNAL


def grant(named: Principals, principal: Principal, federated_by: Principal | None) -> Grant:
    """What an Allow statement with this ``Principal`` grants to the requester.

    ``*`` does not name an external identity: trusting a provider has to be said.
    """
    if principal.kind in EXTERNAL:
        return Grant.DIRECT if _names_provider(named, principal) else Grant.NONE
    if named.everybody:
        return Grant.DIRECT
    return _named(named, principal, federated_by)


def binds(named: Principals, principal: Principal, federated_by: Principal | None) -> bool:
    """Whether a Deny statement with this ``Principal`` applies to the requester; ``*`` is everyone there is."""
    return named.everybody or grant(named, principal, federated_by) is not Grant.NONE


def excepts_for_deny(named: Principals, principal: Principal, federated_by: Principal | None) -> bool:
    """Whether ``NotPrincipal`` spares the requester from a Deny: *every* layer of it must be listed.

    IAM User Guide, "NotPrincipal with Deny": list the account, the role and the session, because AWS may check any.
    """
    if named.everybody:
        return True
    if principal.kind in EXTERNAL:
        return _names_provider(named, principal)
    if principal.account not in named.accounts:
        return False
    if principal.kind is PrincipalKind.ROOT:
        return True
    own = principal.arn in named.names or (principal.kind is PrincipalKind.USER and principal.unique_id in named.names)
    if principal.kind is PrincipalKind.ROLE_SESSION:
        return own and (principal.role_arn in named.names or principal.role_id in named.names)
    return own


def _named(named: Principals, principal: Principal, federated_by: Principal | None) -> Grant:
    names = named.names
    kind = principal.kind
    if kind is PrincipalKind.ANONYMOUS:
        return Grant.NONE
    if names:
        if principal.arn in names or (kind is PrincipalKind.USER and principal.unique_id in names):
            return Grant.DIRECT
        if kind is PrincipalKind.ROLE_SESSION and (principal.role_arn in names or principal.role_id in names):
            return Grant.BOUNDED
        if federated_by is not None and (federated_by.arn in names or federated_by.unique_id in names):
            return Grant.BOUNDED
    return Grant.DELEGATED if principal.account in named.accounts else Grant.NONE


def _names_provider(named: Principals, principal: Principal) -> bool:
    """The provider's ARN, or its bare host for the providers that AWS knows without an ARN."""
    if principal.arn in named.providers:
        return True
    host = principal.arn.rpartition(":oidc-provider/")[2]
    return host in WELL_KNOWN_PROVIDERS and host in named.providers
