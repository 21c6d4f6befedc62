"""Alerts: rules over the sealed record, which is read in order, so that no event is passed over.

Each rule is a row of ``RULES`` and looks at one event at a time. What is told goes to the log, and to the output that
the configuration names.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from broker.audit.floods import SUMMARY
from broker.audit.index import event_account, event_seconds
from broker.audit.lookup import Search, search_all
from broker.audit.sinks import Sink
from broker.audit.trust_changes import widened
from broker.store.audit_events import oldest_after
from broker.store.audit_tree import last_segment
from broker.store.engine import Database

_MAX_ADDRESSES = 10_000
_MAX_HISTORY = 200
_GAP_EVERY_SECONDS = 600

_log = logging.getLogger(__name__)

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule that is switched on. ``output`` may be None: then the log alone is told."""

    rule: str
    output: Sink | None
    threshold: int
    """``brute-force``: so many failures of an address within ``seconds``."""
    seconds: int
    """Also: how far ``clock-jump`` lets times be apart, and how long ``audit-gap`` waits for events to be sealed."""


@dataclass(slots=True)
class _State:
    """What rules remember of the events before."""

    database: Database
    latest: int = 0
    failures: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    gap_told: float | None = None


Rule = Callable[[_State, Alert, Event], str]
"""A sentence if the event is one to alert of, else an empty text."""


class AlertSink:
    """A reader of the record (``broker.audit.relay``) that evaluates rules."""

    def __init__(self, database: Database, alerts: Sequence[Alert]) -> None:
        self._state = _State(database)
        self._alerts = alerts

    def send(self, first: int, records: Sequence[str]) -> None:
        for leaf, record in enumerate(records, first):
            event = json.loads(record)
            for alert in self._alerts:
                if alert.rule in RULES and (sentence := RULES[alert.rule](self._state, alert, event)):
                    _tell(alert, leaf, sentence, event)
            self._state.latest = max(self._state.latest, event_seconds(event))

    def watch(self, now: float) -> None:
        """What no event tells: that events are not sealed any more. Told again every ten minutes."""
        for alert in self._alerts:
            if alert.rule != AUDIT_GAP:
                continue
            sentence = _gap(self._state.database, now, alert.seconds)
            told = self._state.gap_told
            if sentence and (told is None or now - told > _GAP_EVERY_SECONDS):
                _tell(alert, 0, sentence, {})
                self._state.gap_told = now


def _tell(alert: Alert, leaf: int, sentence: str, event: Event) -> None:
    """Raises what the output raises: then the reader comes again with the same event."""
    _log.warning("alert", extra={"rule": alert.rule, "alert": sentence, "event_id": event.get("eventID", "")})
    if alert.output is not None:
        told = {
            "eventName": "Alert",
            "alert": alert.rule,
            "summary": sentence,
            "eventTime": event.get("eventTime") or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "event": event,
        }
        alert.output.send(leaf, [json.dumps(told)])


def _gap(database: Database, now: float, seconds: int) -> str:
    with database.read() as connection:
        segment = last_segment(connection)
        oldest = oldest_after(connection, segment.sequences[-1] if segment else 0)
    if oldest is None or now - oldest < seconds:
        return ""
    return f"events have not been sealed for {int(now - oldest)} seconds: the record may have been changed"


def _root_used(state: _State, alert: Alert, event: Event) -> str:
    root = (event.get("userIdentity") or {}).get("type") == "Root"
    return f"root of {event_account(event)} called {event.get('eventName')}" if root else ""


def _mfa_removed(state: _State, alert: Alert, event: Event) -> str:
    removed = event.get("eventName") in ("DeactivateMFADevice", "DeleteVirtualMFADevice") and _succeeded(event)
    return f"MFA was removed: {_parameter(event, 'serialNumber')}" if removed else ""


def _trust_policy_widened(state: _State, alert: Alert, event: Event) -> str:
    if event.get("eventName") not in _TRUST_EVENTS or not _succeeded(event):
        return ""
    with state.database.read() as connection:
        before = _trust_before(connection, event)
    added = widened(before, _trust_of(event))
    role = _parameter(event, "roleName")
    return f"the trust policy of {role} lets in more: {', '.join(added)}" if added else ""


_TRUST_EVENTS = {"CreateRole": "assumeRolePolicyDocument", "UpdateAssumeRolePolicy": "policyDocument"}


def _trust_of(event: Event) -> str:
    return _parameter(event, _TRUST_EVENTS[str(event["eventName"])])


def _trust_before(connection: Connection, event: Event) -> str:
    """The role's trust policy before, as the record has it; empty if it has none."""
    search = Search(event_account(event), "ResourceName", _parameter(event, "roleName"), end=event_seconds(event))
    found = search_all(connection, search)
    for one, _ in zip(found, range(_MAX_HISTORY), strict=False):
        earlier = one.event
        if earlier.get("eventName") == "DeleteRole" and _succeeded(earlier):
            return ""
        if earlier["eventID"] != event["eventID"] and earlier.get("eventName") in _TRUST_EVENTS and _succeeded(earlier):
            return _trust_of(earlier)
    return ""


_FAILURES = {
    "AccessDenied",
    "IDPRejectedClaim",
    "InvalidAuthenticationCode",
    "InvalidClientTokenId",
    "InvalidIdentityToken",
    "SignatureDoesNotMatch",
    SUMMARY,
}


def _brute_force(state: _State, alert: Alert, event: Event) -> str:
    if event.get("errorCode") not in _FAILURES:
        return ""
    address, moment = str(event.get("sourceIPAddress") or ""), event_seconds(event)
    if len(state.failures) >= _MAX_ADDRESSES:
        state.failures.clear()
    counted = int((event.get("requestParameters") or {}).get("count", 1)) if event.get("eventName") == SUMMARY else 1
    recent = [(at, count) for at, count in state.failures.get(address, ()) if moment - at < alert.seconds]
    total = sum(count for _, count in recent) + counted
    if total < alert.threshold:
        state.failures[address] = [*recent, (moment, counted)]
        return ""
    state.failures[address] = []  # told once, then counted anew
    return f"{total} failures from {address} within {alert.seconds} seconds"


def _key_export(state: _State, alert: Alert, event: Event) -> str:
    handed_out = event.get("eventName") in ("CreateAccessKey", "ExportKey") and _succeeded(event)
    return (
        f"a long-term key was handed out: {event.get('eventName')} {_parameter(event, 'userName')}"
        if handed_out
        else ""
    )


def _clock_jump(state: _State, alert: Alert, event: Event) -> str:
    moment = event_seconds(event)
    if state.latest - moment > alert.seconds:
        return f"an event's time is {state.latest - moment} seconds before that of an earlier one"
    ahead = moment - int(time.time())
    return f"an event's time is {ahead} seconds ahead" if ahead > alert.seconds else ""


AUDIT_GAP = "audit-gap"

RULES: Mapping[str, Rule] = {
    "brute-force": _brute_force,
    "clock-jump": _clock_jump,
    "key-export": _key_export,
    "mfa-removed": _mfa_removed,
    "root-used": _root_used,
    "trust-policy-widened": _trust_policy_widened,
}


def _succeeded(event: Event) -> bool:
    return not event.get("errorCode")


def _parameter(event: Event, name: str) -> str:
    return str((event.get("requestParameters") or {}).get(name) or "")
