"""Forms and headers: WEB-02 (CSRF, clickjacking, caches), WEB-04 (hosts), SAML-60 (where a sign-in leads to)."""

from __future__ import annotations

import pytest
from person import BASE, Browser, Pages, role

from broker.web.site import own_path

CREDENTIALS = "/portal/credentials"


def ask(browser: Browser, **more: object) -> int:
    return browser.post(CREDENTIALS, role_arn=role("developers"), duration_seconds="900", **more).status_code  # type: ignore[arg-type]


def test_a_form_of_ours_is_taken(pages: Pages, browser: Browser) -> None:
    browser.arrive()
    assert ask(browser) == 200
    assert len(pages.events("AssumeRoleWithWebIdentity")) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": BASE, "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://portal.example"},
        {"Origin": BASE + ".evil.example"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "https://evil.example", "Host": "evil.example"},
        {"Origin": "https://evil.example", "X-Forwarded-Host": "evil.example"},
    ],
)
def test_a_form_from_elsewhere_is_refused(pages: Pages, browser: Browser, headers: dict[str, str]) -> None:
    browser.arrive()
    assert ask(browser, headers=headers) == 403
    assert not pages.events("AssumeRoleWithWebIdentity")


def test_a_form_without_the_browsers_own_token_is_refused(pages: Pages, browser: Browser) -> None:
    other = pages.browser()
    other.arrive()
    browser.arrive()
    assert ask(browser, csrf_token="") == 403
    assert ask(browser, csrf_token=other.token) == 403
    assert ask(browser, csrf_token=browser.token + "A") == 403
    assert ask(browser, csrf_token="é") == 403
    visitor = pages.browser()
    visitor.get("/sign-in/example")
    assert ask(browser, csrf_token=visitor.token) == 403


def test_json_and_plain_text_are_no_forms(pages: Pages, browser: Browser) -> None:
    browser.arrive()
    for content_type in ("application/json", "text/plain"):
        sent = f'{{"csrf_token":"{browser.token}","role_arn":"{role("developers")}"}}'
        answer = browser.client.post(
            CREDENTIALS, base_url=BASE, data=sent, content_type=content_type, headers={"Origin": BASE}
        )
        assert answer.status_code == 403


def test_nobody_is_signed_out_by_another_site(pages: Pages, browser: Browser) -> None:
    browser.arrive()
    assert browser.post("/sign-out", headers={"Origin": "https://evil.example"}).status_code == 403
    assert browser.get("/sign-out").status_code == 405
    assert browser.get("/portal").status_code == 200


@pytest.mark.parametrize("path", ["/sign-in", "/sign-in/example", "/sign-in/nobody", "/portal", "/portal/role?arn=x"])
def test_every_page_has_the_headers(pages: Pages, browser: Browser, path: str) -> None:
    browser.arrive()
    headers = browser.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert not [name for name in headers.keys() if name.lower().startswith("access-control")]  # noqa: SIM118
    assert headers["Strict-Transport-Security"]


@pytest.mark.parametrize("path", ["/sign-in/example", "/portal", f"/portal/role?arn={role('developers')}"])
def test_no_page_has_inline_script_or_style(browser: Browser, path: str) -> None:
    browser.arrive()
    text = browser.get(path).text
    assert "<style" not in text
    assert " style=" not in text
    assert " onclick" not in text
    assert text.count("<script") == text.count('<script type="module" src="/static/')


@pytest.mark.parametrize(
    "text",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\evil.example",
        "/\\/evil.example",
        "javascript:alert(1)",
        "/a\r\nSet-Cookie: a=b",
        "/\t/evil.example",
        " //evil.example",
        "portal",
        "",
        "/a\\b",
        "/ü",
        "/" + "a" * 2_100,
        "http:evil.example",
        "/%0d%0a\x00",
    ],
)
def test_only_paths_of_ours_are_followed(pages: Pages, browser: Browser, text: str) -> None:
    assert own_path(text) == "/portal"
    assert browser.arrive(text).headers["Location"] == "/portal"


def test_a_path_of_ours_is_followed(browser: Browser) -> None:
    assert browser.arrive("/portal/role?arn=a%2Fb&x=1").headers["Location"] == "/portal/role?arn=a%2Fb&x=1"


def test_the_host_is_never_reflected(browser: Browser) -> None:
    evil = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    browser.arrive()
    for path in ("/", "/sign-in", "/sign-in/example", "/portal"):
        answer = browser.client.get(path, base_url=BASE, headers=evil)
        assert "evil.example" not in answer.text + str(answer.headers)


def test_a_proxy_that_nobody_configured_is_not_believed(pages: Pages, browser: Browser) -> None:
    browser.arrive()
    browser.client.post("/arrive", base_url=BASE, headers={"X-Forwarded-For": "203.0.113.7"})
    assert {event["sourceIPAddress"] for event in pages.events("ConsoleLogin")} == {"127.0.0.1"}


def test_a_large_form_is_refused(browser: Browser) -> None:
    browser.arrive()
    assert ask(browser, more="a" * 300_000) == 413


def test_static_files_may_be_kept_and_others_are_not_there(browser: Browser) -> None:
    page = browser.get("/sign-in/example").text
    address = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
    answer = browser.get(address)
    assert answer.status_code == 200
    assert "immutable" in answer.headers["Cache-Control"]
    version = address.split("/")[2]
    for wrong in ("manifest.sha256", "..%2fsite.py", "%2e%2e/site.py", "accredit.js"):
        assert browser.get(f"/static/{version}/{wrong}").status_code == 404
