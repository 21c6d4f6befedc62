"""Group commit: what waits for the disk at the same time goes there together.

One thread writes. What has come by the time it begins makes a group, so one flush to disk serves all of it, and a lone
record waits for nobody. While calls come thick and fast it lets a little time pass between two writes: larger groups
cost the processor less than many flushes, and the calls would have to wait for it anyway.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue

Settle = Callable[[Exception | None], None]
"""Told what became of a record: on disk, or the error that kept it from there."""

_GATHER_SECONDS = 0.002
"""From the end of a write of several records to the next one."""

_log = logging.getLogger(__name__)


class GroupCommit:
    """Hands records to ``write`` in groups, one group at a time. ``write`` returns when they are on disk; if it raises,
    none of them counts."""

    def __init__(self, write: Callable[[list[str]], None]) -> None:
        self._write = write
        self._waiting: SimpleQueue[tuple[str, Settle] | None] = SimpleQueue()
        # a daemon: what it has not written when the process ends was acknowledged to nobody
        self._writer = threading.Thread(target=self._run, name="audit-writer", daemon=True)
        self._writer.start()

    def submit(self, record: str, settle: Settle) -> None:
        """Return at once; ``settle`` is called by another thread, as soon as it is known what became of the record."""
        self._waiting.put((record, settle))

    def close(self) -> None:
        """Return when all that was submitted is settled. Nothing may be submitted any more."""
        self._waiting.put(None)
        self._writer.join()

    def _run(self) -> None:
        gathering_ends = 0.0
        while (first := self._waiting.get()) is not None:
            if (wait := gathering_ends - time.monotonic()) > 0:
                time.sleep(wait)
            group = [first, *self._come_meanwhile()]
            error = self._attempt([record for record, _ in group])
            gathering_ends = time.monotonic() + _GATHER_SECONDS if len(group) > 1 else 0.0
            for _, settle in group:
                _tell(settle, error)

    def _come_meanwhile(self) -> Iterator[tuple[str, Settle]]:
        while not self._waiting.empty():
            if (entry := self._waiting.get()) is None:
                self._waiting.put(None)  # the last one: for the loop to see
                return
            yield entry

    def _attempt(self, records: list[str]) -> Exception | None:
        try:
            self._write(records)
        except Exception as error:  # noqa: BLE001  # the outer edge: whatever it is, nobody takes it for success
            _log.error("audit record cannot be written", extra={"error": repr(error)})
            return error
        return None


def _tell(settle: Settle, error: Exception | None) -> None:
    try:
        settle(error)
    except Exception:  # noqa: BLE001  # the outer edge: a call that cannot be answered keeps no other one waiting
        _log.exception("an answer could not be sent")
