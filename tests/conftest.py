"""Fixtures of the live tests: a broker, an identity provider and their keys, one set for each pytest worker.

Unit tests need none of it and pay nothing: everything heavy is imported and started at first use.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from realm.oidc_provider import OidcProvider
    from realm.postgres import PostgresServer
    from realm.server import BrokerServer, Keys
    from realm.token_issuer import TokenIssuer

    from broker.store.engine import Database

_LIVE = (Path(__file__).parent / "live", Path(__file__).parent / "browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything below ``live`` and ``browser`` is marked so."""
    for item in items:
        if set(_LIVE) & set(item.path.parents):
            item.add_marker(pytest.mark.live)


@pytest.fixture(scope="session")
def issuer() -> Iterator[TokenIssuer]:
    """An identity provider that signs whatever a test wants signed."""
    from realm.token_issuer import TokenIssuer

    made = TokenIssuer()
    yield made
    made.close()


def pytest_addoption(parser: pytest.Parser) -> None:
    """``pytest --store postgresql tests/live``: the brokers of the live tests have PostgreSQL instead of SQLite."""
    parser.addoption("--images", action="store_true", help="put the pages' screenshots into docs/images")
    parser.addoption("--store", choices=["sqlite", "postgresql"], default="sqlite")


@pytest.fixture(params=["sqlite", "postgresql"])
def broker_store(request: pytest.FixtureRequest) -> str:
    """``store_url`` of a broker for tests that run on both: empty for SQLite."""
    return "" if request.param == "sqlite" else _new_database(request)


def _new_database(request: pytest.FixtureRequest) -> str:
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.url(server.make_database())


@pytest.fixture(scope="session")
def make_broker(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Callable[..., BrokerServer]:
    """Makes a data directory; ``with serving(make_broker(...)) as broker`` serves it."""
    from realm.server import BrokerServer

    def make(objects: str = "", **fields: Any) -> BrokerServer:
        if request.config.getoption("store") == "postgresql" and "joins" not in fields:
            fields.setdefault("store_url", _new_database(request))
        return BrokerServer(tmp_path_factory.mktemp("broker"), objects, **fields)

    return make


@pytest.fixture(scope="session")
def broker(issuer: TokenIssuer, make_broker: Callable[..., BrokerServer]) -> Iterator[BrokerServer]:
    """The broker that tests share: the roles and users of ``realm.site``, answered at ``/`` and ``/sts/v1``."""
    from realm.server import serving
    from realm.site import standard_site

    made = make_broker(
        settings={
            "fetch.allow_http_loopback": True,
            "server.path_prefix": "/sts/v1",
            "server.workers": 1,
            "server.threads": 8,
            "log.requests": True,
        }
    )
    for name in ("ci", "nobody", "tagless"):
        secret_file = made.directory / f"{name}.secret"
        secret_file.touch(mode=0o600)
        secret_file.write_text(secrets.token_urlsafe(30))
    made.add(standard_site(issuer.issuer))
    with serving(made):
        yield made


@pytest.fixture(scope="session")
def users(broker: BrokerServer) -> dict[str, Keys]:
    """The access keys of the configured users."""
    from realm.server import Keys, accredit

    found = json.loads(accredit("config", "check", "--json", broker.directory))["access_keys"]
    return {
        name: Keys(key_id, (broker.directory / f"{name}.secret").read_text().strip()) for key_id, name in found.items()
    }


@pytest.fixture(scope="session")
def ci(users: dict[str, Keys]) -> Keys:
    """A user's access key that may call all of STS."""
    return users["ci"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this pytest worker."""
    from realm.postgres import PostgresServer

    server = PostgresServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def shared_database(postgres: PostgresServer) -> str:
    """The URL of a PostgreSQL database that tests use one after the other: making one takes a second."""
    return postgres.url(postgres.make_database())


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store without objects, on SQLite and on PostgreSQL in turn. It may have to be migrated."""
    if request.param == "sqlite":
        return "sqlite:///accredit.db"
    from realm.postgres import empty

    url: str = request.getfixturevalue("shared_database")
    empty(url, tmp_path)
    return url


@pytest.fixture
def open_store(store_url: str, tmp_path: Path) -> Iterator[Callable[..., Database]]:
    """Opens the test's store, once more each time: as another process would, or as another node in ``directory``."""
    from broker.store.engine import Database
    from broker.store.schema import migrate

    opened: list[Database] = []

    def make(directory: Path = tmp_path, kind: type[Database] = Database, **options: Any) -> Database:
        opened.append(kind(store_url, directory, **options))
        migrate(opened[-1])
        return opened[-1]

    yield make
    for database in opened:
        database.close()


@pytest.fixture
def database(open_store: Callable[..., Database]) -> Database:
    """The test's store, on SQLite and on PostgreSQL in turn."""
    return open_store()


@pytest.fixture
def oidc_provider(tmp_path: Path) -> Iterator[OidcProvider]:
    """npm's oidc-provider, with keys of its own."""
    from realm.oidc_provider import OidcProvider

    provider = OidcProvider(tmp_path)
    yield provider
    provider.stop()
