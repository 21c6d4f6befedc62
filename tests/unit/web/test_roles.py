"""The role list, and credentials of a role."""

from __future__ import annotations

import pytest
from person import OTHER, Browser, Pages, identity, role


def test_a_person_sees_the_roles_that_let_them_in(pages: Pages, browser: Browser) -> None:
    browser.arrive()
    text = browser.get("/portal").text
    assert "developers" in text
    for other in ("operators", "auditors", "guarded"):
        assert other not in text
    pages.next_identity = identity(groups=("dev", "ops"))
    browser.arrive()
    assert "operators" in browser.get("/portal").text


@pytest.mark.parametrize(("query", "there"), [("dev", True), ("CODE writes", True), ("dev ops", False), ("<b>", False)])
def test_the_list_is_searched(browser: Browser, query: str, there: bool) -> None:
    browser.arrive()
    assert (">developers<" in browser.get("/portal", query_string={"q": query}).text) is there


def test_credentials_are_issued_once_and_recorded(pages: Pages, browser: Browser) -> None:
    browser.arrive()
    answer = browser.post("/portal/credentials", role_arn=role("developers"), duration_seconds="900")
    assert answer.status_code == 200
    for form in ("export AWS_ACCESS_KEY_ID=", "set -gx", "$Env:", "[profile developers]", "Version"):
        assert form in answer.text
    [event] = pages.events("AssumeRoleWithWebIdentity")
    assert event["userIdentity"]["type"] == "WebIdentityUser"
    assert event["requestParameters"]["roleArn"] == role("developers")
    assert event["responseElements"]["credentials"]["accessKeyId"] in answer.text
    assert "AWS_SECRET" not in str(event)
    secret = answer.text.partition("AWS_SECRET_ACCESS_KEY=&#39;")[2].partition("&#39;")[0]
    assert len(secret) > 20
    assert secret not in str(event)


@pytest.mark.parametrize(
    ("arn", "duration", "status"),
    [
        (role("operators"), "900", 403),
        (role("missing"), "900", 403),
        (role("developers", OTHER), "900", 403),
        ("arn:aws:iam::1:role/x", "900", 400),
        ("nonsense", "900", 400),
        ("", "900", 400),
        (role("developers"), "899", 400),
        (role("developers"), "43201", 400),
        (role("developers"), "-1", 400),
        (role("developers"), "１０００", 400),
        (role("developers"), "", 400),
        (role("developers"), "9" * 5_000, 400),
    ],
)
def test_what_is_not_issued(pages: Pages, browser: Browser, arn: str, duration: str, status: int) -> None:
    browser.arrive()
    answer = browser.post("/portal/credentials", role_arn=arn, duration_seconds=duration)
    assert answer.status_code == status
    assert "AWS_SECRET" not in answer.text
    assert not [event for event in pages.events("AssumeRoleWithWebIdentity") if event["responseElements"]]


def test_a_missing_role_and_a_closed_one_look_alike(browser: Browser) -> None:
    browser.arrive()
    answers = [
        browser.post("/portal/credentials", role_arn=role(name), duration_seconds="900").text.replace(name, "x")
        for name in ("auditors", "missing1")
    ]
    assert answers[0] == answers[1]


def test_a_long_duration_is_cut_to_what_the_role_allows(pages: Pages, browser: Browser) -> None:
    browser.arrive()
    assert browser.post("/portal/credentials", role_arn=role("developers"), duration_seconds="43200").status_code == 200
    [event] = pages.events("AssumeRoleWithWebIdentity")
    assert event["requestParameters"]["durationSeconds"] == 3_600


def test_a_role_has_an_address(browser: Browser) -> None:
    browser.arrive()
    for address in (
        f"/portal/role?arn={role('developers')}",
        "/portal/role?account_id=123456789012&role_name=developers",
    ):
        assert "Get credentials" in browser.get(address).text
    assert browser.get(f"/portal/role?arn={role('operators')}").status_code == 403
