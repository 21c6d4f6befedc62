"""The people and roles of the browser tests, and how they sign in."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pyotp
from playwright.sync_api import Page
from realm.components import BIN
from realm.oidc_provider import PASSWORD as PROVIDER_PASSWORD
from realm.server import ACCOUNT, BrokerServer, accredit, clean_environment

PASSWORD = "Wolf7!lantern"
OTHER = "210987654321"


def _policy(**statement: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


def company(issuer: str) -> str:
    """The configuration's objects."""
    host = issuer.partition("://")[2]
    federated = _policy(
        Principal={"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{host}"},
        Action="sts:AssumeRoleWithWebIdentity",
        Condition={"StringEquals": {f"{host}:aud": "broker", f"{host}:preferred_username": "alice"}},
    )
    tagged = json.loads(federated)
    tagged["Statement"].append(
        {"Effect": "Allow", "Principal": tagged["Statement"][0]["Principal"], "Action": "sts:TagSession"}
    )
    account = _policy(Principal={"AWS": ACCOUNT}, Action="sts:AssumeRole")
    with_mfa = _policy(
        Principal={"AWS": ACCOUNT},
        Action="sts:AssumeRole",
        Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}},
    )
    roles = {
        "administrator": ("Everything, with a second factor", with_mfa, ACCOUNT),
        "billing": ("Invoices and budgets", account, ACCOUNT),
        "data-platform": ("Pipelines and tables", account, ACCOUNT),
        "deploy": ("Releases to the test environment", account, ACCOUNT),
        "incident-response": ("When it burns", with_mfa, ACCOUNT),
        "read-only": ("Looks at everything, changes nothing", account, ACCOUNT),
        "deploy-production": ("Releases to production", account, OTHER),
        "read-only-production": ("Looks at production", account, OTHER),
        "engineering": ("Whoever signs in with the company's account", json.dumps(tagged), ACCOUNT),
    }
    text = f"""
[[account]]
id = "{OTHER}"
alias = "example-production"
[[identity_provider]]
issuer = "{issuer}"
client_ids = ["broker"]
[identity_provider.sign_in]
client_id = "broker"
client_secret_file = "client.secret"
scopes = ["openid", "profile", "email", "groups"]
title = "Example Company"
[[user]]
name = "ann"
[[user.inline_policy]]
name = "own"
document = '{_policy(Action=["sts:AssumeRole", "iam:*AccessKey*", "iam:ChangePassword"], Resource="*")}'
"""
    for name, (description, trust, where) in roles.items():
        text += f"""
[[role]]
name = "{name}"
account = "{where}"
description = "{description}"
max_session_duration = 14400
trust_policy = '{trust}'
"""
    return text


@dataclass
class People:
    """``pages`` is the address that people type."""

    broker: BrokerServer
    pages: str

    def give_password(self, name: str, password: str) -> None:
        client = self.broker.client(self.broker.root, service="iam")
        client.create_login_profile(UserName=name, Password=password)

    def setup_link(self) -> str:
        environment = {"ACCREDIT_SERVER_BIND": self.broker.host}
        return accredit("account", "setup-link", self.broker.directory, ACCOUNT, environment=environment).strip()

    def whoami(self, exports: str) -> str:
        """``aws sts get-caller-identity`` in a shell into which somebody pasted ``exports``."""
        done = subprocess.run(
            ["bash", "-c", f"{exports}\naws sts get-caller-identity --query Arn --output text"],
            capture_output=True,
            text=True,
            timeout=60,
            env=clean_environment() | {"PATH": f"{BIN}:{os.environ['PATH']}", "AWS_DEFAULT_REGION": "eu-central-1"},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """With a password, as far as that goes."""
    page.goto(f"/sign-in/{ACCOUNT}")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def set_up(page: Page, link: str, name: str) -> pyotp.TOTP:
    """Make an administrator; its authenticator."""
    page.goto(link)
    totp, now = pyotp.TOTP(page.locator(".seed").inner_text().replace(" ", "")), int(time.time())
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("The password again").fill(PASSWORD)
    page.get_by_label("First code").fill(totp.at(now - 30))
    page.get_by_label("Second code").fill(totp.at(now))
    page.get_by_role("button", name="Make the administrator").click()
    page.wait_for_url("**/portal")
    return totp


def provider_sign_in(page: Page, name: str = "alice") -> None:
    """At the OpenID Connect provider's own page."""
    page.goto(f"/sign-in/{ACCOUNT}")
    page.get_by_role("link", name="Continue with Example Company").click()
    page.locator("[name=login]").fill(name)
    page.locator("[name=password]").fill(PROVIDER_PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(re.compile("/portal|/callback"))


def take_credentials(page: Page, role: str) -> str:
    """Choose a role, and copy what a shell takes."""
    page.get_by_role("link", name=re.compile(f"^Choose {role} in")).first.click()
    page.get_by_role("button", name="Get credentials").click()
    page.get_by_role("button", name="Copy").click()
    copied: str = page.evaluate("navigator.clipboard.readText()")
    return copied


def axe_script() -> Path:
    from realm.components import node_modules

    return node_modules("axe-core") / "axe-core" / "axe.min.js"
