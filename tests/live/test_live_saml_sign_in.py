"""Sign-in with a browser at SimpleSAMLphp, and single logout both ways: the protocol as two products speak it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from realm.headless import Headless
from realm.server import ACCOUNT, BrokerServer, accredit, serving
from realm.simplesamlphp import PASSWORD, SimpleSamlPhp
from realm.site import role, role_arn, trust

NAMES = ("realm", "careful", "tile")
ROLES = ("Developer", "Second")


def arn(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:saml-provider/{name}"


@pytest.fixture(scope="module")
def idp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleSamlPhp]:
    made = SimpleSamlPhp(
        tmp_path_factory.mktemp("ssp"), [f"{role_arn(one)},{arn(name)}" for one in ROLES for name in NAMES]
    )
    yield made
    made.stop()


@pytest.fixture(scope="module")
def server(idp: SimpleSamlPhp, make_broker: Callable[..., BrokerServer]) -> Iterator[BrokerServer]:
    """Registered by its metadata's URL; its own metadata is what SimpleSAMLphp reads of it."""
    made = make_broker(settings={"server.workers": 1, "fetch.allow_http_loopback": True})
    made.environment = {**made.environment, "ACCREDIT_SERVER_BASE_URL": f"http://localhost:{made.port}"}
    settings = {
        "careful": 'force_authn = true\nrequest_binding = "POST"\nname_id_format = "emailAddress"\nallow_cbc = true'
    }
    settings["tile"] = "idp_initiated = true"
    for name in NAMES:
        made.add(
            f'[[identity_provider]]\nkind = "saml"\nname = "{name}"\nmetadata_url = "{idp.metadata_url}"\n'
            f"{settings.get(name, '')}"
        )
    trusted = trust({"Federated": [arn(name) for name in NAMES]}, "sts:AssumeRoleWithSAML")
    made.add("\n".join(role(name, trusted) for name in ROLES))
    with serving(made):
        for name in NAMES:
            idp.register(name, Headless().open(f"{pages(made, name)}/metadata").text.encode())
        yield made


def pages(server: BrokerServer, name: str = "realm") -> str:
    return f"http://localhost:{server.port}/saml/{ACCOUNT}/{name}"


def home(server: BrokerServer) -> str:
    return f"http://localhost:{server.port}/portal"


def signed_in(server: BrokerServer, browser: Headless) -> bool:
    return browser.open(home(server)).url == home(server)


def begin(server: BrokerServer, browser: Headless, name: str = "realm") -> Headless:
    """To the provider, and back at once if it knows the browser."""
    return browser.open(f"{pages(server, name)}/login").pass_on()


@pytest.fixture
def browser() -> Headless:
    return Headless()


@pytest.mark.parametrize("name", ["realm", "careful"])
def test_a_sign_in(server: BrokerServer, idp: SimpleSamlPhp, browser: Headless, name: str) -> None:
    """By Redirect and by POST; from the account's sign-in page to credentials of a role."""
    browser.open(home(server))
    assert f"/saml/{ACCOUNT}/{name}/login" in browser.text
    begin(server, browser, name)
    assert browser.url.startswith(idp.url)
    browser.sign_in("alice", PASSWORD)
    assert browser.url == home(server), browser.text
    assert "Developer" in browser.text
    assert "Second" in browser.text
    browser.open(f"{home(server)}/role?arn={quote(role_arn('Developer'))}")
    browser.send(browser.form("role_arn"), duration_seconds="3600")
    assert f"arn:aws:sts::{ACCOUNT}:assumed-role/Developer/alice@realm.test" in browser.text


def test_where_somebody_was_going(server: BrokerServer, browser: Headless) -> None:
    wanted = f"{home(server)}/role?arn={quote(role_arn('Second'), safe='')}"
    path = wanted.removeprefix(f"http://localhost:{server.port}")
    browser.open(f"{pages(server)}/login?next={quote(path, safe='')}").pass_on().sign_in("bob", PASSWORD)
    assert browser.url == wanted


