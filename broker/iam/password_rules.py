"""Which passwords are good enough: the account's password policy, or AWS's rules where it has none, and our own.

IAM User Guide, "Set an account password policy for IAM users". Besides, a password must not be one that everybody tries
first (the 30,000 most common ones of the zxcvbn project, also with other digits around or in them), nor resemble the
names of the user and the account.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from broker.errors import PasswordPolicyViolation
from broker.policy.closeness import closeness

SYMBOLS = "!@#$%^&*()_+-=[]{}|'"
_CLASSES: Mapping[str, Callable[[str], bool]] = {
    "uppercase letter": lambda character: character.isupper(),
    "lowercase letter": lambda character: character.islower(),
    "number": lambda character: character in string.digits,
    "symbol": lambda character: character in SYMBOLS,
}
_LOOKALIKES = str.maketrans("01345789@$!|+", "oleastbgasilt")
_TRIMMED = 6
"""So many digits and symbols around a common password leave it common; with more it is their strength that counts."""
_AROUND = string.digits + string.punctuation + string.whitespace
_SHORTEST_WORD = 4
_SHORTEST_NAME = 3
_TOO_CLOSE = 0.7


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """IAM ``PasswordPolicy``, with the defaults of UpdateAccountPasswordPolicy."""

    minimum_password_length: int = 6
    require_symbols: bool = False
    require_numbers: bool = False
    require_uppercase_characters: bool = False
    require_lowercase_characters: bool = False
    allow_users_to_change_password: bool = False
    max_password_age: int | None = None
    """In days."""
    password_reuse_prevention: int | None = None
    hard_expiry: bool | None = None

    @property
    def expire_passwords(self) -> bool:
        return self.max_password_age is not None

    def required(self) -> Iterable[str]:
        """The kinds of characters that each password has."""
        wanted = (
            self.require_uppercase_characters,
            self.require_lowercase_characters,
            self.require_numbers,
            self.require_symbols,
        )
        return [name for name, needed in zip(_CLASSES, wanted, strict=True) if needed]

    def expires_at(self, changed_at: int) -> int | None:
        """When a password of ``changed_at`` has to be another one, in seconds since the epoch."""
        return None if self.max_password_age is None else changed_at + self.max_password_age * 86_400


def check_password(policy: PasswordPolicy | None, password: str, names: Iterable[str]) -> None:
    """Raises PasswordPolicyViolation, naming the first rule that is broken. ``names``: of the user and the account."""
    if policy is None:
        _check_default(password)
    else:
        _check_policy(policy, password)
    if _is_common(password):
        raise PasswordPolicyViolation("Password should not be a common one")
    if any(_resembles(password, name) for name in names):
        raise PasswordPolicyViolation("Password should not resemble the user name or the account's name")


def _check_default(password: str) -> None:
    """AWS's own policy: eight characters, three kinds of them."""
    _check_length(password, 8)
    if sum(_has(password, name) for name in _CLASSES) < 3:
        raise PasswordPolicyViolation(
            "Password should have at least three of: uppercase letter, lowercase letter, number, symbol"
        )


def _check_policy(policy: PasswordPolicy, password: str) -> None:
    _check_length(password, policy.minimum_password_length)
    for name in policy.required():
        if not _has(password, name):
            raise PasswordPolicyViolation(f"Password should have at least one {name}")


def _check_length(password: str, least: int) -> None:
    if len(password) < least:
        raise PasswordPolicyViolation(f"Password should have a minimum length of {least}")


def _has(password: str, name: str) -> bool:
    return any(map(_CLASSES[name], password))


def _is_common(password: str) -> bool:
    lowered, common = password.lower(), _common_passwords()
    return lowered in common or any(
        len(word) >= _SHORTEST_WORD and len(lowered) - len(word) <= _TRIMMED and word.translate(_LOOKALIKES) in common
        for word in _words(lowered)
    )


@cache
def _common_passwords() -> frozenset[str]:
    """Loaded with the first password: it takes 12 MB of a worker."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"])


def _resembles(password: str, name: str) -> bool:
    lowered, name = password.lower(), name.lower()
    if len(name) < _SHORTEST_NAME:
        return False
    texts = (lowered, *(word.translate(_LOOKALIKES) for word in _words(lowered)))
    return any(closeness(text, name) >= _TOO_CLOSE or closeness(text[::-1], name) >= _TOO_CLOSE for text in texts)


def _words(password: str) -> tuple[str, str]:
    """What is between the digits and symbols at both ends, and what is before those at the end."""
    return password.strip(_AROUND), password.rstrip(_AROUND)
