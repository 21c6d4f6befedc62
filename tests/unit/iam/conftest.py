"""One account for all simulations, which change nothing; one for each test that does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from account import Account
from simulated_account import MASTER, make_services

from broker.app import Prepared, build_services
from broker.services import Caller, Services
from broker.settings import load_settings


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    made = make_services(tmp_path_factory.mktemp("account"))
    yield made
    made.audit.close()
    made.database.close()


@pytest.fixture
def asking(services: Services) -> Caller:
    """A user that may simulate everything."""
    from simulated_account import caller

    return caller(services)


@pytest.fixture(scope="session")
def made_account(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory to copy."""
    directory = tmp_path_factory.mktemp("made")
    services = make_services(directory)
    services.audit.close()
    services.database.close()
    return directory


@pytest.fixture
def account(made_account: Path, tmp_path: Path) -> Iterator[Account]:
    """An account that the test may change."""
    directory = tmp_path / "data"
    shutil.copytree(made_account, directory)
    services = build_services(Prepared(load_settings(directory, {}), MASTER))
    yield Account(services)
    services.audit.close()
    services.database.close()
