"""Does a trust policy let in more than the one before?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Condition = frozenset[tuple[str, str, str]]
"""Operator, key and value of each comparison."""


@dataclass(frozen=True, slots=True)
class _Grant:
    principal: str
    action: str
    conditions: Condition


def widened(before: str, after: str) -> list[str]:
    """The principals that ``after`` lets in, and ``before`` did not, or only under more conditions."""
    old = list(_grants(before))
    added = {
        f"{grant.principal} ({grant.action})"
        for grant in _grants(after)
        if not any(_covers(earlier, grant) for earlier in old)
    }
    return sorted(added)


def _covers(earlier: _Grant, grant: _Grant) -> bool:
    """Whether ``earlier`` let in all that ``grant`` does: each of its conditions still has to hold."""
    return (
        earlier.principal in (grant.principal, "*")
        and earlier.action in (grant.action, "*", "sts:*")
        and earlier.conditions <= grant.conditions
    )


def _grants(document: str) -> Iterator[_Grant]:
    try:
        statements = _listed(json.loads(document).get("Statement"))
    except (ValueError, AttributeError):
        return
    for statement in statements:
        if not isinstance(statement, dict) or statement.get("Effect") != "Allow":
            continue
        conditions = _conditions(statement.get("Condition"))
        for principal in _principals(statement):
            for action in _listed(statement.get("Action") or "*"):
                yield _Grant(principal, str(action).lower(), conditions)


def _principals(statement: dict[str, Any]) -> Iterator[str]:
    principal = statement.get("Principal")
    if principal is None:
        yield f"all but {json.dumps(statement.get('NotPrincipal'), sort_keys=True)}"
    elif isinstance(principal, dict):
        for values in principal.values():
            yield from map(str, _listed(values))
    else:
        yield str(principal)


def _conditions(block: Any) -> Condition:
    """More values of one key let in more, so all of a key's values are one comparison."""
    found = block.items() if isinstance(block, dict) else ()
    return frozenset(
        (str(operator), str(key).lower(), json.dumps(sorted(map(str, _listed(values)))))
        for operator, keys in found
        if isinstance(keys, dict)
        for key, values in keys.items()
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
