"""Access keys: long-term credentials of users and of root (IAM User Guide, "Manage access keys for IAM users").

A secret is shown once, in the answer that makes it, and is sealed in the store. A key that is inactive or gone is
refused from the next request on, by every worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection

from broker.authorization import authorize
from broker.credentials.keyids import LONG_TERM, new_access_key_id, new_secret_access_key
from broker.credentials.long_term import seal_secret
from broker.domain.arn import root_arn, user_arn
from broker.domain.secret import Secret
from broker.errors import InvalidInput, LimitExceeded, NotFound
from broker.iam.changes import record_change
from broker.iam.named import account_of_caller, declared, entity_context
from broker.iam.owners import Owner, authorized_owner
from broker.iam.pages import page_within
from broker.services import Caller, Services
from broker.store.access_keys import (
    AccessKeyRow,
    AccessKeyState,
    count_access_keys,
    find_access_key_state,
    put_access_key,
    set_access_key_status,
)
from broker.store.access_keys import (
    delete_access_key as delete_row,
)
from broker.store.access_keys import (
    list_access_keys as list_rows,
)
from broker.store.entities import find_entity_by_id
from broker.store.usages import delete_usages, find_last_usage

_NEVER = "N/A"
"""AWS's word for the service and region of a key that was never used."""


@dataclass(frozen=True, slots=True)
class NewAccessKey:
    """IAM ``AccessKey``."""

    user_name: str | None
    access_key_id: str
    status: str
    secret_access_key: Secret
    create_date: datetime


@dataclass(frozen=True, slots=True)
class NewAccessKeyAnswer:
    """IAM ``CreateAccessKeyResponse``."""

    access_key: NewAccessKey


@dataclass(frozen=True, slots=True)
class AccessKeyMetadata:
    """IAM ``AccessKeyMetadata``."""

    user_name: str | None
    access_key_id: str
    status: str
    create_date: datetime


@dataclass(frozen=True, slots=True)
class AccessKeyList:
    """IAM ``ListAccessKeysResponse``."""

    access_key_metadata: Sequence[AccessKeyMetadata]
    is_truncated: bool
    marker: str | None


@dataclass(frozen=True, slots=True)
class LastUsed:
    """IAM ``AccessKeyLastUsed``."""

    last_used_date: datetime | None
    service_name: str
    region: str


@dataclass(frozen=True, slots=True)
class LastUsedAnswer:
    """IAM ``GetAccessKeyLastUsedResponse``."""

    user_name: str | None
    access_key_last_used: LastUsed


def create_access_key(services: Services, caller: Caller, *, user_name: str | None = None) -> NewAccessKeyAnswer:
    """Make a key for a user, or for the caller itself (AWS IAM CreateAccessKey). Raises LimitExceeded."""
    owner = authorized_owner(services, caller, "iam:CreateAccessKey", user_name)
    key_id, secret = new_access_key_id(LONG_TERM, owner.account), new_secret_access_key()
    sealed = seal_secret(services.master_key, key_id, secret)
    answer = NewAccessKeyAnswer(NewAccessKey(owner.user_name, key_id, "Active", Secret(secret), caller.now))
    limit = services.settings.quotas.access_keys_per_user
    with services.database.change() as connection:
        owner.check_there(connection)
        if count_access_keys(connection, owner.account, owner.user_id) >= limit:
            raise LimitExceeded(f"Cannot exceed quota for AccessKeysPerUser: {limit}")
        row = AccessKeyRow(key_id, owner.account, owner.user_id, True, sealed)
        put_access_key(connection, row, declared=False, now=int(caller.now.timestamp()))
        record_change(connection, caller, answer)
    return answer


def update_access_key(
    services: Services, caller: Caller, *, access_key_id: str, status: str, user_name: str | None = None
) -> None:
    """Switch a key off, or on again (AWS IAM UpdateAccessKey). Raises NotFound."""
    owner = authorized_owner(services, caller, "iam:UpdateAccessKey", user_name)
    if status not in ("Active", "Inactive"):
        raise InvalidInput(f"The status {status} cannot be set.")
    with services.database.change() as connection:
        _changeable(connection, owner, access_key_id)
        set_access_key_status(connection, access_key_id, status)
        record_change(connection, caller)


def delete_access_key(services: Services, caller: Caller, *, access_key_id: str, user_name: str | None = None) -> None:
    """Delete a key (AWS IAM DeleteAccessKey). Raises NotFound."""
    owner = authorized_owner(services, caller, "iam:DeleteAccessKey", user_name)
    with services.database.change() as connection:
        _changeable(connection, owner, access_key_id)
        delete_row(connection, access_key_id)
        delete_usages(connection, access_key_id)
        record_change(connection, caller)


def list_access_keys(
    services: Services,
    caller: Caller,
    *,
    user_name: str | None = None,
    marker: str | None = None,
    max_items: int | None = None,
) -> AccessKeyList:
    """A user's keys, or the caller's own, without their secrets (AWS IAM ListAccessKeys)."""
    owner = authorized_owner(services, caller, "iam:ListAccessKeys", user_name)
    with services.database.read() as connection:
        keys = list_rows(connection, owner.account, owner.user_id)
    page = page_within(keys, lambda key: key.id, marker, max_items)
    shown = [
        AccessKeyMetadata(owner.user_name, key.id, key.status, datetime.fromtimestamp(key.created_at, UTC))
        for key in page.items
    ]
    return AccessKeyList(shown, page.is_truncated, page.marker)


def get_access_key_last_used(services: Services, caller: Caller, *, access_key_id: str) -> LastUsedAnswer:
    """When and for what a key of the account was last used (AWS IAM GetAccessKeyLastUsed). Raises NotFound.

    The answer is some seconds old. A key of another account is as unknown as one that does not exist.
    """
    account = account_of_caller(caller)
    with services.database.read() as connection:
        key = find_access_key_state(connection, account, access_key_id)
        user = find_entity_by_id(connection, key.user_id) if key is not None and key.user_id is not None else None
        usage = find_last_usage(connection, access_key_id)
    if user is not None:
        resource, context = user.arn, entity_context(user)
    else:
        resource, context = (user_arn(account, "/", "*") if key is None else root_arn(account)), {}
    authorize(services, caller, "iam:GetAccessKeyLastUsed", resource, context)
    if key is None:
        raise _missing(access_key_id)
    last_used = LastUsed(None, _NEVER, _NEVER)
    if usage is not None:
        last_used = LastUsed(datetime.fromtimestamp(usage.used_at, UTC), usage.service, usage.region or _NEVER)
    return LastUsedAnswer(None if user is None else user.name, last_used)


def _changeable(connection: Connection, owner: Owner, access_key_id: str) -> AccessKeyState:
    """The owner's own key. Raises NotFound, and Unmodifiable if the configuration declares it."""
    found = find_access_key_state(connection, owner.account, access_key_id)
    if found is None or found.user_id != owner.user_id:
        raise _missing(access_key_id)
    if found.declared:
        raise declared(f"The access key {access_key_id}")
    return found


def _missing(access_key_id: str) -> NotFound:
    return NotFound(f"The Access Key with id {access_key_id} cannot be found.")
