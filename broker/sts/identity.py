"""Questions about credentials themselves."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from broker.authorization import authorize
from broker.authorization_messages import decode_message
from broker.credentials.keyids import account_of
from broker.errors import InvalidAuthorizationMessage
from broker.services import Caller, Services


class CallerIdentity(msgspec.Struct, frozen=True):
    """STS ``GetCallerIdentityResponse``."""

    user_id: str
    account: str
    arn: str


class AccessKeyInfo(msgspec.Struct, frozen=True):
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


@dataclass(frozen=True, slots=True)
class DecodedMessage:
    """STS ``DecodeAuthorizationMessageResponse``: JSON."""

    decoded_message: str


def decode_authorization_message(services: Services, caller: Caller, *, encoded_message: str) -> DecodedMessage:
    """Why a request was denied (AWS STS DecodeAuthorizationMessage). Raises InvalidAuthorizationMessage.

    Read by the account whose resource was asked for, if its policies allow that.
    """
    identity = authorize(services, caller, "sts:DecodeAuthorizationMessage", "*")
    account, explanation = decode_message(services.ring, encoded_message)
    if account != identity.principal.account:
        raise InvalidAuthorizationMessage(
            "The encoded authorization message is not valid.", detail="it belongs to another account"
        )
    return DecodedMessage(explanation)
