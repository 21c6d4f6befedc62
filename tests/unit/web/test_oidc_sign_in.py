"""Sign-in at an OpenID Connect provider: JWT-31 and RFC 9700 (state, nonce, PKCE, mix-up, codes), as a client."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from person import ACCOUNT, BASE, Browser, Pages, make_services, role, trust
from realm.token_issuer import TokenIssuer

CLIENT, SECRET = "portal", "portal-secret-0123456789"


class SignInIssuer(TokenIssuer):
    """An issuer with a token endpoint. ``claims_of_token`` and ``metadata`` are laid over what is right."""

    def __init__(self) -> None:
        super().__init__()
        self.claims_of_token: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.forms: list[dict[str, str]] = []
        self.asked: dict[str, str] = {}
        self.refusal: dict[str, str] | None = None
        self.answer: dict[str, Any] | None = None

    def document(self, path: str) -> dict[str, Any] | None:
        found = super().document(path)
        if path.endswith("openid-configuration") and found is not None:
            return found | {"token_endpoint": f"{self.issuer}/token"} | self.metadata
        return found

    def form(self, path: str, fields: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """Only who has the verifier of the challenge, and the client's secret, gets a token."""
        self.forms.append(fields)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(fields["code_verifier"].encode()).digest()).rstrip(b"=")
        expected = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if self.refusal or challenge.decode() != self.asked["code_challenge"] or authorization != expected:
            return 400, self.refusal or {"error": "invalid_grant"}
        claims = {"aud": CLIENT, "nonce": self.asked["nonce"], "groups": ["dev"], "email": "carol@example.com"}
        return 200, self.answer or {"id_token": self.token("carol", **(claims | self.claims_of_token))}


@pytest.fixture
def issuer() -> Iterator[SignInIssuer]:
    made = SignInIssuer()
    yield made
    made.close()


@pytest.fixture
def pages(issuer: SignInIssuer, tmp_path: Path) -> Iterator[Pages]:
    (tmp_path / "client.secret").write_text(SECRET)
    (tmp_path / "client.secret").chmod(0o600)
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer.host}"
    lets_in = trust(
        {"Federated": provider}, "sts:AssumeRoleWithWebIdentity", StringEquals={f"{issuer.host}:groups": "dev"}
    )
    services = make_services(
        tmp_path,
        f"""
[fetch]
allow_http_loopback = true
[[identity_provider]]
issuer = "{issuer.issuer}"
client_ids = ["{CLIENT}", "other"]
[identity_provider.sign_in]
client_id = "{CLIENT}"
client_secret_file = "client.secret"
title = "Example"
[[role]]
name = "writers"
trust_policy = '{lets_in}'
""",
    )
    yield Pages(services)
    services.usage.close()
    services.audit.close()
    services.database.close()


def path(issuer: SignInIssuer) -> str:
    return f"/sign-in/{ACCOUNT}/oidc/{issuer.host}"


def begin(browser: Browser, issuer: SignInIssuer, **more: str) -> dict[str, str]:
    """Go to the provider; what it was asked."""
    answer = browser.get(f"{path(issuer)}/login", query_string=more)
    assert answer.status_code == 303
    address = answer.headers["Location"]
    assert address.startswith(f"{issuer.issuer}/authorize?")
    issuer.asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    return issuer.asked


def come_back(browser: Browser, issuer: SignInIssuer, **answer: str) -> Any:
    return browser.get(f"{path(issuer)}/callback", query_string=answer)


def sign_in(browser: Browser, issuer: SignInIssuer) -> Any:
    return come_back(browser, issuer, code="abc", state=begin(browser, issuer)["state"])


