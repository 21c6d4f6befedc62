"""How times and browsers are shown to people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

_BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
_LONGEST = 60


def day(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"


def moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def browser(user_agent: str) -> str:
    """``Firefox on Linux``, or the beginning of what no browser says."""
    name = next((shown for mark, shown in _BROWSERS if mark in user_agent), "")
    system = next((shown for mark, shown in _SYSTEMS if mark in user_agent), "")
    if name and system:
        return f"{name} on {system}"
    return user_agent[:_LONGEST] or "unknown"


FILTERS: Mapping[str, Callable[..., Any]] = {"day": day, "moment": moment, "browser": browser}
"""Names in templates."""
