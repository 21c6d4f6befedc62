"""What every worker does in the background: notice other nodes' changes, keep identity providers' keys warm, sweep."""

from __future__ import annotations

import logging
import threading
import time

from broker.errors import Unavailable
from broker.services import Services
from broker.store.assertion_claims import delete_expired_claims
from broker.store.identity_providers import list_providers

_POLL_SECONDS = 0.5
_WARM_SECONDS = 30.0
_SWEEP_SECONDS = 60.0

_log = logging.getLogger(__name__)


def start_housekeeping(services: Services) -> None:
    """Start the worker's background thread; it ends with the process."""
    threading.Thread(target=_run, args=(services,), name="housekeeping", daemon=True).start()


def _run(services: Services) -> None:
    warmed, warmed_at, answers = -1, 0.0, True
    swept_at = time.monotonic()
    while True:
        try:
            services.database.poll()
            if not answers:
                answers = True
                _log.info("the store answers again")
            if warmed != services.database.revision() or time.monotonic() - warmed_at > _WARM_SECONDS:
                warmed, warmed_at = services.database.revision(), time.monotonic()
                _warm_providers(services)
            if time.monotonic() - swept_at > _SWEEP_SECONDS:
                swept_at = time.monotonic()
                with services.database.write() as connection:
                    delete_expired_claims(connection, int(time.time()))
        except Unavailable as error:
            if answers:
                answers = False
                _log.warning("the store does not answer", extra={"error": error.detail})
        except Exception:  # noqa: BLE001  # without this thread a worker would miss other nodes' changes, silently
            _log.exception("housekeeping failed; it goes on")
        time.sleep(_POLL_SECONDS)


def _warm_providers(services: Services) -> None:
    """Have the keys of every registered issuer before the first token comes; the other kinds have none to fetch."""
    with services.database.read() as connection:
        records = list_providers(connection, "oidc")
    for record in records:
        try:
            services.providers.get(record).prefetch()
        except Exception:  # noqa: BLE001  # one registration that cannot be used must not cost the others their keys
            _log.exception("an identity provider cannot be prepared", extra={"provider": record.arn})