def test_a_person_signs_in_and_gets_credentials(pages: Pages, issuer: SignInIssuer) -> None:
    browser = pages.browser()
    assert "Continue with Example" in browser.get(f"/sign-in/{ACCOUNT}").text
    asked = begin(browser, issuer, next=f"/portal/role?arn={role('writers')}", login_hint="carol@example.com")
    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == f"{BASE}{path(issuer)}/callback"
    assert asked["login_hint"] == "carol@example.com"
    assert set(asked["scope"].split()) == {"openid", "profile", "email"}
    answer = come_back(browser, issuer, code="abc", state=asked["state"])
    assert answer.headers["Location"] == f"/portal/role?arn={role('writers')}"
    assert issuer.forms[0]["redirect_uri"] == asked["redirect_uri"]
    browser.get("/portal")
    answer = browser.post("/portal/credentials", role_arn=role("writers"), duration_seconds="900")
    assert answer.status_code == 200
    [login] = pages.events("ConsoleLogin")
    assert login["userIdentity"]["userName"] == "carol"
    [event] = pages.events("AssumeRoleWithWebIdentity")
    assert event["responseElements"]["assumedRoleUser"]["arn"].endswith("writers/carol@example.com")


def refused(pages: Pages, answer: Any) -> str:
    """The reason of the one failed sign-in."""
    assert answer.status_code == 403
    assert "Sign-in failed" in answer.text
    [event] = pages.events("ConsoleLogin")
    assert event["errorCode"]
    return str(event["additionalEventData"]["reason"])


def test_an_answer_without_a_request_is_refused(pages: Pages, issuer: SignInIssuer) -> None:
    assert "no pending request" in refused(pages, come_back(pages.browser(), issuer, code="abc", state="A" * 43))


@pytest.mark.parametrize("state", ["", "short", "A" * 44, "%00", "é" * 43])
def test_a_malformed_state_is_refused(pages: Pages, issuer: SignInIssuer, state: str) -> None:
    browser = pages.browser()
    begin(browser, issuer)
    assert "no pending request" in refused(pages, come_back(browser, issuer, code="abc", state=state))


def test_a_state_counts_once(pages: Pages, issuer: SignInIssuer) -> None:
    browser = pages.browser()
    state = begin(browser, issuer)["state"]
    assert come_back(browser, issuer, code="abc", state=state).status_code == 303
    assert come_back(browser, issuer, code="abc", state=state).status_code == 403
    assert len(issuer.forms) == 1


def test_an_answer_in_another_browser_is_refused(pages: Pages, issuer: SignInIssuer) -> None:
    """Login CSRF: the attacker's own sign-in, finished by the victim."""
    attacker, victim = pages.browser(), pages.browser()
    state = begin(attacker, issuer)["state"]
    victim.get(f"/sign-in/{ACCOUNT}")
    assert "no pending request" in refused(pages, come_back(victim, issuer, code="abc", state=state))
    assert not issuer.forms


def test_an_answer_to_another_providers_address_is_refused(pages: Pages, issuer: SignInIssuer) -> None:
    """Mix-up: the request went to one provider, the answer comes back as another's."""
    browser = pages.browser()
    state = begin(browser, issuer)["state"]
    other = "/sign-in/123456789012/oidc/idp.example/callback"
    assert browser.get(other, query_string={"code": "abc", "state": state}).status_code == 404


@pytest.mark.parametrize("iss", ["https://evil.example", "", None])
def test_the_issuer_of_the_answer_is_checked(pages: Pages, issuer: SignInIssuer, iss: str | None) -> None:
    issuer.metadata = {"authorization_response_iss_parameter_supported": True}
    browser = pages.browser()
    answer = {"code": "abc", "state": begin(browser, issuer)["state"]} | ({} if iss is None else {"iss": iss})
    assert "iss" in refused(pages, come_back(browser, issuer, **answer))
    assert not issuer.forms


