"""An account with users and roles to simulate, and those who may ask."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from broker.app import Prepared, build_services
from broker.audit.event import CallRecord
from broker.catalog import LongTermKey, _user
from broker.configure import apply_configuration, check_configuration
from broker.credentials.keyring import add_key
from broker.domain.principal import Principal, PrincipalKind
from broker.domain.secret import Secret
from broker.services import Caller, Candidate, Services
from broker.settings import load_settings
from broker.store.engine import Database
from broker.store.entities import find_entity
from broker.store.schema import migrate

ACCOUNT, OTHER = "123456789012", "210987654321"
MASTER = b"m" * 32
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ISSUER = "https://token.actions.githubusercontent.com"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"


def arn(kind: str, name: str, account: str = ACCOUNT) -> str:
    return f"arn:aws:iam::{account}:{kind}/{name}"


def policy(*statements: dict[str, Any], version: str = "2012-10-17") -> str:
    return json.dumps({"Version": version, "Statement": list(statements)})


def allow(action: object, resource: object = "*", **more: object) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: object, resource: object = "*", **more: object) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def trust(principal: object, action: object = "sts:AssumeRole", **condition: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": principal, "Action": action}
    return statement | ({"Condition": condition} if condition else {})


def entry(name: str, kind: str, *values: str) -> Any:
    """A ContextEntry as the codec makes it."""
    return SimpleNamespace(context_key_name=name, context_key_type=kind, context_key_values=values)


WEB = trust(
    {"Federated": PROVIDER},
    "sts:AssumeRoleWithWebIdentity",
    StringEquals={"token.actions.githubusercontent.com:sub": "repo:example/app:ref:refs/heads/main"},
)

BOUND = policy(
    trust({"AWS": [arn("user", "bob"), arn("user", "zoe", OTHER)]}), trust({"AWS": arn("role", "theirs", OTHER)})
)
"""A trust policy whose principals are stored as unique ids."""

CONFIGURATION = f"""
[[account]]
id = "{ACCOUNT}"
[[account]]
id = "{OTHER}"
[[identity_provider]]
issuer = "{ISSUER}"
client_ids = ["sts.amazonaws.com"]
jwks_file = "jwks.json"
[[policy]]
name = "reads"
document = '{policy(allow("s3:Get*", "arn:aws:s3:::${aws:username}/*"))}'
[[policy]]
name = "limit"
document = '{policy(allow("s3:*"))}'
[[user]]
name = "alice"
policies = ["reads"]
permissions_boundary = "limit"
tags = {{ Team = "blue" }}
[[user.inline_policy]]
name = "own"
document = '{policy(allow(["sqs:*", "s3:List*"], Condition={"StringEquals": {"aws:PrincipalTag/Team": "blue"}}))}'
[[user]]
name = "bob"
[[user]]
name = "asks"
[[user.inline_policy]]
name = "own"
document = '{policy(allow(["iam:Simulate*", "iam:GetContextKeys*"]))}'
[[user]]
name = "asks-trust-alone"
[[user.inline_policy]]
name = "own"
document = '{policy(allow("iam:SimulateTrustPolicy"))}'
[[role]]
name = "app"
path = "/team/"
trust_policy = '{policy(trust({"AWS": ACCOUNT}))}'
[[role.inline_policy]]
name = "own"
document = '{policy(allow("sts:*", Condition={"Bool": {"aws:SecureTransport": "true"}}))}'
[[role]]
name = "ci"
trust_policy = '{policy(WEB)}'
[[user]]
name = "zoe"
account = "{OTHER}"
[[role]]
name = "bound"
trust_policy = '{BOUND}'
[[role]]
name = "theirs"
account = "{OTHER}"
trust_policy = '{policy(trust({"AWS": "*"}))}'
"""


def make_services(directory: Path) -> Services:
    (directory / "jwks.json").write_text(json.dumps({"keys": [_KEY]}))
    (directory / "accredit.toml").write_text(CONFIGURATION)
    database = Database("sqlite:///accredit.db", directory)
    migrate(database)
    settings = load_settings(directory, {})
    apply_configuration(database, check_configuration(settings, MASTER, {}), MASTER)
    with database.change() as connection:
        add_key(connection, MASTER, now=NOW, activation_seconds=0)
    database.close()
    return build_services(Prepared(load_settings(directory, {}), MASTER))


def caller(services: Services, name: str = "asks") -> Caller:
    """The user ``name`` calls, with its policies of now."""
    with services.database.read() as connection:
        found = find_entity(connection, arn("user", name))
        assert found is not None
        view = _user(connection, found.id)
    principal = Principal(PrincipalKind.USER, ACCOUNT, found.arn, found.id, user_name=name)
    key = LongTermKey(ACCOUNT, True, Secret("secret"), view)
    return Caller(NOW, CallRecord("id", NOW), verified=Candidate(principal, "secret", key=key))


_KEY = {
    "kty": "EC",
    "crv": "P-256",
    "kid": "one",
    "alg": "ES256",
    "use": "sig",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
