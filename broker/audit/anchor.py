"""The anchor file: signed heads that this node has seen, outside of the database.

Whoever can write to the database can cut its end off, or put an older copy in its place, and all that is left fits
together. Only a head that was kept elsewhere tells.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from broker.audit.notes import Head, Verifier, open_head, split_notes

_STEP_SECONDS = 60
_END_BYTES = 16 * 1024


class Anchor:
    """``append`` writes a head each minute, not more: for one thread of a process at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written_at: datetime | None = None

    def append(self, note: str, now: datetime) -> None:
        """Add a head, if the last one was added a minute ago or by somebody else. Raises OSError."""
        if self._written_at is not None and (now - self._written_at).total_seconds() < _STEP_SECONDS:
            return
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(file, f"{note}\n".encode())  # one write: two processes do not mix their lines
        finally:
            os.close(file)
        self._written_at = now

    def last(self, verifiers: Sequence[Verifier]) -> Head | None:
        """The last head of the file. Raises NoteRefused if it has one that no known key signed, OSError."""
        try:
            with self._path.open("rb") as file:
                file.seek(max(0, self._path.stat().st_size - _END_BYTES))
                notes = split_notes(file.read().decode("utf-8", "replace"))
        except FileNotFoundError:
            return None
        return open_head(notes[-1], verifiers) if notes else None
