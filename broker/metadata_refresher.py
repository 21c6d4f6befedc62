"""Has SAML metadata looked at when it is time, by one worker of all nodes: whoever holds the lease."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from datetime import UTC, datetime

from broker.errors import Unavailable
from broker.saml.metadata_refresh import due_providers, refresh
from broker.services import Services
from broker.store.leases import take_lease

_LEASE = "saml-metadata"
_TICK_SECONDS = 15.0
_LEASE_SECONDS = 120.0
"""Longer than one fetch and its change may take; it is renewed before each."""

_log = logging.getLogger(__name__)


def start_metadata_refresher(services: Services) -> None:
    """Start the worker's thread; it ends with the process."""
    threading.Thread(target=_run, args=(services,), name="metadata-refresher", daemon=True).start()


def refresh_due(services: Services, holder: str, now: datetime) -> int:
    """Look at what is due, unless somebody else does; how many were looked at."""
    if not due_providers(services.database, services.settings, now) or not _hold(services, holder):
        return 0
    looked_at = 0
    for record in due_providers(services.database, services.settings, now):  # as whoever had the lease left it
        if not _hold(services, holder):
            break
        refresh(services.database, services.settings, record, now)
        looked_at += 1
    return looked_at


def _hold(services: Services, holder: str) -> bool:
    return take_lease(services.database, _LEASE, holder, now=time.time(), seconds=_LEASE_SECONDS)


def _run(services: Services) -> None:
    holder = secrets.token_hex(16)
    while True:
        try:
            refresh_due(services, holder, datetime.now(UTC))
        except Unavailable:
            pass  # housekeeping says so
        except Exception:  # noqa: BLE001  # without this thread metadata would grow old, silently
            _log.exception("metadata cannot be refreshed; it goes on")
        time.sleep(_TICK_SECONDS)
