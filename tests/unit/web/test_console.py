"""Administration: the wire's operations, authorisation and events, and every text shown as text (WEB-03)."""

from __future__ import annotations

import html
import json
import re

import pytest
from person import ACCOUNT, OTHER, Browser, Pages, allow, trust
from test_password_sign_in import give_password, sign_in

from broker.store.entities import find_entity_by_name
from broker.store.inline_policies import put_inline_policy

XSS = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{7919*7907}}"


def grant(pages: Pages, name: str, document: str) -> None:
    with pages.services.database.change() as connection:
        user = find_entity_by_name(connection, ACCOUNT, "user", name)
        assert user is not None
        put_inline_policy(connection, user.id, "granted", document)


@pytest.fixture
def admin(pages: Pages, browser: Browser) -> Browser:
    """``ann``, who may do everything."""
    give_password(pages)
    grant(pages, "ann", allow("*"))
    assert sign_in(browser) == "/portal"
    assert "Administration" in browser.get("/portal").text
    return browser


@pytest.fixture
def bob(pages: Pages) -> Browser:
    """Who may do nothing."""
    give_password(pages, "bob")
    browser = pages.browser()
    assert sign_in(browser, "bob") == "/portal"
    assert "Administration" not in browser.get("/portal").text
    return browser


def do(browser: Browser, operation: str, next_path: str = "/console/users", **form: str) -> int:
    return browser.post("/console/do", operation=operation, next=next_path, **form).status_code


LISTS = ("users", "groups", "roles", "policies", "oidc", "saml", "ldap")
PAGES = ("password-policy", "sessions", "audit", "simulator", "trust", "users/new", "roles/new", "saml/new")


@pytest.mark.parametrize("page", [*LISTS, *PAGES])
def test_an_administrator_sees_every_page(admin: Browser, page: str) -> None:
    assert admin.get(f"/console/{page}").status_code == 200


@pytest.mark.parametrize("page", [*LISTS, "sessions", "audit", "password-policy", "users/object?name=ann"])
def test_who_may_not_sees_none(pages: Pages, bob: Browser, page: str) -> None:
    answer = bob.get(f"/console/{page}")
    assert answer.status_code == 403
    assert "is not authorized to perform" in html.unescape(answer.text)


@pytest.mark.parametrize("page", ["users", "audit", "simulator"])
def test_somebody_external_has_no_administration(browser: Browser, page: str) -> None:
    browser.arrive()
    assert browser.get(f"/console/{page}").status_code == 403
    assert do(browser, "CreateUser", UserName="eve") == 403


def test_a_user_is_made_changed_and_deleted(pages: Pages, admin: Browser) -> None:
    assert do(admin, "CreateUser", UserName="carol") == 303
    assert "carol" in admin.get("/console/users?q=car").text
    assert "carol" not in admin.get("/console/users?q=dave").text
    assert do(admin, "PutUserPolicy", UserName="carol", PolicyName="own", PolicyDocument=allow("s3:*")) == 303
    assert "own" in admin.get("/console/users/object?name=carol").text
    document = admin.get("/console/users/document?name=carol&policy=own").text
    assert "s3:*" in html.unescape(document)
    assert do(admin, "CreateLoginProfile", UserName="carol", Password="Tiger8?ladder") == 303
    assert sign_in(pages.browser(), "carol", "Tiger8?ladder") == "/portal"
    assert do(admin, "DeleteUser", UserName="carol") == 409  # the password has to go first
    assert do(admin, "DeleteLoginProfile", UserName="carol") == 303
    assert do(admin, "DeleteUserPolicy", UserName="carol", PolicyName="own") == 303
    assert do(admin, "DeleteUser", UserName="carol") == 303
    [event] = pages.events("CreateUser")
    assert event["userIdentity"]["userName"] == "ann"
    assert event["requestParameters"] == {"userName": "carol"}
    assert "Tiger8" not in str(pages.events())


