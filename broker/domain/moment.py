"""Times as AWS writes them."""

from __future__ import annotations

from datetime import datetime

import msgspec


def iso_seconds(moment: datetime) -> str:
    """``2026-01-02T03:04:05Z`` for an aware UTC time; ``isoformat`` would take ten times as long."""
    return str(msgspec.to_builtins(moment.replace(microsecond=0) if moment.microsecond else moment))
