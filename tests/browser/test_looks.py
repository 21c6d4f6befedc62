"""Every page: no accessibility problem that axe-core finds, no sideways scrolling, and a picture of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from people import People, axe_script, set_up, sign_in
from playwright.sync_api import Page
from realm.server import ACCOUNT

_NARROW = {"width": 390, "height": 844}
_WIDE = {"width": 1280, "height": 800}


@pytest.fixture
def look(page: Page, images: Path) -> Callable[[str], None]:
    """Judge the page that is open, light, dark and narrow, and take pictures of it."""

    def judge(name: str) -> None:
        for variant, scheme, size in (
            ("light", "light", _WIDE),
            ("dark", "dark", _WIDE),
            ("narrow", "light", _NARROW),
        ):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
            page.set_viewport_size(size)  # type: ignore[arg-type]
            assert not problems(page), f"{name} {variant}"
            overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert overflow <= 0, f"{name} {variant} is {overflow} pixels too wide"
            page.screenshot(path=images / f"{name}-{variant}.png", full_page=variant != "narrow")

    return judge


def problems(page: Page) -> list[Any]:
    """What axe-core has against the page. It is run beside the page's policy, which would not let it in."""
    page.evaluate(axe_script().read_text(encoding="utf-8"))
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = page.evaluate("tags => axe.run({runOnly: tags})", tags)
    return [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found["violations"]]


def test_sign_in(page: Page, look: Callable[[str], None]) -> None:
    page.goto("/sign-in?choose=1")
    look("choose-account")
    page.goto(f"/sign-in/{ACCOUNT}")
    look("sign-in")
    page.get_by_label("User name").fill("nobody")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    look("sign-in-refused")


def test_portal(page: Page, look: Callable[[str], None]) -> None:
    sign_in(page, "ann")
    page.get_by_role("button", name=re.compile("^Favourite: read-only in")).first.click()
    look("roles")
    page.get_by_role("link", name=re.compile("^Choose deploy in")).first.click()
    look("role")
    page.get_by_role("button", name="Get credentials").click()
    look("credentials")
    page.goto(f"/portal/role?arn=arn:aws:iam::{ACCOUNT}:role/administrator")
    look("role-needs-mfa")
    page.goto(f"/portal/role?arn=arn:aws:iam::{ACCOUNT}:role/engineering")
    look("role-refused")
    page.goto("/portal/activity")
    look("activity")
    page.goto("/portal/sessions")
    look("sessions")
    page.goto("/portal/nowhere")
    look("not-found")


def test_security(page: Page, people: People, look: Callable[[str], None]) -> None:
    page.goto(people.setup_link())
    look("setup")
    set_up(page, page.url, "careful")
    page.goto("/portal/security")
    look("security")
    page.get_by_role("button", name="Add an authenticator").click()
    look("enrol")
    page.goto("/portal/security")
    page.get_by_role("button", name="Make recovery codes").click()
    look("recovery-codes")
    page.goto("/portal/security")
    page.get_by_role("button", name="Make an access key").click()
    look("access-key")
    page.goto("/portal/step-up?next=/portal")
    look("second-factor")


def test_administration(page: Page, people: People, look: Callable[[str], None]) -> None:
    set_up(page, people.setup_link(), "boss")
    for name in ("users", "roles", "oidc", "password-policy", "sessions", "audit"):
        page.goto(f"/console/{name}")
        look(f"console-{name}")
    page.goto("/console/users/object?name=boss")
    look("console-user")
    page.goto("/console/roles/object?name=deploy")
    look("console-role")
    page.goto("/console/roles/new")
    page.get_by_label("Role name").fill("broken")
    page.get_by_label("Trust policy").fill(
        '{\n  "Version": "2012-10-17",\n  "Statement": [\n    {"Effect": "Alow"}\n  ]\n}'
    )
    page.get_by_role("button", name="Make it").click()
    look("console-refused")
    page.goto("/console/users/document?name=boss&policy=")
    look("console-editor")
    page.goto("/console/simulator")
    page.get_by_label("ARN of the user").fill(f"arn:aws:iam::{ACCOUNT}:user/ann")
    page.get_by_label("Actions").fill("sts:AssumeRole iam:CreateUser")
    page.get_by_role("button", name="Simulate").click()
    look("console-simulator")
    page.goto("/console/trust")
    page.get_by_label("ARN of the role").fill(f"arn:aws:iam::{ACCOUNT}:role/administrator")
    page.get_by_label("Paste it here").fill(f"arn:aws:iam::{ACCOUNT}:user/ann")
    page.get_by_role("button", name="Check").click()
    look("console-trust")
