"""What every worker does about directories in the background, in a thread of its own: a directory may hang."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from datetime import UTC, datetime

from broker.errors import BrokerError
from broker.ldap.sync import recheck_subjects, sync_directory
from broker.services import Services
from broker.store.directory_subjects import claim_sync, find_sync
from broker.store.identity_providers import ProviderRecord
from providers.errors import ProviderUnreachable

_TICK_SECONDS = 1.0

_log = logging.getLogger(__name__)


def start_directory_watch(services: Services) -> None:
    """Start the thread; it ends with the process."""
    threading.Thread(target=_run, args=(services,), name="directory-watch", daemon=True).start()


def _run(services: Services) -> None:
    while True:
        time.sleep(_TICK_SECONDS)
        try:
            look(services, datetime.now(UTC))
        except BrokerError as error:
            _log.warning("the directories cannot be watched now", extra={"error": repr(error)})
        except Exception:  # noqa: BLE001  # without this thread nobody would lose sessions any more, silently
            _log.exception("the directories cannot be watched; it goes on")


def look(services: Services, now: datetime) -> None:
    """Do what is due: re-checks of those whose sessions are in use, and whole syncs."""
    records = {record.arn: record for record in services.catalog.ldap_providers(None)}
    used: dict[str, list[str]] = defaultdict(list)
    for provider, subject in services.subjects.take_used():
        used[provider].append(subject)
    for arn, record in records.items():
        try:
            services.providers.get(record)  # made here, so that nobody's login waits for it
            if used[arn] and record.settings["recheck_seconds"] and _can_look_up(record):
                recheck_subjects(services, record, used[arn], now)
            if record.settings["sync_seconds"] and _can_look_up(record) and _is_due(services, record, now):
                report = sync_directory(services, record, now)
                if report.refused is not None:
                    _log.warning("a directory's sync was refused", extra={"provider": arn, "detail": report.refused})
        except ProviderUnreachable as error:
            _log.warning("a directory cannot be asked", extra={"provider": arn, "detail": error.detail})


def _can_look_up(record: ProviderRecord) -> bool:
    """People who search for themselves can be found by nobody else."""
    settings = record.settings
    return settings["user_search"] is not None and (
        settings["bind_dn"] is not None or settings["user_dn_template"] is None
    )


def _is_due(services: Services, record: ProviderRecord, now: datetime) -> bool:
    moment = int(now.timestamp())
    before = moment - record.settings["sync_seconds"]
    with services.database.read() as connection:
        last = find_sync(connection, record.arn)
    if last is not None and last > before:
        return False
    with services.database.write() as connection:
        return claim_sync(connection, record.arn, before=before, now=moment)
