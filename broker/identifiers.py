"""Random bytes in stock, and the identifiers made of them.

Each ``os.urandom`` is a system call, at which another thread gets its turn; a call needs four of them.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time

_POOL_BYTES = 4_096


class _Pool:
    """Bytes of ``os.urandom``, each given out once. Thrown away by a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stock = b""
        self._used = 0

    def take(self, count: int) -> bytes:
        with self._lock:
            if self._used + count > len(self._stock):
                self._stock, self._used = os.urandom(_POOL_BYTES), 0
            start, self._used = self._used, self._used + count
            return self._stock[start : start + count]


_pool = _Pool()


def _after_fork() -> None:
    global _pool  # the child must not repeat what the parent gives out
    _pool = _Pool()


os.register_at_fork(after_in_child=_after_fork)


def random_bytes(count: int) -> bytes:
    """``count`` (at most 4,096) unpredictable bytes for a name. Keys and secrets take ``os.urandom`` itself."""
    return _pool.take(count)


def unique_salt() -> bytes:
    """16 unpredictable bytes that never come again, not even from a restored copy of this process's memory: the
    clock goes into them too."""
    return hashlib.sha256(_pool.take(16) + time.time_ns().to_bytes(8, "big")).digest()[:16]


def new_uuid() -> str:
    """A random (version 4) UUID, as requests and events are numbered."""
    raw = bytearray(_pool.take(16))
    raw[6], raw[8] = raw[6] & 0x0F | 0x40, raw[8] & 0x3F | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
