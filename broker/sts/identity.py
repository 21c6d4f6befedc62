"""Questions about credentials themselves."""

from __future__ import annotations

from dataclasses import dataclass

from broker.authorization import authorize
from broker.credentials.keyids import account_of
from broker.services import Caller, Services


@dataclass(frozen=True, slots=True)
class CallerIdentity:
    """STS ``GetCallerIdentityResponse``."""

    user_id: str
    account: str
    arn: str


@dataclass(frozen=True, slots=True)
class AccessKeyInfo:
    """STS ``GetAccessKeyInfoResponse``."""

    account: str


def get_caller_identity(services: Services, caller: Caller) -> CallerIdentity:
    """Who the credentials belong to. Needs no permission and cannot be denied (AWS STS GetCallerIdentity)."""
    principal = caller.authenticated().principal
    return CallerIdentity(principal.unique_id, principal.account, principal.arn)


def get_access_key_info(services: Services, caller: Caller, *, access_key_id: str) -> AccessKeyInfo:
    """The account of an access key id, read from the id; says nothing of its state (AWS STS GetAccessKeyInfo)."""
    authorize(services, caller, "sts:GetAccessKeyInfo", "*")
    return AccessKeyInfo(account_of(access_key_id))
