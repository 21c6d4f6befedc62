"""One account for all simulations, which change nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from simulated_account import make_services

from broker.services import Caller, Services


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
