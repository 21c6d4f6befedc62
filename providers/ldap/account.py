"""May somebody log in whose password may be right? What the directory says when it refuses, and what an entry says.

Active Directory: the ``data`` code in the words of a refused bind ([MS-ADTS] and winerror.h, in hexadecimal), and
``userAccountControl``. Others: the password policy control (draft-behera-ldap-password-policy-11, section 6.2), and
the attributes by which OpenLDAP, 389 Directory Server and FreeIPA mark an account.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from providers.ldap.link import Outcome

Values = Mapping[str, tuple[bytes, ...]]

STATE_ATTRIBUTES = (
    "userAccountControl",
    "msDS-User-Account-Control-Computed",
    "accountExpires",
    "pwdLastSet",
    "pwdAccountLockedTime",
    "pwdReset",
    "nsAccountLock",
)
"""What has to be read to judge an entry."""
_ACTIVE_DIRECTORY = re.compile(r"\bdata ([0-9a-f]{2,8})\b", re.IGNORECASE)
_AD_REASONS = {
    "525": "no such account",
    "52e": "wrong password",
    "530": "the account may not log in at this time",
    "531": "the account may not log in from here",
    "532": "the password has expired",
    "533": "the account is disabled",
    "568": "the account is in too many groups",
    "701": "the account has expired",
    "773": "the password must be changed first",
    "775": "the account is locked",
}
_POLICY_ERRORS = {0: "the password has expired", 1: "the account is locked", 2: "the password must be changed first"}
_CODES = {
    19: "the directory's limits do not let the account log in",
    32: "no such account",
    34: "the name is no distinguished name",
    48: "the account has no password",
    49: "wrong password, or no such account",
    50: "the account may not log in",
    53: "the directory does not let the account log in",
}
"""Result codes that are about the one who logs in; any other is about the server."""
_DISABLED, _LOCKED, _PASSWORD_EXPIRED, _NEVER_EXPIRES = 0x2, 0x10, 0x800000, 0x10000
_AD_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_AD_NEVER = (0, 0x7FFFFFFFFFFFFFFF)
_FOR_GOOD = b"000001010000Z"


def bind_problem(outcome: Outcome) -> str | None:
    """Why a bind does not count, or None if it does. A password that is only good for changing it does not count."""
    policy = _policy_problem(outcome.policy)
    if outcome.code == 0:
        return policy
    reason = _CODES.get(outcome.code, f"result {outcome.code}")
    found = _ACTIVE_DIRECTORY.search(outcome.message)
    if found is not None:
        code = found[1].lower().lstrip("0")
        reason = f"{_AD_REASONS.get(code, 'refused by Active Directory')} (data {code})"
    return policy or reason


def is_about_the_server(outcome: Outcome) -> bool:
    """Whether a refused bind says nothing of the account: another server may know better."""
    return outcome.code != 0 and outcome.code not in _CODES


def entry_problem(values: Values, now: datetime) -> str | None:
    """Why the account of this entry may not log in now, as far as the entry says it."""
    control = _number(values, "useraccountcontrol") or 0
    computed = _number(values, "msds-user-account-control-computed") or 0
    found = deactivation(values, now)
    if found is None and computed & _LOCKED:
        found = "the account is locked"
    if found is None and computed & _PASSWORD_EXPIRED:
        found = "the password has expired"
    if found is None and _number(values, "pwdlastset") == 0 and not control & _NEVER_EXPIRES:
        found = "the password must be changed first"
    if found is None and _true(values, "pwdreset"):
        found = "the password must be changed first"
    return found


def deactivation(values: Values, now: datetime) -> str | None:
    """Why whoever has this account should have no session any more. A lock that guessing causes is no reason: strangers
    could end everybody's sessions."""
    if (_number(values, "useraccountcontrol") or 0) & _DISABLED or _true(values, "nsaccountlock"):
        return "the account is disabled"
    expires = _number(values, "accountexpires")
    if expires is not None and expires not in _AD_NEVER and _ad_time(expires) <= now:
        return "the account has expired"
    if _FOR_GOOD in values.get("pwdaccountlockedtime", ()):
        return "the account is locked for good"
    return None


def _policy_problem(control: bytes | None) -> str | None:
    """``SEQUENCE { warning [0] CHOICE { timeBeforeExpiration [0], graceAuthNsRemaining [1] }, error [1] }``."""
    fields = _fields(control or b"", 0x30)
    if fields is None:
        return None
    error = fields.get(0x81)
    if error:
        return _POLICY_ERRORS.get(int.from_bytes(error, "big"), "the password policy does not let the account log in")
    if 0x81 in (_members(fields.get(0xA0, b"")) or {}):
        return "the password has expired; the directory lets it in only to change it"
    return None


def _fields(encoded: bytes, tag: int) -> dict[int, bytes] | None:
    outer = _members(encoded)
    return None if outer is None or tag not in outer else _members(outer[tag])


def _members(encoded: bytes) -> dict[int, bytes] | None:
    """Tags and contents of a few short BER values; None if it is none."""
    found: dict[int, bytes] = {}
    while encoded:
        if len(encoded) < 2 or encoded[1] > 127 or len(encoded) < 2 + encoded[1]:
            return None
        found[encoded[0]] = encoded[2 : 2 + encoded[1]]
        encoded = encoded[2 + encoded[1] :]
    return found


def _number(values: Values, name: str) -> int | None:
    for value in values.get(name, ()):
        if re.fullmatch(rb"-?[0-9]{1,19}", value):
            return int(value)
    return None


def _true(values: Values, name: str) -> bool:
    return any(value.lower() == b"true" for value in values.get(name, ()))


def _ad_time(ticks: int) -> datetime:
    """Of 100 ns since 1601; what is past the calendar is never."""
    try:
        return _AD_EPOCH + timedelta(microseconds=ticks // 10)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)
