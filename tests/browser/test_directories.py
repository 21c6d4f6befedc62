"""From an empty browser to working credentials with a directory's password: OpenLDAP, and Samba as Active Directory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from people import People, take_credentials
from playwright.sync_api import Browser, Page, expect
from realm.directory import PASSWORD, ActiveDirectory, OpenLdap, active_directory_entry, openldap_entry
from realm.server import ACCOUNT, BrokerServer, serving
from realm.site import role, trust

ACTIONS = ["sts:AssumeRoleWithLDAPIdentity", "sts:TagSession", "sts:SetSourceIdentity"]


def _served(make_broker: Callable[..., BrokerServer], name: str, entry: Callable[..., str], made: Any) -> BrokerServer:
    broker = make_broker(settings={"server.workers": 1})
    provider = f"arn:aws:iam::{ACCOUNT}:ldap-provider/{name}"
    broker.add("\n".join((entry(made, broker.directory), role("Everybody", trust({"Federated": provider}, ACTIONS)))))
    return broker


@pytest.fixture(scope="module", params=["corp", "ad"])
def company(
    request: pytest.FixtureRequest, make_broker: Callable[..., BrokerServer], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[People, str]]:
    """A broker with one directory, whose name is given too."""
    name: str = request.param
    kinds: dict[str, tuple[Any, Callable[..., str]]] = {
        "corp": (OpenLdap, openldap_entry),
        "ad": (ActiveDirectory, active_directory_entry),
    }
    kind, entry = kinds[name]
    directory = kind(tmp_path_factory.mktemp(name))
    try:
        broker = _served(make_broker, name, entry, directory)
        with serving(broker):
            yield People(broker, f"http://localhost:{broker.port}"), name
    finally:
        directory.stop()


@pytest.fixture
def opened(chromium_browser: Browser, company: tuple[People, str]) -> Iterator[Page]:
    context = chromium_browser.new_context(base_url=company[0].pages)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield context.new_page()
    context.close()


def sign_in(page: Page, directory: str, name: str, password: str) -> None:
    page.goto(f"/sign-in/{ACCOUNT}")
    page.get_by_role("link", name=f"Continue with {directory}").click()
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_password_of_the_directory(opened: Page, company: tuple[People, str]) -> None:
    people, directory = company
    sign_in(opened, directory, "alice", PASSWORD)
    expect(opened.get_by_role("heading", name="Your roles")).to_be_visible()
    exports = take_credentials(opened, "Everybody")
    assert people.whoami(exports) == f"arn:aws:sts::{ACCOUNT}:assumed-role/Everybody/alice"
    [login] = people.broker.events(eventName="ConsoleLogin")
    assert login["userIdentity"]["userName"] == "alice"
    assert len(people.broker.events(eventName="AssumeRoleWithLDAPIdentity")) == 1


@pytest.mark.parametrize(
    ("name", "password"),
    [("alice", "wrong"), ("nobody", PASSWORD), ("*", PASSWORD), ("alice)(uid=*", PASSWORD), ("alice", " ")],
)
def test_who_is_not_let_in(opened: Page, company: tuple[People, str], name: str, password: str) -> None:
    sign_in(opened, company[1], name, password)
    expect(opened.get_by_role("alert")).to_contain_text("incorrect")
    opened.goto("/portal")
    expect(opened.get_by_role("heading", name="Sign in")).to_be_visible()


def test_guessing_is_slowed_down(opened: Page, company: tuple[People, str]) -> None:
    for _ in range(5):
        sign_in(opened, company[1], "bob", "wrong")
    sign_in(opened, company[1], "bob", PASSWORD)
    expect(opened.get_by_role("alert")).to_contain_text("Too many attempts")
