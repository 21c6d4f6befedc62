"""Health for load balancers and people: is the process up, can it serve, what is it."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, Response, jsonify

from broker import __version__
from broker.errors import Unavailable
from broker.services import Services
from broker.store.schema import is_current


def health_pages(services: Services) -> Blueprint:
    pages = Blueprint("health", __name__)

    @pages.get("/healthz")
    def healthz() -> Response:
        """The process answers."""
        return _json({"status": "ok"})

    @pages.get("/readyz")
    def readyz() -> Response:
        """The store answers with the schema we need, and there is a key to seal with."""
        try:
            ready = is_current(services.database)
            services.ring.sealing_key(datetime.now(UTC))
        except (Unavailable, LookupError):
            ready = False
        return _json({"status": "ready" if ready else "not ready"}, 200 if ready else 503)

    @pages.get("/version")
    def version() -> Response:
        return _json({"name": "accredit", "version": __version__})

    return pages


def unavailable_page(_error: Exception) -> Response:
    """What any page answers while the store does not."""
    response = _json({"status": "unavailable"}, 503)
    response.headers["Retry-After"] = "1"
    return response


def _json(body: dict[str, str], status: int = 200) -> Response:
    response = jsonify(body)
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    return response
