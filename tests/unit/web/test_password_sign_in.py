"""Names, passwords and second factors at sign-in: PW-01 and PW-02 on the page, MFA-01, MFA-02, and the set-up link."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pyotp
import pytest
from person import ACCOUNT, MASTER, Browser, Pages, role

from broker.audit.floods import Floods
from broker.domain.secret import Secret
from broker.iam.first_administrator import new_setup_link
from broker.mfa import seal_seed
from broker.portal.recovery_codes import code_digest, new_codes, shown
from broker.store.entities import find_entity_by_name
from broker.store.login_profiles import LoginProfile, insert_login_profile
from broker.store.mfa_devices import MfaDevice, assign_mfa_device, insert_mfa_device
from broker.store.passkeys import replace_recovery_codes

RIGHT = "Wolf7!lantern"
PAGE = "/sign-in/example"
SERIAL = f"arn:aws:iam::{ACCOUNT}:mfa/ann/phone"
SEED = "A" * 32


def give_password(pages: Pages, name: str = "ann", *, reset_required: bool = False) -> str:
    now = int(time.time())
    hashed = pages.services.passwords.hash(Secret(RIGHT))
    with pages.services.database.change() as connection:
        user = find_entity_by_name(connection, ACCOUNT, "user", name)
        assert user is not None
        insert_login_profile(connection, LoginProfile(user.id, hashed, reset_required, now - 60, now - 60))
    return user.id


def give_device(pages: Pages, user_id: str) -> None:
    device = MfaDevice(SERIAL, ACCOUNT, None, seal_seed(MASTER, SERIAL, SEED), created_at=0)
    with pages.services.database.change() as connection:
        insert_mfa_device(connection, device)
        assign_mfa_device(connection, SERIAL, user_id, 1)


def code(step: int = 0) -> str:
    return pyotp.TOTP(SEED).at(int(time.time()) + 30 * step)


def sign_in(browser: Browser, name: str = "ann", password: str = RIGHT, page: str = PAGE) -> str:
    browser.get(page)
    answer = browser.post(f"/sign-in/{ACCOUNT}", user_name=name, password=password)
    return answer.headers.get("Location", str(answer.status_code))


def test_a_user_signs_in_and_gets_credentials(pages: Pages, browser: Browser) -> None:
    give_password(pages)
    assert sign_in(browser) == "/portal"
    text = browser.get("/portal").text
    assert "auditors" in text
    assert "developers" not in text
    answer = browser.post("/portal/credentials", role_arn=role("auditors"), duration_seconds="900")
    assert answer.status_code == 200
    [login] = pages.events("ConsoleLogin")
    assert login["eventType"] == "AwsConsoleSignIn"
    assert login["userIdentity"]["userName"] == "ann"
    assert login["responseElements"] == {"ConsoleLogin": "Success"}
    assert login["additionalEventData"]["MFAUsed"] == "No"
    [assumed] = pages.events("AssumeRole")
    assert assumed["userIdentity"]["type"] == "IAMUser"


def test_wrong_names_and_passwords_look_alike(pages: Pages, browser: Browser) -> None:
    give_password(pages)
    answers = []
    for name, password in (("ann", "wrong"), ("bob", RIGHT), ("nobody", RIGHT), ("ann" * 40, RIGHT), ("\x00", "x")):
        browser.get(PAGE)
        answer = browser.post(f"/sign-in/{ACCOUNT}", user_name=name, password=password)
        answers.append((answer.status_code, "authentication information is incorrect" in answer.text))
    assert set(answers) == {(403, True)}
    failures = pages.events("ConsoleLogin")
    assert [event["userIdentity"].get("userName") for event in failures] == ["ann", "bob", None, None, None]
    assert all(event["errorCode"] == "AccessDenied" for event in failures)
    assert RIGHT not in str(failures)


def test_guessing_is_slowed_down(pages: Pages, browser: Browser) -> None:
    give_password(pages)
    for _ in range(5):
        assert sign_in(browser, password="wrong") == "403"
    assert sign_in(browser) == "400"  # the right one is not looked at either


def test_a_password_of_a_megabyte_is_not_looked_at(pages: Pages, browser: Browser) -> None:
    give_password(pages)
    assert sign_in(browser, password="a" * 100_000) == "403"
    assert sign_in(browser, password="a" * 1_000_000) == "413"


def test_the_second_factor_is_asked_for(pages: Pages, browser: Browser) -> None:
    give_device(pages, give_password(pages))
    assert sign_in(browser) == f"/sign-in/{ACCOUNT}/mfa"
    assert browser.cookie() is None
    assert browser.get("/portal").status_code == 303
    browser.get(f"/sign-in/{ACCOUNT}/mfa")
    answer = browser.post(f"/sign-in/{ACCOUNT}/mfa", device=SERIAL, code=code())
    assert answer.headers["Location"] == "/portal"
    assert "guarded" in browser.get("/portal").text
    answer = browser.post("/portal/credentials", role_arn=role("guarded"), duration_seconds="900")
    assert answer.status_code == 200
    [login] = pages.events("ConsoleLogin")
    assert login["additionalEventData"] == {"MFAUsed": "Yes", "amr": "pwd otp mfa"}
    assert len(pages.events("CheckMfa")) == 1
    assert pages.events("AssumeRole")[0]["userIdentity"]["sessionContext"]["attributes"]["mfaAuthenticated"] == "true"


@pytest.mark.parametrize("given", ["000000", "", "x" * 70, "１２３４５６", "12345"])
def test_a_wrong_code_lets_nobody_in(pages: Pages, browser: Browser, given: str) -> None:
    give_device(pages, give_password(pages))
    sign_in(browser)
    browser.get(f"/sign-in/{ACCOUNT}/mfa")
    assert browser.post(f"/sign-in/{ACCOUNT}/mfa", device=SERIAL, code=given).status_code == 403
    assert browser.cookie() is None
    [event] = pages.events("ConsoleLogin")
    assert event["errorCode"] == "AccessDenied"
    assert event["additionalEventData"]["MFAUsed"] == "Yes"


def test_a_code_counts_once(pages: Pages, browser: Browser) -> None:
    give_device(pages, give_password(pages))
    now = code()
    others = pages.browser(), pages.browser()
    results = []
    for one in others:
        sign_in(one)
        one.get(f"/sign-in/{ACCOUNT}/mfa")
        results.append(one.post(f"/sign-in/{ACCOUNT}/mfa", device=SERIAL, code=now).status_code)
    assert results == [303, 403]


def test_somebody_elses_device_is_none(pages: Pages, browser: Browser) -> None:
    give_device(pages, give_password(pages))
    other = f"arn:aws:iam::{ACCOUNT}:mfa/bob/phone"
    give_password(pages, "bob")
    device = MfaDevice(other, ACCOUNT, None, seal_seed(MASTER, other, SEED), created_at=0)
    with pages.services.database.change() as connection:
        bob = find_entity_by_name(connection, ACCOUNT, "user", "bob")
        assert bob is not None
        insert_mfa_device(connection, device)
        assign_mfa_device(connection, other, bob.id, 1)
    sign_in(browser)
    browser.get(f"/sign-in/{ACCOUNT}/mfa")
    assert browser.post(f"/sign-in/{ACCOUNT}/mfa", device=other, code=code()).status_code == 403


def test_the_second_step_is_for_who_took_the_first(pages: Pages, browser: Browser) -> None:
    give_device(pages, give_password(pages))
    sign_in(browser)
    other = pages.browser()
    other.get(PAGE)
    assert other.get(f"/sign-in/{ACCOUNT}/mfa").status_code == 403
    assert other.post(f"/sign-in/{ACCOUNT}/mfa", device=SERIAL, code=code()).status_code == 403
    assert browser.get("/sign-in/210987654321/mfa").status_code == 403


def test_a_recovery_code_counts_once(pages: Pages, browser: Browser) -> None:
    user_id = give_password(pages)
    give_device(pages, user_id)
    view = pages.services.catalog.user(user_id)
    assert view is not None
    codes = new_codes()
    with pages.services.database.write() as connection:
        digests = [code_digest(pages.services, view.user, one) for one in codes]
        replace_recovery_codes(connection, user_id, digests, 0)
    results = []
    for given in (shown(codes[0]).upper(), codes[0], "abcde-fghjk"):
        one = pages.browser()
        sign_in(one)
        one.get(f"/sign-in/{ACCOUNT}/mfa")
        results.append(one.post(f"/sign-in/{ACCOUNT}/mfa", device="recovery", code=given).status_code)
    assert results == [303, 403, 403]


def test_another_password_is_demanded(pages: Pages, browser: Browser) -> None:
    give_password(pages, reset_required=True)
    assert sign_in(browser) == f"/sign-in/{ACCOUNT}/password"
    assert browser.cookie() is None
    path = f"/sign-in/{ACCOUNT}/password"
    browser.get(path)
    for first, second in (
        (RIGHT, RIGHT),
        ("short", "short"),
        ("Tiger8?ladder", "Tiger8?ladders"),
        ("password1", "password1"),
    ):
        assert browser.post(path, new_password=first, new_password_again=second).status_code == 400
    assert browser.post(path, new_password="Tiger8?ladder", new_password_again="Tiger8?ladder").status_code == 303
    assert browser.get("/portal").status_code == 200
    assert sign_in(pages.browser(), password="Tiger8?ladder") == "/portal"
    assert sign_in(pages.browser()) == "403"
    assert [event.get("errorCode") for event in pages.events("ChangePassword")][-1] is None


def test_a_stolen_password_cannot_be_changed_without_the_second_factor(pages: Pages, browser: Browser) -> None:
    give_device(pages, give_password(pages, reset_required=True))
    assert sign_in(browser) == f"/sign-in/{ACCOUNT}/mfa"
    browser.get(f"/sign-in/{ACCOUNT}/mfa")
    new = {"new_password": "Tiger8?ladder", "new_password_again": "Tiger8?ladder"}
    assert browser.post(f"/sign-in/{ACCOUNT}/password", **new).headers["Location"] == f"/sign-in/{ACCOUNT}/mfa"
    answer = browser.post(f"/sign-in/{ACCOUNT}/mfa", device=SERIAL, code=code())
    assert answer.headers["Location"] == f"/sign-in/{ACCOUNT}/password"
    browser.get(f"/sign-in/{ACCOUNT}/password")
    assert browser.post(f"/sign-in/{ACCOUNT}/password", **new).headers["Location"] == "/portal"


def test_login_csrf_is_refused(pages: Pages, browser: Browser) -> None:
    give_password(pages)
    browser.get(PAGE)
    for headers in ({"Origin": "https://evil.example"}, {}):
        answer = browser.post(f"/sign-in/{ACCOUNT}", headers=headers, user_name="ann", password=RIGHT)
        assert answer.status_code == 403
    assert browser.cookie() is None


def make_link(pages: Pages) -> str:
    with pages.services.database.write() as connection:
        link = new_setup_link(connection, pages.services.settings, MASTER, ACCOUNT, datetime.now(UTC))
    return link.removeprefix("https://portal.example")


def set_up(browser: Browser, link: str, name: str = "root-admin", **more: str) -> int:
    text = browser.get(link).text
    seed = text.partition('class="seed">')[2].partition("<")[0].replace(" ", "")
    totp, now = pyotp.TOTP(seed or "A" * 32), int(time.time())
    form = {"password": RIGHT, "password_again": RIGHT, "code1": totp.at(now - 30), "code2": totp.at(now)}
    return browser.post(link, user_name=name, **(form | more)).status_code


def test_the_setup_link_makes_an_administrator_once(pages: Pages, browser: Browser) -> None:
    from broker.configure import apply_configuration, check_configuration

    settings = pages.services.settings
    apply_configuration(pages.services.database, check_configuration(settings, MASTER, {}), MASTER)
    link = make_link(pages)
    assert set_up(browser, link) == 303
    assert browser.get("/portal").status_code == 200
    other = pages.browser()
    other.get(PAGE)
    assert set_up(other, link, "another") == 403
    assert [event.get("errorCode") for event in pages.events("CreateFirstAdministrator")] == [None, "AccessDenied"]
    assert sign_in(pages.browser(), "root-admin") == f"/sign-in/{ACCOUNT}/mfa"


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"code2": "000000"}, 403),
        ({"code1": "", "code2": ""}, 403),
        ({"password": "short", "password_again": "short"}, 400),
        ({"password_again": "other"}, 400),
        ({"name": "ann"}, 409),
        ({"name": "no/slash"}, 400),
        ({"name": ""}, 400),
    ],
)
def test_what_sets_nothing_up(pages: Pages, browser: Browser, more: dict[str, str], status: int) -> None:
    link = make_link(pages)
    assert set_up(browser, link, **more) == status
    assert browser.cookie() is None
    assert browser.get(link).status_code == 200  # it is still good


def test_a_new_setup_link_ends_the_one_before(pages: Pages, browser: Browser) -> None:
    first, _second = make_link(pages), make_link(pages)
    assert browser.get(first).status_code == 403
    for wrong in ("/setup/x", "/setup/" + "A" * 43, "/setup/%00", "/setup/" + "é" * 43):
        assert browser.get(wrong).status_code == 403


def test_a_flood_of_nobody_s_guesses_is_counted(pages: Pages, browser: Browser) -> None:
    pages.services.audit._floods = Floods(0.1)  # one at once, then one in ten seconds
    for number in range(8):
        sign_in(browser, f"nobody-{number}")
    assert 1 <= len(pages.events("ConsoleLogin")) < 8
