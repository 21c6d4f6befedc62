"""The smallest policy that allows what was done, with resources generalised where there are many of a kind."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from broker.audit.observed import Use

MANY = 5
"""More resources of one kind and path become one pattern."""


def minimal_policy(uses: Iterable[Use]) -> str:
    """The policy document; a statement for each set of resources, with all actions that were about it."""
    resources: dict[str, set[str]] = {}
    for use in uses:
        resources.setdefault(use.action, set()).add(use.resource)
    statements: dict[tuple[str, ...], list[str]] = {}
    for action, named in resources.items():
        statements.setdefault(generalise(named), []).append(action)
    document: Mapping[str, object] = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": sorted(actions), "Resource": list(patterns)}
            for patterns, actions in sorted(statements.items(), key=lambda item: sorted(item[1]))
        ],
    }
    return json.dumps(document)


def generalise(resources: Iterable[str]) -> tuple[str, ...]:
    """``resources`` as patterns: those of one account, kind and path together, if there are more than a few.

    A path is kept, so that ``user/team-a/`` does not become all users. ``*`` makes the others needless.
    """
    named = set(resources)
    if "*" in named:
        return ("*",)
    groups: dict[str, set[str]] = {}
    for resource in named:
        groups.setdefault(_head(resource), set()).add(resource)
    patterns = [pattern for head, members in groups.items() for pattern in _patterns(head, members)]
    return tuple(sorted(patterns))


def _patterns(head: str, members: set[str]) -> list[str]:
    return [f"{head}*"] if len(members) > MANY and head else sorted(members)


def _head(resource: str) -> str:
    """All of an ARN but its name: ``arn:aws:iam::123456789012:user/team-a/``; empty if it has no names."""
    head, slash, _ = resource.rpartition("/")
    return f"{head}{slash}"
