"""Sessions of people: WEB-01 (fixation, flags, the server's side of sign-out), and what ends them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from person import BASE, PROVIDER, Browser, Pages, identity

from broker.errors import AccessDenied
from broker.web.sessions import External, Origin, Person

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SOMEWHERE = Origin("192.0.2.1", "Firefox")


def person(**more: object) -> Person:
    who = identity(**{"authenticated_at": NOW, "expires_at": NOW + timedelta(minutes=5)} | more)  # type: ignore[arg-type]
    return Person("123456789012", ("fed",), NOW, external=External("oidc", PROVIDER, who, session_index="s1"))


def begin(pages: Pages, who: Person | None = None, now: datetime = NOW) -> str:
    with pages.services.database.write() as connection:
        return pages.site.sessions.begin(connection, who or person(), SOMEWHERE, now)


def test_a_session_is_found_by_its_cookie_alone(pages: Pages) -> None:
    cookie = begin(pages)
    found = pages.site.sessions.find(cookie, NOW)
    assert found is not None
    assert found.person == person()
    assert pages.site.sessions.find(cookie[:-1] + ("A" if cookie[-1] != "A" else "B"), NOW) is None
    assert pages.site.sessions.find(found.digest[:43], NOW) is None
    assert pages.site.sessions.find(found.handle, NOW) is None


def test_neither_the_cookie_nor_the_person_is_in_the_store(pages: Pages) -> None:
    cookie = begin(pages)
    with pages.services.database.read() as connection:
        row = str(connection.exec_driver_sql("SELECT * FROM browser_sessions").one())
    assert cookie not in row
    assert "ann@" not in row


@pytest.mark.parametrize(
    ("after", "there"),
    [
        (timedelta(minutes=59), True),
        (timedelta(minutes=60), False),
        (timedelta(days=400), False),
    ],
)
def test_an_unused_session_is_over_after_the_idle_time(pages: Pages, after: timedelta, there: bool) -> None:
    cookie = begin(pages)
    assert (pages.site.sessions.find(cookie, NOW + after) is not None) is there


def test_a_used_session_is_over_after_the_longest_time(pages: Pages) -> None:
    cookie, now = begin(pages), NOW
    while now < NOW + timedelta(hours=12):
        assert pages.site.sessions.find(cookie, now) is not None
        now += timedelta(minutes=45)
    assert pages.site.sessions.find(cookie, now) is None


def test_a_session_is_over_when_the_provider_says_so(pages: Pages) -> None:
    who = person(session_ends_at=NOW + timedelta(minutes=10))
    cookie = begin(pages, who)
    assert pages.site.sessions.find(cookie, NOW + timedelta(minutes=9)) is not None
    assert pages.site.sessions.find(cookie, NOW + timedelta(minutes=10)) is None
    with pytest.raises(AccessDenied):
        begin(pages, who, NOW + timedelta(minutes=10))


def test_step_up_puts_a_new_cookie_in_the_old_ones_place(pages: Pages) -> None:
    cookie = begin(pages)
    session = pages.site.sessions.find(cookie, NOW)
    assert session is not None
    with pages.services.database.write() as connection:
        fresh = pages.site.sessions.step_up(connection, session, person(), NOW + timedelta(minutes=1))
    assert fresh != cookie
    assert pages.site.sessions.find(cookie, NOW) is None
    found = pages.site.sessions.find(fresh, NOW)
    assert found is not None
    assert found.expires_at == session.expires_at
    with pages.services.database.write() as connection, pytest.raises(AccessDenied):
        pages.site.sessions.step_up(connection, session, person(), NOW)  # nobody revives what was ended


def test_single_logout_ends_a_subjects_sessions(pages: Pages) -> None:
    mine, other = begin(pages), begin(pages, person(subject="bob@idp"))
    sessions = pages.site.sessions
    with pages.services.database.write() as connection:
        assert sessions.end_subject(connection, PROVIDER, "ann@idp", "s2") == 0
        assert sessions.end_subject(connection, PROVIDER + "x", "ann@idp") == 0
    assert sessions.find(mine, NOW) is not None
    with pages.services.database.write() as connection:
        assert sessions.end_subject(connection, PROVIDER, "ann@idp", "s1") == 1
    assert sessions.find(mine, NOW) is None
    assert sessions.find(other, NOW) is not None


def test_sessions_that_are_over_are_forgotten(pages: Pages) -> None:
    begin(pages)
    begin(pages, now=NOW + timedelta(hours=13))
    with pages.services.database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM browser_sessions").scalar() == 1


def test_the_cookie_is_for_this_host_alone(pages: Pages, browser: Browser) -> None:
    answer = browser.arrive()
    [cookie] = [one for one in answer.headers.getlist("Set-Cookie") if one.startswith("__Host-accredit=")]
    for flag in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert flag in cookie
    assert "Domain" not in cookie


def test_a_cookie_that_somebody_planted_is_not_taken_over(pages: Pages, browser: Browser) -> None:
    browser.client.set_cookie("__Host-accredit", "A" * 43, domain="portal.example")
    browser.arrive()
    assert browser.cookie() != "A" * 43


def test_signing_in_again_ends_the_session_before(pages: Pages, browser: Browser) -> None:
    browser.arrive()
    first = browser.cookie()
    browser.arrive()
    assert first is not None
    assert browser.cookie() != first
    assert pages.site.sessions.find(first, datetime.now(UTC)) is None


def test_sign_out_ends_the_session_on_the_server(pages: Pages, browser: Browser) -> None:
    browser.arrive()
    cookie = browser.cookie()
    assert cookie is not None
    assert browser.post("/sign-out").status_code == 303
    browser.client.set_cookie("__Host-accredit", cookie, domain="portal.example", secure=True)
    answer = browser.get("/portal")
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/sign-in?next=")
    assert [event["eventName"] for event in pages.events()][-2:] == ["ConsoleLogin", "Logout"]


@pytest.mark.parametrize("path", ["/portal", "/portal/role?arn=x"])
def test_pages_of_people_need_a_session(browser: Browser, path: str) -> None:
    assert browser.get(path).status_code == 303


def test_a_session_of_a_deleted_provider_is_good_for_nothing(pages: Pages, browser: Browser) -> None:
    browser.arrive()
    with pages.services.database.change() as connection:
        connection.exec_driver_sql("DELETE FROM identity_providers")
    assert browser.get("/portal").status_code == 403
    assert (
        browser.post("/portal/credentials", role_arn="arn:aws:iam::1:role/x", duration_seconds="900").status_code != 200
    )


def test_the_session_is_in_no_address(pages: Pages, browser: Browser) -> None:
    answer = browser.arrive()
    assert answer.headers["Location"] == "/portal"
    cookie = browser.cookie()
    assert cookie is not None
    assert browser.client.get(f"/portal?session={cookie}", base_url=BASE).status_code == 200
    assert pages.browser().get(f"/portal?__Host-accredit={cookie}").status_code == 303
