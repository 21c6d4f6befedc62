"""Times as SAML writes them (SAML Core 1.3.3)."""

from __future__ import annotations

import re
from datetime import datetime

from providers.saml.document import malformed

_INSTANT = re.compile(r"(?:19|2[0-9])[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?Z")


def parse_instant(text: str | None, name: str) -> datetime:
    """A time in UTC, aware, of the years 1900 to 2999, with which can be reckoned.

    Raises MalformedEvidence for another zone, none, or what is no time.
    """
    try:
        if text is not None and _INSTANT.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError:
        pass
    raise malformed(f"{name} is missing or no time in UTC")


def find_instant(text: str | None, name: str) -> datetime | None:
    """A time that may be missing."""
    return None if text is None else parse_instant(text, name)
