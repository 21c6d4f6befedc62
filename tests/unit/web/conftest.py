"""The pages over a store of their own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from person import MASTER, Browser, Pages, make_services

from broker.app import Prepared, build_services
from broker.settings import load_settings


@pytest.fixture(scope="session")
def made_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory to copy."""
    directory = tmp_path_factory.mktemp("site")
    services = make_services(directory)
    services.usage.close()
    services.audit.close()
    services.database.close()
    return directory


@pytest.fixture
def pages(made_site: Path, tmp_path: Path) -> Iterator[Pages]:
    directory = tmp_path / "data"
    shutil.copytree(made_site, directory)
    services = build_services(Prepared(load_settings(directory, {}), MASTER))
    yield Pages(services)
    services.usage.close()
    services.audit.close()
    services.database.close()


@pytest.fixture
def browser(pages: Pages) -> Browser:
    return pages.browser()
