"""Issued credentials on their way into the audit record: a worker's journal.

Writing into a file whose blocks are there already costs the processor a fifth of a commit, and no worker waits for
another one's. So the record of issued credentials goes into the journal before the answer leaves, and with many others
into the database soon after (``broker/audit/log.py``). Only a database of this node alone has journals: one that serves
several must not depend on the disk of any.

A journal is two sheets: one is written to while the other one goes into the database. A sheet holds frames from its
beginning, each with a number, a length, a checksum and a record. Numbers rise by one, so what an earlier use left on
the sheet does not pass for new, nor does what was torn. The database keeps the number of the last frame that it has
(``broker/store/audit_events.py``), in the transaction that adds it: no frame is added twice, however often and by
whomever the journal is read.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import mmap
import os
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from broker.store.audit_events import Frame, ingest
from broker.store.engine import Database

SHEET_BYTES = 4 * 1024 * 1024
"""About a second of a busy worker: what is reached only if the database takes nothing for so long."""

_STEP_BYTES = 1024 * 1024
"""In which a new file is filled: a larger piece of memory would not be given back."""

_NAME = "{}.journal"
_HEAD = struct.Struct(">QI")
_CHECKSUM = struct.Struct(">I")
_HEAD_BYTES = _HEAD.size + _CHECKSUM.size


class JournalFull(OSError):
    """The database has not taken what was written before."""


class Journal:
    """The journal of one worker, which holds it for as long as it lives. ``append`` and ``turn`` may be called at once
    by two threads."""

    def __init__(self, directory: Path, database: Database) -> None:
        """Take the first journal that nobody has, and bring what a worker that died has left in it into the database.

        Raises OSError, SQLAlchemyError.
        """
        directory.mkdir(mode=0o700, exist_ok=True)
        self.path, self._file = _claim(directory)
        _allocate(self._file, directory)
        self._lock = threading.Lock()
        self._number = _replay(database, self.path, alive=False)
        self._sheet = 0
        self._used = 0
        self._kept: list[Frame] = []
        self._turned: list[Frame] = []
        self._failed = False

    @property
    def usable(self) -> bool:
        """No write has failed. After one nobody knows what is on disk: pages that were not written count as clean."""
        return not self._failed

    def append(self, records: Sequence[str]) -> None:
        """Return when the records are on disk. Raises OSError, and then none of them counts."""
        with self._lock:
            if self._failed:
                raise OSError(errno.EIO, "an earlier write to the journal failed")
            numbered = list(enumerate(records, self._number + 1))
            frames = b"".join([_frame(number, record) for number, record in numbered])
            if self._used + len(frames) > SHEET_BYTES:
                raise JournalFull(errno.ENOSPC, "the journal is full")
            place = self._sheet * SHEET_BYTES + self._used
            self._failed = True  # until the contrary is known, whatever breaks this off
            try:
                written = os.pwrite(self._file, frames, place)  # O_DSYNC: on disk when it returns
                if written != len(frames):
                    raise OSError(errno.EIO, "the journal took a part only")
            except OSError:
                self._strike_out(place)
                raise
            self._number += len(records)
            self._used += len(frames)
            self._kept += numbered
            self._failed = False

    def _strike_out(self, place: int) -> None:
        try:
            os.pwrite(self._file, bytes(_HEAD_BYTES), place)  # else a later reader might find what was refused
        except OSError:
            pass

    def turn(self) -> list[Frame]:
        """What the database has to take now; until ``done`` is called, the same again."""
        with self._lock:
            if not self._turned and self._kept:
                self._turned, self._kept = self._kept, []
                self._sheet, self._used = 1 - self._sheet, 0
        return self._turned

    def done(self) -> None:
        """The database has what ``turn`` returned: that sheet can be written to again."""
        self._turned = []

    def close(self) -> None:
        os.close(self._file)


def replay(database: Database) -> None:
    """Bring into the database what is in any journal: of workers that died, and of those that live."""
    if database.journals is not None and database.journals.is_dir():
        for path in sorted(database.journals.glob(_NAME.format("*"))):
            _replay(database, path, alive=True)


def _replay(database: Database, path: Path, *, alive: bool) -> int:
    """The number of the last frame of this journal that the database has. ``alive``: a worker may be writing to it."""
    with database.write() as connection:
        frames = _read(path)  # only now: its worker cannot use a sheet anew before we have had our turn
        return ingest(connection, path.name, frames, alive=alive)


def _read(path: Path) -> list[Frame]:
    """The frames of both sheets. The file is mapped, for most of it need not be read."""
    if path.stat().st_size < 2 * SHEET_BYTES:
        return []  # its worker is just making it
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return sorted([*_frames(content, 0, SHEET_BYTES), *_frames(content, SHEET_BYTES, 2 * SHEET_BYTES)])


def _claim(directory: Path) -> tuple[Path, int]:
    for number in itertools.count(1):
        path = directory / _NAME.format(number)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_DSYNC | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel lets go of it if we die
            return path, file
        except BlockingIOError:
            os.close(file)
    raise AssertionError


def _allocate(file: int, directory: Path) -> None:
    """Give the file all its blocks, written once: a later write changes nothing but their content."""
    size = os.fstat(file).st_size
    if size < 2 * SHEET_BYTES:
        for place in range(size, 2 * SHEET_BYTES, _STEP_BYTES):
            os.pwrite(file, bytes(min(_STEP_BYTES, 2 * SHEET_BYTES - place)), place)
        parent = os.open(directory, os.O_RDONLY)
        os.fsync(parent)
        os.close(parent)


def _frame(number: int, record: str) -> bytes:
    payload = record.encode()
    head = _HEAD.pack(number, len(payload))
    return head + _CHECKSUM.pack(zlib.crc32(payload, zlib.crc32(head))) + payload


def _frames(content: bytes | mmap.mmap, place: int, end: int) -> Iterator[Frame]:
    """The frames of a sheet, which begins at ``place``, up to the first that is torn, or of an earlier use."""
    expected = None
    while place + _HEAD_BYTES <= end:
        head = content[place : place + _HEAD.size]
        number, length = _HEAD.unpack(head)
        (checksum,) = _CHECKSUM.unpack_from(content, place + _HEAD.size)
        place += _HEAD_BYTES
        payload = content[place : min(place + length, end)]
        place += length
        if zlib.crc32(payload, zlib.crc32(head)) != checksum or number != (expected or number):
            return
        yield number, payload.decode()
        expected = number + 1
