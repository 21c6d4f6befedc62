"""A browser of a person, against the pages in this process."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flask import Flask, Response, request
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from broker.app import Prepared, build_pages, build_services
from broker.configure import apply_configuration, check_configuration
from broker.credentials.keyring import add_key
from broker.services import Services
from broker.settings import load_settings
from broker.store.engine import Database
from broker.store.schema import migrate
from broker.web.sign_in import start_session_for
from broker.web.site import Site
from providers.base import ExternalIdentity

ACCOUNT, OTHER = "123456789012", "210987654321"
MASTER = b"m" * 32
BASE = "https://portal.example"
ISSUER = "https://idp.example"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/idp.example"


def role(name: str, account: str = ACCOUNT) -> str:
    return f"arn:aws:iam::{account}:role/{name}"


def trust(principal: object, action: str, **condition: object) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": action}
    more = {"Condition": condition} if condition else {}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement | more]})


def allow(action: object, resource: object = "*") -> str:
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]}
    )


_WEB = "sts:AssumeRoleWithWebIdentity"
CONFIGURATION = f"""
[server]
base_url = "{BASE}"
[[account]]
id = "{ACCOUNT}"
alias = "example"
[[account]]
id = "{OTHER}"
[[identity_provider]]
issuer = "{ISSUER}"
client_ids = ["portal"]
jwks_file = "jwks.json"
[[role]]
name = "developers"
description = "Who writes the code"
trust_policy = '{trust({"Federated": PROVIDER}, _WEB, StringEquals={"idp.example:groups": "dev"})}'
[[role]]
name = "operators"
trust_policy = '{trust({"Federated": PROVIDER}, _WEB, StringEquals={"idp.example:groups": "ops"})}'
[[role]]
name = "auditors"
trust_policy = '{trust({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "sts:AssumeRole")}'
[[role]]
name = "guarded"
trust_policy = '{trust({"AWS": ACCOUNT}, "sts:AssumeRole", Bool={"aws:MultiFactorAuthPresent": "true"})}'
[[user]]
name = "ann"
[[user.inline_policy]]
name = "own"
document = '{allow("sts:AssumeRole")}'
[[user]]
name = "bob"
"""


def make_services(directory: Path, more: str = "") -> Services:
    (directory / "jwks.json").write_text(json.dumps({"keys": [_KEY]}))
    (directory / "accredit.toml").write_text(CONFIGURATION + more)
    database = Database("sqlite:///accredit.db", directory)
    migrate(database)
    settings = load_settings(directory, {})
    apply_configuration(database, check_configuration(settings, MASTER, {}), MASTER)
    with database.change() as connection:
        add_key(connection, MASTER, now=datetime.now(UTC), activation_seconds=0)
    database.close()
    return build_services(Prepared(load_settings(directory, {}), MASTER))


def identity(subject: str = "ann@idp", groups: tuple[str, ...] = ("dev",), **more: Any) -> ExternalIdentity:
    now = datetime.now(UTC)
    fields: dict[str, Any] = {
        "provider": PROVIDER,
        "issuer": ISSUER,
        "subject": subject,
        "audience": ("portal",),
        "attributes": {"sub": (subject,), "aud": ("portal",), "groups": groups, "email": ("ann@example.com",)},
        "assertion_id": None,
        "authenticated_at": now,
        "expires_at": now + timedelta(minutes=5),
    }
    return ExternalIdentity(**(fields | more))


class Pages:
    """The pages with one more, ``/arrive``, at which ``next_identity`` signs in as if a provider had sent it."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.next_identity = identity()
        self.session_index: str | None = None
        self.app: Flask = build_pages(services)
        self.site = Site(services)

        @self.app.post("/arrive")
        def arrive() -> Response:
            provider = services.catalog.provider(PROVIDER)
            assert provider is not None
            return start_session_for(
                self.site,
                provider,
                self.next_identity,
                session_index=self.session_index,
                next_path=request.args.get("next"),
            )

    def browser(self) -> Browser:
        return Browser(self.app.test_client())

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        self.services.audit.flush()
        with self.services.database.read() as connection:
            rows = connection.exec_driver_sql("SELECT record FROM audit_events ORDER BY sequence")
            found = [json.loads(row[0]) for row in rows]
        return [event for event in found if name in (None, event["eventName"])]


class Browser:
    """Keeps cookies, and sends forms as browsers do: with the token that is on the page, and with its origin."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self.token = ""

    def get(self, path: str, **more: Any) -> TestResponse:
        answer = self.client.get(path, base_url=BASE, **more)
        if found := re.search(r'name="csrf_token" value="([^"]+)"', answer.text):
            self.token = found[1]
        return answer

    def post(self, path: str, headers: dict[str, str] | None = None, **form: str) -> TestResponse:
        sent = {"Origin": BASE, "Sec-Fetch-Site": "same-origin"} if headers is None else headers
        form.setdefault("csrf_token", self.token)
        answer = self.client.post(path, base_url=BASE, data=form, headers=sent)
        if found := re.search(r'name="csrf_token" value="([^"]+)"', answer.text):
            self.token = found[1]
        return answer

    def arrive(self, next_path: str = "") -> TestResponse:
        answer = self.client.post("/arrive", base_url=BASE, query_string={"next": next_path} if next_path else {})
        self.get("/portal")
        return answer

    def cookie(self, name: str = "__Host-accredit") -> str | None:
        found = self.client.get_cookie(name, domain="portal.example")
        return None if found is None else found.value


_KEY = {
    "kty": "EC",
    "crv": "P-256",
    "kid": "one",
    "alg": "ES256",
    "use": "sig",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
