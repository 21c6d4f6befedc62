"""Reads the sealed record in order, and gives it to whoever wants each event: outputs, and the rules of alerts.

One process of all nodes serves a reader at a time, by a lease; how far it came is in the store, so that each event
comes at least once, and in order, also when a process dies or a collector is away for days.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from broker.audit.sinks import Sink
from broker.errors import BrokerError
from broker.identifiers import new_uuid
from broker.store.audit_events import records_of
from broker.store.audit_outputs import find_position, put_position
from broker.store.audit_tree import SEGMENT_WIDTH, find_segment, last_heads
from broker.store.engine import Database
from broker.store.leases import take_lease
from providers.errors import ProviderError

ALERTS = " alerts"
"""The name under which alerts read: no output can be called that."""

_LEASE_SECONDS = 60.0
_LONGEST_PAUSE_SECONDS = 60.0
_TICK_SECONDS = 0.5

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Pause:
    """When a reader that failed is tried again, and how long it waits the next time."""

    until: float = 0.0
    seconds: float = 1.0


class Relay:
    """Gives new events to ``sinks``, which are called by their names."""

    def __init__(self, database: Database, sinks: Mapping[str, Sink]) -> None:
        self._database = database
        self._sinks = sinks
        self._holder = new_uuid()
        self._pauses = {name: _Pause() for name in sinks}

    def deliver(self) -> None:
        """Give every sink what is new. One that fails is left alone for a while, a longer one each time."""
        for name, sink in self._sinks.items():
            pause = self._pauses[name]
            if time.monotonic() < pause.until:
                continue
            try:
                self._deliver(name, sink)
                self._pauses[name] = _Pause()
            except (ProviderError, OSError, BrokerError, SQLAlchemyError) as error:
                detail = getattr(error, "detail", "") or repr(error)
                _log.warning("audit events were not delivered", extra={"output": name, "error": detail})
                self._pauses[name] = _Pause(
                    time.monotonic() + pause.seconds, min(2 * pause.seconds, _LONGEST_PAUSE_SECONDS)
                )

    def _deliver(self, name: str, sink: Sink) -> None:
        if self._behind(name) == 0:
            return
        while take_lease(self._database, f"output:{name}", self._holder, now=time.time(), seconds=_LEASE_SECONDS):
            first, records = self._next(name)
            if records:
                sink.send(first, records)
            with self._database.write() as connection:
                put_position(connection, name, first + len(records))
            if not records:
                return

    def _behind(self, name: str) -> int | None:
        """How many events the reader has not had; None if it never read."""
        with self._database.read() as connection:
            heads, position = last_heads(connection, 1), find_position(connection, name)
        return None if position is None else (heads[0].size if heads else 0) - position

    def _next(self, name: str) -> tuple[int, Sequence[str]]:
        """The next events, at most to the end of a segment. A reader that is new begins with what comes from now on."""
        with self._database.read() as connection:
            position = find_position(connection, name)
            heads = last_heads(connection, 1)
            if position is None:
                return (heads[0].size if heads else 0), ()
            number, place = divmod(position, SEGMENT_WIDTH)
            segment = find_segment(connection, number)
            sequences = segment.sequences[place:] if segment is not None else ()
            found = records_of(connection, sequences)
        return position, [found[sequence] for sequence in sequences if sequence in found]


def start_relay(relay: Relay, watch: Callable[[float], None]) -> None:
    """Deliver, and ``watch`` the clock now and then, in a thread of its own, which ends with the process."""
    threading.Thread(target=_run, args=(relay, watch), name="audit-relay", daemon=True).start()


def _run(relay: Relay, watch: Callable[[float], None]) -> None:
    while True:
        time.sleep(_TICK_SECONDS)
        relay.deliver()
        try:
            watch(time.time())
        except (ProviderError, OSError, BrokerError, SQLAlchemyError) as error:
            _log.warning("the audit record cannot be watched now", extra={"error": repr(error)})
