"""From an empty browser to ``aws sts get-caller-identity``, by every way in."""

from __future__ import annotations

import time

from people import People, provider_sign_in, set_up, sign_in, take_credentials
from playwright.sync_api import Page, expect
from realm.server import ACCOUNT


def test_password_and_authenticator(page: Page, people: People) -> None:
    totp = set_up(page, people.setup_link(), "walker")
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, "walker")
    page.get_by_label("Code", exact=True).fill(totp.at(int(time.time()) + 30))
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading", name="Your roles")).to_be_visible()
    exports = take_credentials(page, "administrator")
    assert people.whoami(exports) == f"arn:aws:sts::{ACCOUNT}:assumed-role/administrator/walker"


def test_password_and_security_key(page: Page, people: People) -> None:
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "usb", "hasUserVerification": True, "isUserVerified": True}
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options | {"automaticPresenceSimulation": True}})
    people.broker.client(people.broker.root, service="iam").create_user(UserName="key-holder")
    policy = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}}'
    iam = people.broker.client(people.broker.root, service="iam")
    iam.put_user_policy(UserName="key-holder", PolicyName="own", PolicyDocument=policy)
    people.give_password("key-holder", "Wolf7!lantern")
    sign_in(page, "key-holder")
    page.get_by_role("link", name="Security").click()
    page.get_by_role("button", name="Add a security key").click()
    expect(page.get_by_text("The security key is yours.")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, "key-holder")
    page.get_by_role("button", name="Use a security key").click()
    expect(page.get_by_role("heading", name="Your roles")).to_be_visible()
    exports = take_credentials(page, "administrator")
    assert people.whoami(exports) == f"arn:aws:sts::{ACCOUNT}:assumed-role/administrator/key-holder"


def test_openid_connect(page: Page, people: People) -> None:
    provider_sign_in(page)
    exports = take_credentials(page, "engineering")
    assert people.whoami(exports) == f"arn:aws:sts::{ACCOUNT}:assumed-role/engineering/alice@realm.test"


def test_without_javascript(people: People, page: Page) -> None:
    """Every core action: sign in, search, choose, read the credentials, sign out."""
    browser = page.context.browser
    assert browser is not None
    context = browser.new_context(base_url=people.pages, java_script_enabled=False)
    plain = context.new_page()
    sign_in(plain, "ann")
    plain.get_by_label("Search roles").fill("billing")
    plain.get_by_role("button", name="Search").click()
    expect(plain.locator("#roles > li")).to_have_count(1)
    plain.get_by_role("link", name="Choose billing").click()
    plain.get_by_role("button", name="Get credentials").click()
    exports = plain.locator("#text-bash").inner_text()
    assert people.whoami(exports).endswith("assumed-role/billing/ann")
    plain.get_by_role("button", name="Sign out").click()
    expect(plain.get_by_role("heading", name="Sign in")).to_be_visible()
    context.close()


def test_search_while_typing(people: People, page: Page) -> None:
    sign_in(page, "ann")
    page.get_by_label("Search roles").press_sequentially("production")
    expect(page.locator("#roles > li")).to_have_count(2)
    page.get_by_label("Search roles").fill("")
    expect(page.locator("#roles > li")).to_have_count(8)