def test_the_right_issuer_is_taken(pages: Pages, issuer: SignInIssuer) -> None:
    issuer.metadata = {"authorization_response_iss_parameter_supported": True}
    browser = pages.browser()
    state = begin(browser, issuer)["state"]
    assert come_back(browser, issuer, code="abc", state=state, iss=issuer.issuer).status_code == 303


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"nonce": ["a"]}, "nonce"),
        ({"aud": "other"}, "aud"),
        ({"aud": "unknown"}, "aud"),
        ({"iss": "https://evil.example"}, "iss"),
        ({"exp": 1}, "exp"),
        ({"sub": None}, "sub"),
        ({"azp": "evil"}, "azp"),
    ],
)
def test_a_token_that_does_not_fit_is_refused(
    pages: Pages, issuer: SignInIssuer, claims: dict[str, Any], reason: str
) -> None:
    issuer.claims_of_token = claims
    assert reason in refused(pages, sign_in(pages.browser(), issuer))


def test_a_nonce_of_another_request_is_refused(pages: Pages, issuer: SignInIssuer) -> None:
    browser = pages.browser()
    issuer.claims_of_token = {"nonce": begin(browser, issuer)["nonce"]}
    assert "nonce" in refused(pages, sign_in(browser, issuer))


def test_a_code_of_another_request_is_worth_nothing(pages: Pages, issuer: SignInIssuer) -> None:
    """Code injection: the verifier is that of this browser's own request."""
    first, second = pages.browser(), pages.browser()
    state = begin(first, issuer)["state"]
    begin(second, issuer)
    assert "invalid_grant" in refused(pages, come_back(first, issuer, code="stolen", state=state))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"error": "access_denied", "error_description": "<script>alert(1)</script>"}, "access_denied"),
        ({}, "code is missing"),
        ({"code": ""}, "code is missing"),
    ],
)
def test_a_provider_that_refuses_is_told(
    pages: Pages, issuer: SignInIssuer, answer: dict[str, str], reason: str
) -> None:
    browser = pages.browser()
    state = begin(browser, issuer)["state"]
    found = come_back(browser, issuer, state=state, **answer)
    assert "<script>alert" not in found.text
    assert reason in refused(pages, found)


@pytest.mark.parametrize("answer", [{"id_token": 1}, {"access_token": "x"}, {"id_token": "a.b.c"}, {"id_token": ""}])
def test_a_token_endpoint_without_a_token(pages: Pages, issuer: SignInIssuer, answer: dict[str, Any]) -> None:
    issuer.answer = answer
    assert refused(pages, sign_in(pages.browser(), issuer))


def test_a_token_endpoint_that_refuses(pages: Pages, issuer: SignInIssuer) -> None:
    issuer.refusal = {"error": "invalid_client"}
    assert "invalid_client" in refused(pages, sign_in(pages.browser(), issuer))


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"authorization_endpoint": None},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"token_endpoint": 3},
        {"token_endpoint": "ftp://x/"},
        {"authorization_endpoint": "https://idp.example/\r\nSet-Cookie: a=b"},
    ],
)
def test_a_configuration_that_cannot_be_used(pages: Pages, issuer: SignInIssuer, metadata: dict[str, Any]) -> None:
    issuer.metadata = metadata
    assert "discovery" in refused(pages, pages.browser().get(f"{path(issuer)}/login"))


def test_no_request_to_an_address_inside(pages: Pages, issuer: SignInIssuer) -> None:
    """A token endpoint on a private address is not asked."""
    issuer.metadata = {"token_endpoint": "http://169.254.169.254/token"}
    started = time.monotonic()
    assert "169.254" in refused(pages, sign_in(pages.browser(), issuer))
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("name", ["idp.example", "nobody.example", "..", "a" * 3_000, "%00"])
def test_providers_without_sign_in_have_no_page(pages: Pages, name: str) -> None:
    assert pages.browser().get(f"/sign-in/{ACCOUNT}/oidc/{name}/login").status_code == 404


def test_a_link_may_name_the_provider(pages: Pages, issuer: SignInIssuer) -> None:
    answer = pages.browser().get(f"/sign-in/{ACCOUNT}?provider=Example&login_hint=carol%40example.com")
    assert answer.headers["Location"].startswith(f"{path(issuer)}/login?")
    assert "login_hint=carol%40example.com" in answer.headers["Location"]
