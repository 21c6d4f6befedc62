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
    from realm.server import BrokerServer, Keys
    from realm.token_issuer import TokenIssuer

_LIVE = Path(__file__).parent / "live"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything below ``live`` is marked so."""
    for item in items:
        if _LIVE in item.path.parents:
            item.add_marker(pytest.mark.live)


@pytest.fixture(scope="session")
def issuer() -> Iterator[TokenIssuer]:
    """An identity provider that signs whatever a test wants signed."""
    from realm.token_issuer import TokenIssuer

    made = TokenIssuer()
    yield made
    made.close()


@pytest.fixture(scope="session")
def make_broker(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., BrokerServer]:
    """Makes a data directory; ``with serving(make_broker(...)) as broker`` serves it."""
    from realm.server import BrokerServer

    def make(objects: str = "", **fields: Any) -> BrokerServer:
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


@pytest.fixture
def oidc_provider(tmp_path: Path) -> Iterator[OidcProvider]:
    """npm's oidc-provider, with keys of its own."""
    from realm.oidc_provider import OidcProvider

    provider = OidcProvider(tmp_path)
    yield provider
    provider.stop()