def test_a_role_is_made_and_its_trust_policy_edited(admin: Browser) -> None:
    document = trust({"AWS": ACCOUNT}, "sts:AssumeRole")
    assert do(admin, "CreateRole", RoleName="made", AssumeRolePolicyDocument=document) == 303
    page = admin.get("/console/roles/document?name=made&policy=trust+policy")
    assert "UpdateAssumeRolePolicy" in page.text
    answer = admin.post(
        "/console/do",
        operation="UpdateAssumeRolePolicy",
        RoleName="made",
        PolicyDocument='{\n "Version": "2012-10-17",\n "Statement": [}\n',
    )
    assert answer.status_code == 400
    assert "line 3" in answer.text
    assert html.escape('"Statement": [}', quote=False).replace('"', "&#34;") in answer.text  # nothing is lost
    assert do(admin, "UpdateAssumeRolePolicy", RoleName="made", PolicyDocument=document) == 303


def test_declared_objects_are_changed_in_the_file_alone(admin: Browser) -> None:
    assert do(admin, "DeleteRole", RoleName="auditors") == 400


@pytest.mark.parametrize(
    "operation", ["CreateUser", "DeleteUser", "AttachUserPolicy", "CreateAccessKey", "CreateLoginProfile"]
)
def test_who_may_not_changes_nothing(pages: Pages, bob: Browser, operation: str) -> None:
    form = {"UserName": "ann", "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess", "Password": "Tiger8?ladder"}
    wanted = {"AttachUserPolicy": ("UserName", "PolicyArn"), "CreateLoginProfile": ("UserName", "Password")}
    given = {name: form[name] for name in wanted.get(operation, ("UserName",))}
    assert do(bob, operation, **given) == 403
    [event] = pages.events(operation)
    assert event["errorCode"] == "AccessDenied"
    assert event["userIdentity"]["userName"] == "bob"


@pytest.mark.parametrize("operation", ["", "AssumeRole", "GetSessionToken", "NoSuchThing", "__class__", "x" * 5_000])
def test_what_is_no_operation_here(admin: Browser, operation: str) -> None:
    assert do(admin, operation, UserName="ann") == 404


@pytest.mark.parametrize(
    "form",
    [
        {"UserName": "no/slash"},
        {"UserName": ""},
        {"UserName": "a" * 65},
        {"UserName": "x", "Unknown": "y"},
        {"UserName": "x", "account": OTHER},
        {"UserName": "x", "Path": "no"},
        {"UserName": "a\x00b"},
    ],
)
def test_parameters_are_those_of_the_model(pages: Pages, admin: Browser, form: dict[str, str]) -> None:
    """Mass assignment: what the model does not have is refused or without effect."""
    status = do(admin, "CreateUser", **form)
    if status == 303:
        assert [event["recipientAccountId"] for event in pages.events("CreateUser")] == [ACCOUNT]
    else:
        assert status == 400


def test_another_accounts_objects_are_not_there(admin: Browser) -> None:
    """IDOR: names are looked up in the person's own account."""
    for kind, name in (
        ("policies", f"arn:aws:iam::{OTHER}:policy/x"),
        ("oidc", f"arn:aws:iam::{OTHER}:oidc-provider/x"),
        ("saml", f"arn:aws:iam::{OTHER}:saml-provider/x"),
    ):
        assert admin.get(f"/console/{kind}/object", query_string={"name": name}).status_code in (400, 403, 404)


def test_the_next_page_is_ours(admin: Browser) -> None:
    answer = admin.post("/console/do", operation="CreateUser", UserName="dora", next="https://evil.example")
    assert answer.headers["Location"] == "/portal?done=CreateUser"


def test_the_password_policy_is_set(admin: Browser) -> None:
    answer = admin.post("/console/password-policy", MinimumPasswordLength="14", RequireNumbers="on", MaxPasswordAge="")
    assert answer.status_code == 303
    text = admin.get("/console/password-policy").text
    assert 'value="14"' in text
    assert re.search(r'name="RequireNumbers" checked', text)
    assert not re.search(r'name="RequireSymbols" checked', text)
    assert admin.post("/console/password-policy", MinimumPasswordLength="200").status_code == 400
    assert admin.post("/console/password-policy", MinimumPasswordLength="x").status_code == 400


