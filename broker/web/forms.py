"""Is a form ours, and sent by the page that we made? Three answers, all of which have to be yes.

1. The browser says where the form comes from (``Origin``, Fetch Metadata). 2. It brings a token that only we can make,
of this browser's cookie. 3. Cookies are ``SameSite=Lax``, so that other sites' forms come without them.
"""

from __future__ import annotations

import base64
import hmac
from urllib.parse import urlsplit

from flask import Request

from broker.credentials.mac import lasting_hmac_sha256
from broker.errors import AccessDenied
from broker.settings import Settings, parse_bind

FIELD = "csrf_token"
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


class FormGuard:
    """Makes and checks the tokens of forms."""

    def __init__(self, settings: Settings, master_key: bytes) -> None:
        self._key = lasting_hmac_sha256(master_key, b"form-tokens")
        self._origins = frozenset(_origins(settings))

    def token(self, cookie: str) -> str:
        """The token of forms that are made for the browser with this cookie."""
        mac = lasting_hmac_sha256(self._key, cookie.encode("ascii"))
        return base64.urlsafe_b64encode(mac).rstrip(b"=").decode("ascii")

    def check(self, request: Request, cookie: str | None) -> None:
        """Raises AccessDenied."""
        self.check_origin(request)
        given = request.form.get(FIELD, "")
        if cookie is None or not hmac.compare_digest(given.encode("utf-8", "replace"), self.token(cookie).encode()):
            raise AccessDenied(
                "This form is too old, or was not made for this browser. Please go back, reload and try again.",
                detail="the form's token is not of this browser's cookie",
            )

    def check_origin(self, request: Request) -> None:
        """A browser sends at least one of both headers with every form. Raises AccessDenied."""
        origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
        wrong = (
            (origin is None and site is None)
            or (origin is not None and origin not in self._origins)
            or (site is not None and site != "same-origin")
        )
        if wrong:
            raise AccessDenied("This form was not sent by a page of this server.", detail=f"origin {origin}, {site}")


def _origins(settings: Settings) -> list[str]:
    """The base URL's origin; without a configured one, all names of this machine for itself."""
    parts = urlsplit(settings.base_url())
    if settings.server.base_url:
        return [f"{parts.scheme}://{parts.netloc}".lower()]
    host, port = parse_bind(settings.server.bind)
    shown = f"[{host}]" if ":" in host else host
    return [f"{parts.scheme}://{name}:{port}" for name in dict.fromkeys((shown, *_LOOPBACK))]
