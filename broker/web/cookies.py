"""Cookies that only this host gets, over TLS alone (RFC 6265bis, 4.1.3.2: ``__Host-``).

Browsers take them from ``http://localhost`` too.
"""

from __future__ import annotations

import re
from typing import Literal

from flask import Request, Response

SESSION = "__Host-accredit"
VISITOR = "__Host-accredit-visitor"
"""What ties a form to the browser that it was made for, before anybody has signed in."""
_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")

SameSite = Literal["Lax", "Strict", "None"]


def read_cookie(request: Request, name: str) -> str | None:
    """The cookie's value, if it looks as ours do: 256 bits in base64url."""
    value = request.cookies.get(name, "")
    return value if _VALUE.fullmatch(value) else None


def set_cookie(
    response: Response, name: str, value: str, *, same_site: SameSite = "Lax", max_age: int | None = None
) -> None:
    """``max_age`` in seconds; without it the cookie goes with the browser. ``None`` lets other sites' forms bring it
    along, which only the first half of a sign-in at a SAML provider needs."""
    response.set_cookie(name, value, max_age=max_age, secure=True, httponly=True, samesite=same_site, path="/")


def drop_cookie(response: Response, name: str, *, same_site: SameSite = "Lax") -> None:
    response.delete_cookie(name, secure=True, httponly=True, samesite=same_site, path="/")
