"""The credentials of an account's users as they are now: rows of the credential report.

IAM User Guide, "Generate credential reports": ``N/A`` is what cannot be, ``no_information`` what was never seen,
``not_supported`` what root cannot be asked about.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime

from sqlalchemy import Connection

from broker.domain.arn import root_arn
from broker.iam.password_policy import password_policy_of
from broker.iam.password_rules import PasswordPolicy
from broker.store.access_keys import AccessKeyState, list_account_access_keys
from broker.store.accounts import get_created_at
from broker.store.entities import Entity, list_entities
from broker.store.login_profiles import LoginProfile, list_account_login_profiles
from broker.store.mfa_devices import list_mfa_owners
from broker.store.usages import Usage, last_usages_of_access_keys

_EVERYBODY = 10_000_000
_NONE, _UNSEEN, _UNASKED = "N/A", "no_information", "not_supported"
_FALSE, _TRUE = "false", "true"


@dataclass(frozen=True, slots=True)
class CredentialState:
    """A line of the report: the fields are its columns."""

    user: str
    arn: str
    user_creation_time: str
    password_enabled: str
    password_last_used: str
    password_last_changed: str
    password_next_rotation: str
    mfa_active: str
    access_key_1_active: str = _FALSE
    access_key_1_last_rotated: str = _NONE
    access_key_1_last_used_date: str = _NONE
    access_key_1_last_used_region: str = _NONE
    access_key_1_last_used_service: str = _NONE
    access_key_2_active: str = _FALSE
    access_key_2_last_rotated: str = _NONE
    access_key_2_last_used_date: str = _NONE
    access_key_2_last_used_region: str = _NONE
    access_key_2_last_used_service: str = _NONE
    cert_1_active: str = _FALSE
    cert_1_last_rotated: str = _NONE
    cert_2_active: str = _FALSE
    cert_2_last_rotated: str = _NONE

    def old_keys(self, now: datetime, days: int) -> Sequence[str]:
        """What should be said about active access keys that are older than ``days``."""
        found = []
        for number, active, rotated in (
            (1, self.access_key_1_active, self.access_key_1_last_rotated),
            (2, self.access_key_2_active, self.access_key_2_last_rotated),
        ):
            if active == _TRUE and (age := (now - datetime.fromisoformat(rotated)).days) > days:
                found.append(f"access key {number} is {age} days old")
        return found


def credential_states(connection: Connection, account: str) -> list[CredentialState]:
    """The root user, and every user by name."""
    keys: dict[str | None, list[AccessKeyState]] = {}
    for key in list_account_access_keys(connection, account):
        keys.setdefault(key.user_id, []).append(key)
    used = last_usages_of_access_keys(connection, account)
    protected = list_mfa_owners(connection, account)
    profiles = list_account_login_profiles(connection, account)
    policy = password_policy_of(connection, account)
    created = _time(get_created_at(connection, account))
    root = ("<root_account>", root_arn(account), created, _UNASKED, _UNSEEN, _UNASKED, _UNASKED)
    owners: list[tuple[str | None, tuple[str, ...]]] = [(None, root)]
    for user in list_entities(connection, account, "user", limit=_EVERYBODY):
        owners.append((user.id, _user_columns(user, profiles.get(user.id), policy)))
    return [
        CredentialState(*(*columns, _word(owner in protected), *_key_columns(keys.get(owner, ()), used)))
        for owner, columns in owners
    ]


def render_csv(states: Iterable[CredentialState]) -> str:
    """The report as AWS gives it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(CredentialState))
    writer.writerows(astuple(state) for state in states)
    return text.getvalue()


def _user_columns(user: Entity, profile: LoginProfile | None, policy: PasswordPolicy | None) -> tuple[str, ...]:
    who = (user.name, user.arn, _time(user.created_at))
    if profile is None:
        return (*who, _FALSE, _NONE, _NONE, _NONE)
    expires_at = None if policy is None else policy.expires_at(profile.changed_at)
    used = _UNSEEN if profile.last_used_at is None else _time(profile.last_used_at)
    return (*who, _TRUE, used, _time(profile.changed_at), _NONE if expires_at is None else _time(expires_at))


def _key_columns(keys: Sequence[AccessKeyState], used: dict[str, Usage]) -> tuple[str, ...]:
    """Of the two oldest keys: where a quota allows more, the report has no columns for them."""
    columns: list[str] = []
    for key in keys[:2]:
        usage = used.get(key.id)
        last = (_NONE, _NONE, _NONE) if usage is None else (_time(usage.used_at), usage.region or _NONE, usage.service)
        columns += (_word(key.status == "Active"), _time(key.created_at), *last)
    return tuple(columns)


def _word(value: bool) -> str:
    return _TRUE if value else _FALSE


def _time(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()
