"""What signs a user in, changed by the user: MFA-02 (step-up, recovery codes), MFA-03 (WebAuthn), keys, sessions."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pyotp
import pytest
from person import ACCOUNT, BASE, Browser, Pages, identity, role
from realm.soft_key import SoftKey
from test_password_sign_in import RIGHT, SERIAL, code, give_device, give_password, sign_in

PATH = "/portal/security"
STEP_UP = "/portal/step-up"


@pytest.fixture
def ann(pages: Pages, browser: Browser) -> Browser:
    """Signed in with a password alone."""
    give_password(pages)
    assert sign_in(browser) == "/portal"
    browser.get(PATH)
    return browser


def new_key(**more: Any) -> SoftKey:
    key = SoftKey(BASE, "portal.example")
    for name, value in more.items():
        setattr(key, name, value)
    return key


def options(browser: Browser, path: str = f"{PATH}/passkeys") -> dict[str, Any]:
    answer = browser.post(f"{path}/options")
    assert answer.status_code == 200
    return dict(json.loads(answer.data))


def register(browser: Browser, key: SoftKey, name: str = "blue key") -> int:
    return browser.post(f"{PATH}/passkeys", name=name, answer=key.create(options(browser))).status_code


def test_an_authenticator_is_enrolled(pages: Pages, ann: Browser) -> None:
    place = ann.post(f"{PATH}/authenticators", name="phone").headers["Location"]
    text = ann.get(place).text
    totp = pyotp.TOTP(text.partition('class="seed">')[2].partition("<")[0].replace(" ", ""))
    now = int(time.time())
    assert ann.post(place, code1="000000", code2="000000").status_code == 403
    assert ann.post(place, code1=totp.at(now), code2=totp.at(now)).status_code == 403
    done = ann.post(place, code1=totp.at(now - 30), code2=totp.at(now))
    assert "The authenticator phone is yours." in done.text
    assert ann.get(place).status_code == 303  # from now on a second factor is asked for
    other = pages.browser()
    assert sign_in(other).endswith("/mfa")
    other.get(f"/sign-in/{ACCOUNT}/mfa")
    serial = f"arn:aws:iam::{ACCOUNT}:mfa/ann/phone"
    assert other.post(f"/sign-in/{ACCOUNT}/mfa", device=serial, code=totp.at(now)).status_code == 403  # used above
    assert other.post(f"/sign-in/{ACCOUNT}/mfa", device=serial, code=totp.at(now + 30)).status_code == 303
    [*_, event] = pages.events("EnableMFADevice")
    assert event["requestParameters"]["serialNumber"] == serial


def test_changes_need_a_fresh_second_factor(pages: Pages, browser: Browser) -> None:
    give_device(pages, give_password(pages))
    sign_in(browser)
    browser.get(f"/sign-in/{ACCOUNT}/mfa")
    browser.post(f"/sign-in/{ACCOUNT}/mfa", device=SERIAL, code=code(-1))
    browser.get(PATH)
    with pages.services.database.write() as connection:
        connection.exec_driver_sql("UPDATE browser_sessions SET mfa_at = mfa_at - 301")
    for action, form in (
        ("authenticators", {"name": "x"}),
        ("authenticators/remove", {"serial_number": SERIAL}),
        ("passkeys/options", {}),
        ("passkeys", {"name": "x", "answer": "{}"}),
        ("passkeys/remove", {"credential_id": "x"}),
        ("passkeys/rename", {"credential_id": "x", "name": "y"}),
        ("recovery-codes", {}),
        ("access-keys", {}),
        ("password", {"old_password": RIGHT, "new_password": "Tiger8?ladder", "new_password_again": "Tiger8?ladder"}),
    ):
        answer = browser.post(f"{PATH}/{action}", **form)
        assert answer.status_code == 303, action
        assert answer.headers["Location"].startswith(STEP_UP), action
    before = browser.cookie()
    browser.get(f"{STEP_UP}?next={PATH}")
    assert browser.post(STEP_UP, device=SERIAL, code="000000", next=PATH).status_code == 403
    answer = browser.post(STEP_UP, device=SERIAL, code=code(), next="//evil.example")
    assert answer.headers["Location"] == "/portal"
    assert browser.cookie() != before
    browser.get(PATH)
    assert browser.post(f"{PATH}/authenticators/remove", serial_number=SERIAL).status_code == 200
    assert [event.get("errorCode") for event in pages.events("DeactivateMFADevice")] == [None]


def test_an_account_may_demand_a_second_factor(pages: Pages, ann: Browser) -> None:
    settings = pages.services.settings
    demanding = msgspec.structs.replace(settings.web, require_mfa=(ACCOUNT,))
    object.__setattr__(pages.services, "settings", msgspec.structs.replace(settings, web=demanding))
    for page in ("/portal", "/portal/sessions", "/console/users", f"/portal/role?arn={role('auditors')}"):
        assert ann.get(page).headers["Location"] == STEP_UP
    answer = ann.post("/portal/credentials", role_arn=role("auditors"), duration_seconds="900")
    assert answer.headers["Location"] == STEP_UP
    assert ann.get(STEP_UP).headers["Location"] == PATH
    ann.get(PATH)
    key = new_key()
    assert register(ann, key) == 200
    ann.get(STEP_UP)
    answer = ann.post(f"{STEP_UP}/passkey", answer=key.get(options(ann, f"{STEP_UP}/passkey")), next="/portal")
    assert answer.headers["Location"] == "/portal"
    assert ann.get("/portal").status_code == 200
    other = pages.browser()
    other.arrive()  # somebody external gives it at the provider
    assert other.get("/portal").status_code == 200


def test_step_up_opens_a_guarded_role(pages: Pages, browser: Browser) -> None:
    user_id = give_password(pages)
    sign_in(browser)
    assert "needs a second factor" in browser.get("/portal").text
    assert "Give a second factor" in browser.get(f"/portal/role?arn={role('guarded')}").text
    answer = browser.post("/portal/credentials", role_arn=role("guarded"), duration_seconds="900")
    assert answer.status_code == 403
    give_device(pages, user_id)
    browser.get(STEP_UP)
    assert browser.post(STEP_UP, device=SERIAL, code=code(), next="/portal").status_code == 303
    browser.get("/portal")
    answer = browser.post("/portal/credentials", role_arn=role("guarded"), duration_seconds="900")
    assert answer.status_code == 200


def test_a_security_key_is_enrolled_and_signs_in(pages: Pages, ann: Browser) -> None:
    key = new_key()
    assert register(ann, key) == 200
    browser = pages.browser()
    assert sign_in(browser).endswith("/mfa")
    path = f"/sign-in/{ACCOUNT}/passkey"
    assert "Use a security key" in browser.get(f"/sign-in/{ACCOUNT}/mfa").text
    answer = browser.post(path, answer=key.get(options(browser, path)))
    assert answer.headers["Location"] == "/portal"
    assert pages.events("ConsoleLogin")[-1]["additionalEventData"] == {"MFAUsed": "Yes", "amr": "pwd hwk mfa"}
    browser.get("/portal")
    answer = browser.post("/portal/credentials", role_arn=role("guarded"), duration_seconds="900")
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        lambda key: setattr(key, "origin", "https://evil.example"),
        lambda key: setattr(key, "origin", "http://portal.example"),
        lambda key: setattr(key, "party", "evil.example"),
        lambda key: setattr(key, "flags", 0),
        lambda key: setattr(key, "credential_id", b"x" * 32),
        lambda key: setattr(key, "counter", -1),
        lambda key: setattr(key, "_private", new_key()._private),
    ],
    ids=["origin", "scheme", "party", "nobody-present", "other-credential", "counter-back", "other-key"],
)
def test_an_answer_that_does_not_fit_is_refused(pages: Pages, ann: Browser, change: Callable[[SoftKey], None]) -> None:
    key = new_key()
    assert register(ann, key) == 200
    ann.post(f"{STEP_UP}/passkey", answer=key.get(options(ann, f"{STEP_UP}/passkey")))
    ann.get(STEP_UP)
    asked = options(ann, f"{STEP_UP}/passkey")
    change(key)
    assert ann.post(f"{STEP_UP}/passkey", answer=key.get(asked)).status_code == 403


def test_a_challenge_counts_once_and_for_one_browser(pages: Pages, ann: Browser) -> None:
    key = new_key()
    asked = options(ann)
    answer = key.create(asked)
    other = pages.browser()
    sign_in(other)
    other.get(PATH)
    assert other.post(f"{PATH}/passkeys", name="x", answer=answer).status_code == 400  # another browser session
    assert ann.post(f"{PATH}/passkeys", name="x", answer=answer).status_code == 400  # used up by that
    answer = key.create(options(ann))
    assert ann.post(f"{PATH}/passkeys", name="x", answer=answer).status_code == 200
    sent = key.get(options(ann, f"{STEP_UP}/passkey"))
    assert ann.post(f"{STEP_UP}/passkey", answer=sent).status_code == 303
    ann.get(STEP_UP)
    assert ann.post(f"{STEP_UP}/passkey", answer=sent).status_code == 403


def test_an_old_challenge_is_refused(pages: Pages, ann: Browser) -> None:
    key = new_key()
    answer = key.create(options(ann))
    with pages.services.database.write() as connection:
        connection.exec_driver_sql("UPDATE tickets SET expires_at = expires_at - 301 WHERE kind = 'passkey'")
    assert ann.post(f"{PATH}/passkeys", name="x", answer=answer).status_code == 400


def test_a_challenge_for_sign_in_registers_nothing(pages: Pages, ann: Browser) -> None:
    key = new_key()
    assert register(ann, key) == 200
    ann.post(f"{STEP_UP}/passkey", answer=key.get(options(ann, f"{STEP_UP}/passkey")))
    ann.get(PATH)
    other = new_key()
    asked = options(ann, f"{STEP_UP}/passkey")
    assert ann.post(f"{PATH}/passkeys", name="x", answer=other.create(asked)).status_code == 400


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "{}",
        "[]",
        "null",
        "{",
        '{"response": {"clientDataJSON": "!!!"}}',
        '{"response": {"clientDataJSON": "e30"}}',
        '{"response": null}',
        "[" * 5_000,
        "a" * 20_000,
        '{"id": "x", "response": {"clientDataJSON": "eyJjaGFsbGVuZ2UiOiJ4In0"}}',
    ],
)
def test_junk_is_refused(pages: Pages, ann: Browser, answer: str) -> None:
    assert ann.post(f"{PATH}/passkeys", name="x", answer=answer).status_code == 400


@pytest.mark.parametrize(
    "attestation",
    [
        {"fmt": "packed", "attStmt": {"alg": -7, "sig": b"x"}},
        {"fmt": "made-up"},
        {"authData": b"short"},
        {"authData": b"\x00" * 200},
        {"attStmt": {"sig": b"x"}},
    ],
)
def test_a_junk_attestation_is_refused(pages: Pages, ann: Browser, attestation: dict[str, Any]) -> None:
    answer = new_key().create(options(ann), **attestation)
    assert ann.post(f"{PATH}/passkeys", name="x", answer=answer).status_code == 400


def test_a_key_is_one_persons(pages: Pages, ann: Browser) -> None:
    key = new_key()
    assert register(ann, key) == 200
    give_password(pages, "bob")
    bob = pages.browser()
    sign_in(bob, "bob")
    bob.get(PATH)
    assert register(bob, key) == 409
    named = re.findall(r'name="credential_id" value="([^"]+)"', ann.get(PATH).text)[0]
    assert bob.post(f"{PATH}/passkeys/remove", credential_id=named).status_code == 404
    assert bob.post(f"{PATH}/passkeys/rename", credential_id=named, name="mine").status_code == 404


def test_a_key_is_renamed_and_removed(pages: Pages, ann: Browser) -> None:
    key = new_key()
    assert register(ann, key) == 200
    ann.post(f"{STEP_UP}/passkey", answer=key.get(options(ann, f"{STEP_UP}/passkey")))
    named = re.findall(r'name="credential_id" value="([^"]+)"', ann.get(PATH).text)[0]
    assert "green" in ann.post(f"{PATH}/passkeys/rename", credential_id=named, name="green").text
    for wrong in ("", " ", "a" * 65, "a\x00b"):
        assert ann.post(f"{PATH}/passkeys/rename", credential_id=named, name=wrong).status_code == 400
    assert ann.post(f"{PATH}/passkeys/remove", credential_id=named).status_code == 200
    assert sign_in(pages.browser()) == "/portal"
    assert [len(pages.events(name)) for name in ("CreatePasskey", "DeletePasskey")] == [1, 1]


def test_recovery_codes_are_shown_once_and_replace_those_before(pages: Pages, ann: Browser) -> None:
    def codes() -> list[str]:
        return re.findall(r"\b[a-z2-9]{5}-[a-z2-9]{5}\n", ann.post(f"{PATH}/recovery-codes").text)

    first, second = codes(), codes()
    assert len(set(first + second)) == 20
    assert "You have 10 left." in ann.get(PATH).text
    assert not any(one.strip() in ann.get(PATH).text for one in second)
    assert str(second) not in str(pages.events())


def test_the_own_password_is_changed(pages: Pages, ann: Browser) -> None:
    new = {"new_password": "Tiger8?ladder", "new_password_again": "Tiger8?ladder"}
    assert ann.post(f"{PATH}/password", old_password=RIGHT, **new).status_code == 403  # no policy lets her
    with pages.services.database.change() as connection:
        from broker.store.password_policies import put_password_policy

        put_password_policy(connection, ACCOUNT, {"allow_users_to_change_password": True})
    other = pages.browser()
    assert sign_in(other) == "/portal"
    assert ann.post(f"{PATH}/password", old_password="wrong", **new).status_code == 403
    assert ann.post(f"{PATH}/password", old_password=RIGHT, **(new | {"new_password_again": "x"})).status_code == 400
    assert ann.post(f"{PATH}/password", old_password=RIGHT, **new).status_code == 200
    assert other.get("/portal").status_code == 303
    assert ann.get("/portal").status_code == 200
    assert [event.get("errorCode") for event in pages.events("ChangePassword")].count(None) == 1


def test_access_keys_are_for_those_whose_policies_allow_them(pages: Pages, ann: Browser) -> None:
    assert ann.post(f"{PATH}/access-keys").status_code == 403
    assert "do not let you" in ann.get(PATH).text
    with pages.services.database.change() as connection:
        from broker.store.entities import find_entity_by_name
        from broker.store.inline_policies import put_inline_policy

        user = find_entity_by_name(connection, ACCOUNT, "user", "ann")
        assert user is not None
        document = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:*AccessKey*","Resource":"*"}}'
        put_inline_policy(connection, user.id, "keys", document)
    text = ann.post(f"{PATH}/access-keys").text
    key = re.findall(r"AKIA[A-Z0-9]{16}", text)[0]
    assert ann.post(f"{PATH}/access-keys/status", access_key_id=key, status="Inactive").status_code == 200
    assert "Inactive" in ann.get(PATH).text
    assert ann.post(f"{PATH}/access-keys/remove", access_key_id="AKIAOFSOMEBODYELSE00").status_code == 404
    assert ann.post(f"{PATH}/access-keys/remove", access_key_id=key).status_code == 200
    assert [len(pages.events(name)) for name in ("CreateAccessKey", "UpdateAccessKey")] == [2, 1]


def test_sessions_are_listed_and_ended(pages: Pages, ann: Browser) -> None:
    other, bob = pages.browser(), pages.browser()
    sign_in(other)
    give_password(pages, "bob")
    sign_in(bob, "bob")
    handles = set(re.findall(r'name="handle" value="([0-9a-f-]{36})"', ann.get("/portal/sessions").text))
    assert len(handles) == 2
    theirs = re.findall(r'name="handle" value="([0-9a-f-]{36})"', bob.get("/portal/sessions").text)[0]
    for wrong in (theirs, "", "x", "A" * 43):
        assert ann.post("/portal/sessions/end", handle=wrong).status_code == 404
    assert bob.get("/portal").status_code == 200
    assert ann.post("/portal/sessions/end", handle="others").status_code == 303
    assert other.get("/portal").status_code == 303
    own = re.findall(r'name="handle" value="([0-9a-f-]{36})"', ann.get("/portal/sessions").text)[0]
    assert ann.post("/portal/sessions/end", handle=own).headers["Location"] == "/sign-in"
    assert ann.get("/portal").status_code == 303
    assert len(pages.events("RevokeSessions")) == 2


def test_people_see_what_they_did_and_nobody_else(pages: Pages, ann: Browser) -> None:
    ann.post("/portal/credentials", role_arn=role("auditors"), duration_seconds="900")
    give_password(pages, "bob")
    bob = pages.browser()
    sign_in(bob, "bob")
    text = ann.get("/portal/activity").text
    assert "AssumeRole" in text
    assert "ConsoleLogin" in text
    assert "AssumeRole" not in bob.get("/portal/activity").text


def test_somebody_external_has_no_security_page(pages: Pages, browser: Browser) -> None:
    pages.next_identity = identity()
    browser.arrive()
    for path in (PATH, STEP_UP):
        assert browser.get(path).status_code == 403
    assert browser.post(f"{PATH}/access-keys").status_code == 403
    assert "ConsoleLogin" in browser.get("/portal/activity").text


def test_favourites_come_first(pages: Pages, ann: Browser) -> None:
    def names() -> list[str]:
        return re.findall(r'class="name">([^<]+)<', ann.get("/portal").text)

    assert names() == ["auditors", "guarded"]
    ann.get("/portal")
    assert ann.post("/portal/favourite", role_arn=role("guarded"), favourite="1", next="/portal").status_code == 303
    assert names() == ["guarded", "auditors"]
    assert ann.post("/portal/favourite", role_arn=role("developers"), favourite="1").status_code == 403
    ann.post("/portal/credentials", role_arn=role("auditors"), duration_seconds="900")
    assert "Recent" in ann.get("/portal").text


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("guarded", "second factor"),
        ("missing", "does not name you, or there is no such role"),
        ("developers", "does not name you, or there is no such role"),
    ],
)
def test_why_not(pages: Pages, ann: Browser, name: str, said: str) -> None:
    answer = ann.post("/portal/credentials", role_arn=role(name), duration_seconds="900")
    assert said in answer.text


def test_why_not_says_what_somebody_has_and_not_what_is_wanted(pages: Pages, browser: Browser) -> None:
    browser.arrive()
    text = browser.get(f"/portal/role?arn={role('operators')}").text
    assert "idp.example:groups" in text
    assert "`dev`" in text
    assert "`ops`" not in text
