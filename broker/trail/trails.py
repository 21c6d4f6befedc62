"""The trail that every account has: it takes all events, is always on and cannot be changed.

CloudTrail API Reference, "DescribeTrails" and "GetTrailStatus".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from broker.authorization import authorize
from broker.errors import InvalidTrailName, TrailNotFound
from broker.services import Caller, Services
from broker.store.accounts import account_created_at
from broker.store.audit_tree import last_heads

TRAIL = "accredit"
_LONGEST_NAME = 128


@dataclass(frozen=True, slots=True)
class Trail:
    """CloudTrail ``Trail``. Events are delivered to no bucket."""

    name: str
    trail_arn: str
    home_region: str
    include_global_service_events: bool = True
    is_multi_region_trail: bool = True
    log_file_validation_enabled: bool = True
    has_custom_event_selectors: bool = False
    has_insight_selectors: bool = False
    is_organization_trail: bool = False


@dataclass(frozen=True, slots=True)
class Trails:
    """CloudTrail ``DescribeTrailsResponse``."""

    trail_list: tuple[Trail, ...]


@dataclass(frozen=True, slots=True)
class TrailStatus:
    """CloudTrail ``GetTrailStatusResponse``: deliveries are the record's signed heads."""

    is_logging: bool
    start_logging_time: datetime | None
    latest_delivery_time: datetime | None
    latest_digest_delivery_time: datetime | None


def describe_trails(
    services: Services,
    caller: Caller,
    *,
    trail_name_list: Sequence[str] = (),
    include_shadow_trails: bool = True,
) -> Trails:
    """The account's trail, if no others are asked for (CloudTrail DescribeTrails). Raises AccessDenied."""
    identity = authorize(services, caller, "cloudtrail:DescribeTrails", "*")
    trail = _trail(caller, identity.principal.account)
    wanted = not trail_name_list or {trail.name, trail.trail_arn} & set(trail_name_list)
    return Trails((trail,) if wanted else ())


def get_trail_status(services: Services, caller: Caller, *, name: str) -> TrailStatus:
    """Since when the trail records, and when it was sealed last (CloudTrail GetTrailStatus).

    Raises AccessDenied, TrailNotFound, InvalidTrailName.
    """
    account = caller.authenticated().principal.account
    trail = _trail(caller, account)
    authorize(services, caller, "cloudtrail:GetTrailStatus", trail.trail_arn)
    if not 0 < len(name) <= _LONGEST_NAME:
        raise InvalidTrailName("A trail's name has between 1 and 128 characters.")
    if name not in (trail.name, trail.trail_arn):
        raise TrailNotFound(f"Unknown trail: {name} for the user: {account}")
    with services.database.read() as connection:
        heads, started = last_heads(connection, 1), account_created_at(connection, account)
    latest = datetime.fromtimestamp(heads[0].created_at, UTC) if heads else None
    return TrailStatus(True, None if started is None else datetime.fromtimestamp(started, UTC), latest, latest)


def _trail(caller: Caller, account: str) -> Trail:
    """In the region that the caller signed for: there is one record for all."""
    region = caller.record.region
    return Trail(TRAIL, f"arn:aws:cloudtrail:{region}:{account}:trail/{TRAIL}", region)
