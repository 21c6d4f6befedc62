"""Does a condition narrow who may ask? Only if it must hold, for a key that is there, with values not everybody has."""

from __future__ import annotations

import re
from collections.abc import Callable

from broker.policy.catalogue import CONDITION_KEYS, KeyType
from broker.policy.lint.source import PlacedCondition
from broker.policy.values import network

_POSITIVE = frozenset(
    {
        "StringEquals",
        "StringEqualsIgnoreCase",
        "StringLike",
        "ArnEquals",
        "ArnLike",
        "NumericEquals",
        "IpAddress",
    }
)
_PATTERNS = frozenset({"StringLike", "ArnEquals", "ArnLike"})
_WILDCARD = re.compile(r"[*?]|\$\{")
_VARIABLE = re.compile(r"\$\{")

_ARNS = frozenset(key.lower() for key, type_ in CONDITION_KEYS.items() if type_ is KeyType.ARN)
_ACCOUNTS = frozenset({"aws:principalaccount", "aws:sourceaccount"})
_CALLER_KEYS = _ACCOUNTS | {
    "aws:federatedprovider",
    "aws:principalarn",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:sourcearn",
    "aws:sourceip",
    "aws:sourceorgid",
    "aws:sourceorgpaths",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:userid",
}
"""Keys that say who or where the caller is, and that the caller cannot choose."""
_SAME_FOR_ALL = ("o-", "vpc-", "vpce-", "AIDA", "AROA")


def first_wildcard(operator: str, value: str) -> int | None:
    """Where ``value`` stops being fixed; equality takes ``*`` literally, but a variable is a wildcard to both."""
    found = (_WILDCARD if operator in _PATTERNS else _VARIABLE).search(value)
    return found.start() if found else None


def narrows(placed: PlacedCondition, is_open: Callable[[str, str], bool]) -> bool:
    """Whether the condition holds for some only; ``is_open(operator, value)`` says which values everybody has."""
    condition = placed.condition
    if condition.operator not in _POSITIVE or not placed.demands_key:
        return False
    return not any(is_open(condition.operator, value) for value in condition.values)


def narrows_caller(placed: PlacedCondition) -> bool:
    """Whether the condition names callers, or where they are, out of all there can be."""
    key = placed.key
    return key in _CALLER_KEYS and narrows(placed, lambda operator, value: _open(operator, key, value))


def _open(operator: str, key: str, value: str) -> bool:
    if operator == "IpAddress":
        return network(value)[2] == 0
    start = first_wildcard(operator, value)
    if start is None:
        return False
    if key in _ARNS:
        return _open_arn(operator, value, start)
    return key in _ACCOUNTS or any(prefix.startswith(value[:start]) for prefix in _SAME_FOR_ALL)


def _open_arn(operator: str, value: str, start: int) -> bool:
    """Whether the account is open: text wildcards cross colons, those of ARN operators do not."""
    parts = value.split(":", 5)
    if operator == "StringLike" or len(parts) < 6:
        return value.count(":", 0, start) < 5
    return bool(_WILDCARD.search(parts[4])) or not (parts[4] or parts[5][:1].isalnum())
