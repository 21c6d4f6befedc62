"""Sign-in at SimpleSAMLphp and single logout in Chromium: cookies, redirects and policies as a browser has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from realm.headless import Headless
from realm.server import ACCOUNT, BrokerServer, serving
from realm.simplesamlphp import PASSWORD, SimpleSamlPhp
from realm.site import role, role_arn, trust


@pytest.mark.parametrize("binding", ["Redirect", "POST"])
def test_in_and_out(
    chromium_browser: Browser, make_broker: Callable[..., BrokerServer], tmp_path: Path, binding: str
) -> None:
    """The provider is another site: its form brings the cookie of the request along, and only that one."""
    arn = f"arn:aws:iam::{ACCOUNT}:saml-provider/realm"
    idp = SimpleSamlPhp(tmp_path, [f"{role_arn('Developer')},{arn}"])
    broker = make_broker(settings={"server.workers": 1, "fetch.allow_http_loopback": True})
    pages = f"http://localhost:{broker.port}"
    broker.environment = {**broker.environment, "ACCREDIT_SERVER_BASE_URL": pages}
    broker.add(
        f'[[identity_provider]]\nkind = "saml"\nname = "realm"\nmetadata_url = "{idp.metadata_url}"\n'
        f'request_binding = "{binding}"'
    )
    broker.add(role("Developer", trust({"Federated": arn}, "sts:AssumeRoleWithSAML")))
    try:
        with serving(broker):
            idp.register("realm", Headless().open(f"{pages}/saml/{ACCOUNT}/realm/metadata").text.encode())
            page = chromium_browser.new_context().new_page()
            page.goto(f"{pages}/portal")
            page.get_by_role("link", name="realm").click()
            page.locator("input[name=username]").fill("alice")
            page.locator("input[name=password]").fill(PASSWORD)
            page.locator("input[name=password]").press("Enter")
            page.wait_for_url(f"{pages}/portal")
            assert page.get_by_text("Developer", exact=True).first.is_visible()
            page.get_by_role("button", name="Sign out").click()
            page.wait_for_url(f"{pages}/sign-in**")
            page.goto(f"{pages}/saml/{ACCOUNT}/realm/login")
            page.locator("input[name=password]").wait_for()  # the provider has forgotten the person too
            outcomes = [event["responseElements"] for event in broker.events(eventName="Logout")]
            assert outcomes == [{"Logout": "Success"}, {"Logout": "Success"}]
    finally:
        idp.stop()