def test_sessions_of_the_account_are_ended(pages: Pages, admin: Browser, bob: Browser) -> None:
    text = admin.get("/console/sessions").text
    assert "bob" in text
    handle = re.findall(r'bob.*?name="handle" value="([0-9a-f-]{36})"', text, re.DOTALL)[0]
    assert bob.post("/console/sessions/end", handle=handle).status_code == 403
    assert admin.post("/console/sessions/end", handle=handle).status_code == 303
    assert bob.get("/portal").status_code == 303
    assert admin.post("/console/sessions/end", handle=handle).status_code == 404
    failed = ["errorCode" in event for event in pages.events("DeleteBrowserSession")]
    assert sorted(failed) == [False, True, True]


def test_the_audit_record_is_searched(admin: Browser) -> None:
    do(admin, "CreateUser", UserName="erin")
    assert "CreateUser" in admin.get("/console/audit?q=erin").text
    assert "CreateUser" not in admin.get("/console/audit?q=nobody-at-all").text


def test_the_simulators_say_why(admin: Browser) -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:user/ann"
    answer = admin.post("/console/simulator", principal=arn, actions="s3:GetObject", resources="")
    assert "allowed" in answer.text
    assert "line 1" in answer.text
    role = f"arn:aws:iam::{ACCOUNT}:role/guarded"
    answer = admin.post("/console/trust", role=role, kind="PrincipalArn", evidence=f"arn:aws:iam::{ACCOUNT}:user/ann")
    assert "It does not let them in" in answer.text
    assert "MFA" in answer.text
    for evidence in ("nonsense", XSS):
        answer = admin.post("/console/trust", role=role, kind="SAMLAssertion", evidence=evidence)
        assert answer.status_code == 400
        assert "<script>alert" not in answer.text
    assert admin.post("/console/simulator", principal="x", actions="s3:GetObject").status_code == 400


def test_hostile_texts_are_shown_as_texts(pages: Pages, admin: Browser) -> None:
    """WEB-03: through every field that takes such a text, and every page."""
    document = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Sid": "a", "Effect": "Allow", "Action": "s3:*", "Resource": f"arn:aws:s3:::{XSS[:25]}"}],
        }
    )
    assert (
        do(
            admin,
            "CreateRole",
            RoleName="r",
            Description="<script>alert(1)",
            AssumeRolePolicyDocument=trust({"AWS": ACCOUNT}, "sts:AssumeRole"),
        )
        == 303
    )
    assert do(admin, "CreateUser", UserName="carol") == 303
    assert do(admin, "PutUserPolicy", UserName="carol", PolicyName="evil", PolicyDocument=document) == 303
    evil = pages.browser()
    evil.client.get("/sign-in/example", base_url="https://portal.example", headers={"User-Agent": XSS})
    evil.get("/sign-in/example")
    evil.client.post(
        f"/sign-in/{ACCOUNT}",
        base_url="https://portal.example",
        data={"csrf_token": evil.token, "user_name": "ann", "password": "Wolf7!lantern"},
        headers={"User-Agent": XSS, "Origin": "https://portal.example"},
    )
    seen = ""
    for page in (
        *[f"/console/{name}" for name in (*LISTS, *PAGES)],
        "/console/users/object?name=carol",
        "/console/users/document?name=carol&policy=evil",
        "/console/roles/object?name=r",
        "/portal",
        "/portal/activity",
        "/portal/sessions",
        "/portal/security",
        f"/console/users?q={XSS}",
        f"/console/users/object?name={XSS}",
        f"/portal?q={XSS}",
        f"/sign-in?account={XSS}",
        f"/portal/role?arn={XSS}",
    ):
        text = admin.get(page).text
        seen += text
        assert "<script>alert" not in text, page
        assert "<img src=x" not in text, page
        assert "62615533" not in text, page
    assert "&lt;script&gt;" in seen
