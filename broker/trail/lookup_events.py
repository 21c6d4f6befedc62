"""The account's events, by one attribute and a range of time.

CloudTrail API Reference, "LookupEvents".
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from broker.audit.index import ATTRIBUTES, event_resources, event_seconds, user_name
from broker.audit.lookup import MAX_TIME, Found, Search, lookup
from broker.authorization import authorize
from broker.errors import InvalidEventCategory, InvalidLookupAttributes, InvalidNextToken, InvalidTimeRange
from broker.services import Caller, Services

_PAGE = 50
_TOKEN = re.compile(r"(0|[1-9][0-9]{0,17})-([0-9a-f]{32})")


class LookupAttribute(msgspec.Struct, frozen=True):
    """CloudTrail ``LookupAttribute``."""

    attribute_key: str
    attribute_value: str


@dataclass(frozen=True, slots=True)
class Resource:
    """CloudTrail ``Resource``."""

    resource_type: str | None
    resource_name: str


@dataclass(frozen=True, slots=True)
class Event:
    """CloudTrail ``Event``; ``cloud_trail_event`` is the record as JSON."""

    event_id: str
    event_name: str
    read_only: str
    access_key_id: str | None
    event_time: datetime
    event_source: str
    username: str | None
    resources: tuple[Resource, ...]
    cloud_trail_event: str


@dataclass(frozen=True, slots=True)
class FoundEvents:
    """CloudTrail ``LookupEventsResponse``."""

    events: tuple[Event, ...]
    next_token: str | None


def lookup_events(
    services: Services,
    caller: Caller,
    *,
    lookup_attributes: tuple[LookupAttribute, ...] = (),
    start_time: datetime | None = None,
    end_time: datetime | None = None,
    event_category: str | None = None,
    max_results: int = _PAGE,
    next_token: str | None = None,
) -> FoundEvents:
    """Events of the caller's account, the newest first (CloudTrail LookupEvents).

    All events that are kept, not only those of 90 days; an event can be found some seconds after its call. Raises
    AccessDenied, InvalidLookupAttributes, InvalidTimeRange, InvalidEventCategory, and InvalidNextToken for a token of
    another request.
    """
    identity = authorize(services, caller, "cloudtrail:LookupEvents", "*")
    search = _search(identity.principal.account, lookup_attributes, start_time, end_time)
    if event_category is not None:
        raise InvalidEventCategory("There are no Insights events here.")
    mark = hashlib.blake2b(repr(search).encode("utf-8", "replace"), digest_size=16).hexdigest()
    before = _before(next_token, mark)
    with services.database.read() as connection:
        page = lookup(connection, search, max_results, before)
    following = None if page.before is None else f"{page.before}-{mark}"
    return FoundEvents(tuple(map(_event, page.events)), following)


def _search(
    account: str, attributes: tuple[LookupAttribute, ...], start: datetime | None, end: datetime | None
) -> Search:
    earliest = 0 if start is None else int(start.timestamp())
    latest = MAX_TIME if end is None else int(end.timestamp())
    if earliest > latest:
        raise InvalidTimeRange("The start time is after the end time.")
    if not attributes:
        return Search(account, start=earliest, end=latest)
    if len(attributes) > 1:
        raise InvalidLookupAttributes("Only one lookup attribute can be given.")
    (one,) = attributes
    if one.attribute_key not in ATTRIBUTES:
        raise InvalidLookupAttributes("There is no such lookup attribute.")
    return Search(account, one.attribute_key, one.attribute_value, earliest, latest)


def _before(token: str | None, mark: str) -> int | None:
    if token is None:
        return None
    found = _TOKEN.fullmatch(token)
    if found is None or found[2] != mark:
        raise InvalidNextToken("The token is not one of this request.")
    return int(found[1])


def _event(found: Found) -> Event:
    event = found.event
    identity = event.get("userIdentity") or {}
    return Event(
        event_id=str(event.get("eventID", "")),
        event_name=str(event.get("eventName", "")),
        read_only="true" if event.get("readOnly") else "false",
        access_key_id=identity.get("accessKeyId"),
        event_time=datetime.fromtimestamp(event_seconds(event), UTC),
        event_source=str(event.get("eventSource", "")),
        username=user_name(identity) or None,
        resources=tuple(Resource(kind or None, name) for kind, name in event_resources(event)),
        cloud_trail_event=found.record,
    )
