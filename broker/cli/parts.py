"""The broker's parts for a command."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from broker.app import Prepared, build_services
from broker.credentials.masterkey import load_master_key
from broker.services import Services
from broker.settings import load_settings


@contextmanager
def opened_services(directory: Path) -> Iterator[Services]:
    """As they are stored; the configuration file is not applied."""
    settings = load_settings(directory)
    services = build_services(
        Prepared(settings, load_master_key(settings.file(settings.keys.master_key_file), os.environ))
    )
    try:
        yield services
    finally:
        services.audit.close()
        services.usage.close()
        services.database.close()
