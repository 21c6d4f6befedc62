"""Attempts that nobody is behind: above a rate they are counted instead of recorded one by one, or they fill the disk.

Each address (of IPv6: each /64) may leave some records a second, and many in a burst; so may all addresses together.
What is above is counted into one event a second and address, and what is above the rate of all into one for all.
"""

from __future__ import annotations

import ipaddress
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

from broker.audit.event import CallRecord
from broker.identifiers import new_uuid

SUMMARY = "RepeatedFailures"
"""The name of the event that stands for many."""
EVERYBODY = "*"
"""Its address, if it is for all those whose addresses are not told apart."""

_BURST_SECONDS = 10
_MAX_ADDRESSES = 10_000
_TOGETHER = 20
"""How much more all addresses together may leave than one."""
_MAX_KINDS = 20


@dataclass(slots=True)
class _Bucket:
    """What an address has left; ``at`` is in seconds since the epoch."""

    tokens: float
    at: float

    def take(self, now: float, rate: float) -> bool:
        self.tokens = min(rate * _BURST_SECONDS, self.tokens + max(0.0, now - self.at) * rate)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass(slots=True)
class _Counted:
    """The failures of one second and address that have no record of their own."""

    second: int
    total: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    names: Counter[str] = field(default_factory=Counter)

    def add(self, call: CallRecord) -> None:
        self.total += 1
        for counter, name in ((self.codes, call.error_code or ""), (self.names, call.event_name[:128])):
            counter[name if name in counter or len(counter) < _MAX_KINDS else "other"] += 1


class Floods:
    """Says of each failure whether it is to be recorded; counts the others."""

    def __init__(self, rate: float) -> None:
        """``rate``: records a second that an address may leave."""
        self._rate = rate
        self._lock = threading.Lock()
        self._buckets: dict[str, _Bucket] = {}
        self._all = _Bucket(rate * _TOGETHER * _BURST_SECONDS, 0)
        self._counted: dict[str, _Counted] = {}
        self._finished: list[CallRecord] = []

    def admits(self, call: CallRecord) -> bool:
        """Whether ``call``, a failure of nobody known, is recorded by itself."""
        now, address = call.time.timestamp(), network(call.source_ip)
        with self._lock:
            bucket = self._bucket(address, now)
            if bucket is not None and not bucket.take(now, self._rate):
                self._count(address, call, int(now))
                return False
            if bucket is None or not self._all.take(now, self._rate * _TOGETHER):
                self._count(EVERYBODY, call, int(now))
                return False
            return True

    def summaries(self, before: int) -> list[CallRecord]:
        """The events of the seconds that were over at ``before`` (since the epoch); each is given once."""
        with self._lock:
            over = [address for address, counted in self._counted.items() if counted.second < before]
            for address in over:
                self._finish(address)
            finished, self._finished = self._finished, []
        return finished

    def _bucket(self, address: str, now: float) -> _Bucket | None:
        bucket = self._buckets.get(address)
        if bucket is None:
            if len(self._buckets) >= _MAX_ADDRESSES:
                self._buckets = {one: kept for one, kept in self._buckets.items() if now - kept.at < _BURST_SECONDS}
            if len(self._buckets) >= _MAX_ADDRESSES:
                return None
            bucket = self._buckets[address] = _Bucket(self._rate * _BURST_SECONDS, now)
        return bucket

    def _count(self, address: str, call: CallRecord, second: int) -> None:
        counted = self._counted.get(address)
        if counted is not None and counted.second != second:
            self._finish(address)
            counted = None
        if counted is None:
            counted = self._counted[address] = _Counted(second)
        counted.add(call)

    def _finish(self, address: str) -> None:
        counted = self._counted.pop(address)
        event = CallRecord(new_uuid(), datetime.fromtimestamp(counted.second, UTC), source_ip=address)
        event.event_source, event.event_name, event.error_code = "accredit", SUMMARY, SUMMARY
        event.error_message = f"{counted.total} more failures in this second"
        event.parameters = {
            "count": counted.total,
            "error_codes": dict(counted.codes),
            "event_names": dict(counted.names),
        }
        self._finished.append(event)


@lru_cache(maxsize=4_096)
def network(address: str) -> str:
    """What counts as one address: of IPv6 the network that one customer has."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    return str(parsed) if parsed.version == 4 else str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