def test_who_is_known_at_the_provider_is_not_asked_again(
    server: BrokerServer, idp: SimpleSamlPhp, browser: Headless
) -> None:
    begin(server, browser).sign_in("alice", PASSWORD)
    assert begin(server, browser).url == home(server)
    begin(server, browser, "careful")  # ForceAuthn
    assert browser.url.startswith(idp.url)
    browser.form("password")


def test_a_wrong_password(server: BrokerServer, idp: SimpleSamlPhp, browser: Headless) -> None:
    begin(server, browser).sign_in("alice", "wrong")
    assert browser.url.startswith(idp.url)
    assert not signed_in(server, browser)


def test_the_provider_sends_somebody_unasked(server: BrokerServer, idp: SimpleSamlPhp, browser: Headless) -> None:
    entity = quote(pages(server, "tile"), safe="")
    start = f"{idp.url}/saml2/idp/SSOService.php?spentityid={entity}&RelayState=%2Fportal%2Frole"
    browser.open(start).pass_on().sign_in("alice", PASSWORD)
    assert browser.url.startswith(f"{home(server)}/role")
    other = Headless()
    other.open(start.replace(quote("tile"), "realm")).pass_on().sign_in("alice", PASSWORD)
    assert other.status == 403
    assert not signed_in(server, other)


def test_we_sign_out_everywhere(server: BrokerServer, idp: SimpleSamlPhp, browser: Headless) -> None:
    begin(server, browser).sign_in("alice", PASSWORD)
    browser.send(next(form for form in browser.forms() if form.action.endswith("/sign-out"))).pass_on()
    assert browser.url.startswith(f"http://localhost:{server.port}/sign-in"), browser.text
    assert not signed_in(server, browser)
    begin(server, browser)
    assert browser.url.startswith(idp.url)  # it asks for the password again
    browser.form("password")
    outcomes = [event["responseElements"] for event in server.events(eventName="Logout")]
    assert outcomes[-1] == {"Logout": "Success"}


def test_the_provider_signs_out(server: BrokerServer, idp: SimpleSamlPhp, browser: Headless) -> None:
    begin(server, browser).sign_in("bob", PASSWORD)
    assert signed_in(server, browser)
    browser.open(f"{idp.url}/saml2/idp/initSLO.php?RelayState={quote(idp.url, safe='')}").pass_on()
    assert not signed_in(server, browser)
    ended = [event for event in server.events(eventName="Logout") if event["userIdentity"].get("userName")]
    assert ended[-1]["responseElements"]["SessionsEnded"] == 1


def test_encrypted_assertions(server: BrokerServer, idp: SimpleSamlPhp) -> None:
    """SimpleSAMLphp 1 encrypts to the key of our metadata, and always with AES-CBC: let in where that is let pass."""
    for name, taken in (("realm", False), ("careful", True)):
        metadata = Headless().open(f"{pages(server, name)}/metadata").text.encode()
        idp.register(name, metadata, **{"assertion.encryption": True})
        browser = Headless()
        begin(server, browser, name).sign_in("alice", PASSWORD)
        assert signed_in(server, browser) is taken
        idp.register(name, metadata)
    # by what it says: the refusal before it may be written after it
    found = [event for event in server.events(eventName="ConsoleLogin") if event["responseElements"]]
    assert any("aes128-cbc" in warning for warning in found[-1]["additionalEventData"]["warnings"])


def test_keys_roll_over(server: BrokerServer, idp: SimpleSamlPhp) -> None:
    """Announced, then used, then the old one is taken out: nobody notices, if metadata is fetched between."""
    idp.announce()
    shown = accredit("saml", "refresh", "--directory", server.directory, "--provider", "realm")
    assert "+ certificate" in shown
    assert "- certificate" not in shown
    begin(server, before := Headless()).sign_in("alice", PASSWORD)
    assert before.url == home(server)
    idp.roll_over()
    begin(server, between := Headless()).sign_in("alice", PASSWORD)
    assert between.url == home(server)
    assert "- certificate" in accredit("saml", "refresh", "--directory", server.directory, "--provider", "realm")
    begin(server, after := Headless()).sign_in("alice", PASSWORD)
    assert after.url == home(server)
