"""The headers of every page: nothing is loaded or run that this server did not send as a file of its own."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Response

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_ONE_YEAR = "max-age=31536000"


def protect(response: Response, *, secure: bool, form_action: Iterable[str] = ()) -> Response:
    """``form_action``: origins that the page's forms go to besides our own (a SAML provider's)."""
    response.headers["Content-Security-Policy"] = " ".join((_POLICY, *form_action))
    response.headers.setdefault("Cache-Control", "no-store")
    for name, value in _HEADERS.items():
        response.headers[name] = value
    if secure:
        response.headers["Strict-Transport-Security"] = _ONE_YEAR
    return response
