"""A broker with people, roles and an OpenID Connect provider, and a browser to open its pages with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from people import PASSWORD, People, company
from playwright.sync_api import Browser, Page
from realm.chromium import EXECUTABLE, chromium
from realm.components import free_port, missing
from realm.oidc_provider import OidcProvider
from realm.server import ACCOUNT, BrokerServer, serving


@pytest.fixture(scope="session")
def chromium_browser() -> Iterator[Browser]:
    if not EXECUTABLE:
        missing("chromium")
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def people(make_broker: Callable[..., BrokerServer], tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    """A served company: ``ann`` has a password, ``alice`` is known to the OpenID Connect provider."""
    port = free_port()
    issuer = f"http://127.0.0.1:{port}"
    broker = make_broker(settings={"fetch.allow_http_loopback": True, "server.workers": 1})
    secret = broker.directory / "client.secret"
    secret.touch(mode=0o600)
    secret.write_text("broker-secret-0123456789abcdef0123456789")
    broker.add(company(issuer))
    pages = f"http://localhost:{broker.port}"
    callback = f"{pages}/sign-in/{ACCOUNT}/oidc/127.0.0.1:{port}/callback"
    provider = OidcProvider(tmp_path_factory.mktemp("oidc"), redirect_uris=(callback,), port=port)
    try:
        with serving(broker):
            made = People(broker, pages)
            made.give_password("ann", PASSWORD)
            yield made
    finally:
        provider.stop()


@pytest.fixture
def page(chromium_browser: Browser, people: People) -> Iterator[Page]:
    """A page of an empty browser; whatever a page complains about fails the test."""
    context = chromium_browser.new_context(base_url=people.pages)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()
    assert not [one for one in complaints if "status of 4" not in one], complaints


@pytest.fixture(scope="session")
def images(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: ``docs/images`` with ``--images``, else nowhere that stays."""
    if request.config.getoption("images"):
        found = Path(__file__).resolve().parents[2] / "docs" / "images"
        found.mkdir(exist_ok=True)
        return found
    return tmp_path_factory.mktemp("images")
