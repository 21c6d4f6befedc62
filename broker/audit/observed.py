"""What a principal did, as the record has it: actions and the resources that they were about.

Of calls that were answered only: what was denied is no reason to allow it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from broker.audit.index import PRINCIPAL, event_seconds
from broker.audit.lookup import MAX_TIME, Search, search_all

_FREE = frozenset({"sts:GetCallerIdentity"})
"""Needs no permission."""
_PREFIXES = {"access-analyzer", "cloudtrail", "iam", "sts"}
_BESIDES: Mapping[str, str] = {"tags": "sts:TagSession", "sourceIdentity": "sts:SetSourceIdentity"}
"""Parameter of AssumeRole -> what it needs besides."""


@dataclass(frozen=True, slots=True)
class Use:
    """One permission that a call needed: the moment is in seconds since the epoch."""

    action: str
    resource: str
    moment: int


def observed(
    connection: Connection, account: str, principal_id: str, start: int = 0, end: int = MAX_TIME
) -> Iterator[Use]:
    """What the user or role of this unique id did between two times, the newest first."""
    search = Search(account, PRINCIPAL, principal_id, start, end)
    for found in search_all(connection, search):
        yield from uses_of(found.event)


def uses_of(event: Mapping[str, Any]) -> Iterator[Use]:
    """The permissions that a call needed; none if it was refused."""
    if not event.get("errorCode"):
        yield from needs_of(event)


def needs_of(event: Mapping[str, Any]) -> Iterator[Use]:
    """The permissions that a call needed, whether it had them or not."""
    service = str(event.get("eventSource") or "").partition(".")[0]
    action = f"{service}:{event.get('eventName')}"
    if service not in _PREFIXES or action in _FREE:
        return
    resources = [str(one["ARN"]) for one in event.get("resources") or ()] or ["*"]
    parameters = event.get("requestParameters") or {}
    actions = [action]
    if action == "sts:AssumeRole":
        actions += [needed for parameter, needed in _BESIDES.items() if parameters.get(parameter)]
    for needed in actions:
        for resource in resources:
            yield Use(needed, resource, event_seconds(event))


def last_used(uses: Iterable[Use]) -> dict[str, int]:
    """Action -> when it was used last."""
    latest: dict[str, int] = {}
    for use in uses:
        latest[use.action] = max(use.moment, latest.get(use.action, 0))
    return latest
