"""The condition context of a request: its keys, looked up without regard to case, and their values.

IAM User Guide, "AWS global condition context keys". Every value is a tuple: a key that may have several values and one
that has a single value are told apart by the policy, not by the request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from broker.domain.moment import iso_seconds
from broker.domain.principal import Principal, PrincipalKind

_PRINCIPAL_TYPES = {
    PrincipalKind.ROOT: "Account",
    PrincipalKind.USER: "User",
    PrincipalKind.ROLE_SESSION: "AssumedRole",
    PrincipalKind.FEDERATED_USER: "FederatedUser",
}


def fold_keys(values: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """The keys in lower case. Raises ValueError if two differ in case alone: which one a policy means is not known."""
    folded = {key.lower(): value for key, value in values.items()}
    if len(folded) != len(values):
        raise ValueError("two condition keys differ in case alone")
    return folded


class Context(Mapping[str, tuple[str, ...]]):
    """Condition keys and values; made once, it can serve several evaluations. Raises ValueError as ``fold_keys``."""

    __slots__ = ("folded",)

    def __init__(self, values: Mapping[str, tuple[str, ...]]) -> None:
        self.folded = fold_keys(values)

    def __getitem__(self, key: str) -> tuple[str, ...]:
        return self.folded[key.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self.folded)

    def __len__(self) -> int:
        return len(self.folded)


class Metered(dict[str, tuple[str, ...]]):
    """The folded keys for one decision, which adds up what many or long values cost."""

    spent = 0


def principal_context(principal: Principal) -> dict[str, tuple[str, ...]]:
    """The keys that follow from the principal alone.

    ``aws:PrincipalArn`` of a role session is the role's ARN, never the session's. An external identity has none of
    these keys: what is known of it are its claims.
    """
    if principal.kind is PrincipalKind.ANONYMOUS:
        return {"aws:PrincipalType": ("Anonymous",), "aws:userid": ("anonymous",)}
    kind = _PRINCIPAL_TYPES.get(principal.kind)
    if kind is None:
        return {}
    keys: dict[str, tuple[str, ...]] = {
        "aws:PrincipalArn": (principal.role_arn or principal.arn,),
        "aws:PrincipalAccount": (principal.account,),
        "aws:PrincipalType": (kind,),
        "aws:userid": (principal.unique_id,),
    }
    if principal.kind is PrincipalKind.USER and principal.user_name is not None:
        keys["aws:username"] = (principal.user_name,)
    return keys


def request_context(
    now: datetime, source_ip: str | None, user_agent: str | None, secure_transport: bool
) -> dict[str, tuple[str, ...]]:
    """The keys that follow from the request's time and transport; what is not known is left out."""
    keys: dict[str, tuple[str, ...]] = {
        "aws:CurrentTime": (iso_seconds(now),),
        "aws:EpochTime": (str(int(now.timestamp())),),
        "aws:SecureTransport": ("true" if secure_transport else "false",),
        "aws:ViaAWSService": ("false",),
        "aws:PrincipalIsAWSService": ("false",),
    }
    if source_ip is not None:
        keys["aws:SourceIp"] = (source_ip,)
    if user_agent is not None:
        keys["aws:UserAgent"] = (user_agent,)
    return keys
