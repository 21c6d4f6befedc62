"""What a browser that we sent to a SAML provider is expected to bring back: sealed, in a cookie of that browser.

So an answer counts only in the browser that asked, for a few minutes, and nobody makes us keep anything by asking. That
it counts once is noted in the store, with what comes of it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from datetime import datetime, timedelta

import msgspec
from flask import Request, Response

from broker.credentials.sealing import SealBroken, seal, unseal
from broker.errors import AccessDenied
from broker.store.assertion_claims import Claim
from broker.web import cookies
from broker.web.site import HOME, new_value

LIFETIME = timedelta(minutes=10)
_PREFIX = "__Host-accredit-saml-"
_NAME_CHARACTERS = 8
_MOST = 20
"""Requests of one browser that are looked at: one for each tab."""
_LONGEST_PATH = 1_000
_PURPOSE = b"saml-request\x00"


class Pending(msgspec.Struct, frozen=True):
    """A request that has not been answered. ``expires_at`` is in seconds since the epoch."""

    request_id: str
    provider: str
    relay_state: str
    next_path: str
    expires_at: int

    def claim(self, now: datetime) -> Claim:
        """Its one answer."""
        digest = hashlib.sha256(f"saml-request\x00{self.provider}\x00{self.request_id}".encode()).hexdigest()
        return Claim(digest, digest, int(now.timestamp()), self.expires_at + 1)


def new_relay_state() -> str:
    """256 random bits: which request of the browser is meant, and that it is this browser's."""
    return new_value()


def remember(response: Response, key: bytes, pending: Pending) -> None:
    """The cookie comes along with a form that the provider's page sends: so it must not be SameSite."""
    if len(pending.next_path) > _LONGEST_PATH:
        pending = msgspec.structs.replace(pending, next_path=HOME)
    sealed = seal(key, msgspec.json.encode(pending), purpose=_PURPOSE)
    value = base64.urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii")
    age = int(LIFETIME.total_seconds())
    cookies.set_cookie(response, _cookie_name(pending), value, same_site="None", max_age=age)


def recall(request: Request, key: bytes, provider: str, request_id: str, relay_state: str, now: datetime) -> Pending:
    """The request of this browser that is answered. Raises AccessDenied."""
    mine = [value for name, value in request.cookies.items() if name.startswith(_PREFIX)][:_MOST]
    for pending in filter(None, (_opened(key, value) for value in mine)):
        same = pending.provider == provider and hmac.compare_digest(pending.request_id, request_id)
        if not same:
            continue
        if pending.expires_at <= now.timestamp():
            raise AccessDenied("The sign-in took too long. Please try again.", detail="InResponseTo: it has expired")
        if not hmac.compare_digest(pending.relay_state.encode(), relay_state.encode("utf-8", "replace")):
            raise AccessDenied("The answer is not complete. Please try again.", detail="RelayState is another one")
        return pending
    raise AccessDenied(
        "This browser did not ask for this sign-in, or asked too long ago. Please try again.",
        detail="InResponseTo: no request of this browser",
    )


def forget(response: Response, pending: Pending) -> None:
    cookies.drop_cookie(response, _cookie_name(pending), same_site="None")


def _cookie_name(pending: Pending) -> str:
    return _PREFIX + pending.relay_state[:_NAME_CHARACTERS]


def _opened(key: bytes, value: str) -> Pending | None:
    try:
        sealed = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
        return msgspec.json.decode(unseal(key, sealed, purpose=_PURPOSE), type=Pending)
    except (binascii.Error, ValueError, SealBroken, msgspec.DecodeError):
        return None  # somebody else's, or of another master key
