"""The demonstration's data directory: a company with one identity provider and four roles."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from broker.accounts import RootKey
from broker.errors import AlreadyExists
from broker.initialize import initialize
from broker.settings import CONFIG_FILE

ACCOUNT = "123456789012"
SUBJECT = "repo:example/app:ref:refs/heads/main"
_MARK = ".accredit-demo"


def role(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def make_site(directory: Path, issuer: str, port: int) -> RootKey:
    """Make ``directory`` anew, or replace an earlier demonstration's. Raises AlreadyExists for anything else."""
    if directory.exists() and any(directory.iterdir()):
        if not (directory / _MARK).exists():
            raise AlreadyExists(f"{directory} exists and is not an earlier demonstration")
        shutil.rmtree(directory)
    root = initialize(directory, ACCOUNT).root
    (directory / _MARK).touch()
    with (directory / CONFIG_FILE).open("a", encoding="utf-8") as file:
        file.write(_objects(issuer))
    settings = (directory / CONFIG_FILE).read_text(encoding="utf-8")
    settings = settings.replace('# bind = "127.0.0.1:8400"', f'bind = "127.0.0.1:{port}"')
    settings = settings.replace("# allow_http_loopback = false", "allow_http_loopback = true")
    (directory / CONFIG_FILE).write_text(settings, encoding="utf-8")
    return root


def write_aws_config(directory: Path, port: int) -> Path:
    """An AWS config file of its own: nobody's ``~/.aws`` is touched."""
    path = directory / "aws-config"
    path.write_text(
        f"""[profile developer]
region = us-east-1
services = accredit
role_arn = {role("developer")}
role_session_name = demo
web_identity_token_file = {token_file(directory)}

[profile auditor]
region = us-east-1
services = accredit
role_arn = {role("auditor")}
source_profile = developer
role_session_name = demo

[services accredit]
sts =
  endpoint_url = http://127.0.0.1:{port}
iam =
  endpoint_url = http://127.0.0.1:{port}
""",
        encoding="utf-8",
    )
    return path


def token_file(directory: Path) -> Path:
    return directory.absolute() / "developer.jwt"


def _objects(issuer: str) -> str:
    host = issuer.removeprefix("http://")
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{host}"
    federated = _policy(
        Principal={"Federated": provider},
        Action="sts:AssumeRoleWithWebIdentity",
        Condition={"StringEquals": {f"{host}:aud": "sts.amazonaws.com", f"{host}:sub": SUBJECT}},
    )
    chained = _policy(Principal={"AWS": role("developer")}, Action="sts:AssumeRole")
    guarded = _policy(
        Principal={"AWS": role("developer")},
        Action="sts:AssumeRole",
        Condition={"StringEquals": {"sts:ExternalId": "ticket-4711"}},
    )
    people = _policy(Principal={"AWS": ACCOUNT}, Action="sts:AssumeRole")
    partner = _policy(Action="sts:GetWebIdentityToken", Resource="*")
    explain = _policy(Action="sts:DecodeAuthorizationMessage", Resource="*")
    return f"""
# The demonstration's own objects.

[[identity_provider]]
issuer = "{issuer}"
client_ids = ["sts.amazonaws.com"]

[[role]]
name = "developer"
trust_policy = '{federated}'

  [[role.inline_policy]]
  name = "tokens-for-partners"
  document = '{partner}'

[[role]]
name = "auditor"
trust_policy = '{chained}'

  [[role.inline_policy]]
  name = "explanations"
  document = '{explain}'

[[role]]
name = "administrator"
trust_policy = '{guarded}'

[[role]]
name = "member"
description = "For people of this account"
trust_policy = '{people}'
"""


def add_directory(directory: Path, port: int, certificate: Path, base: str, group: str) -> None:
    """Declare a directory, and a role for those in ``group``."""
    trusted = _policy(
        Principal={"Federated": f"arn:aws:iam::{ACCOUNT}:ldap-provider/demo"},
        Action="sts:AssumeRoleWithLDAPIdentity",
        Condition={"ForAnyValue:StringEquals": {"ldap:groups": group}},
    )
    with (directory / CONFIG_FILE).open("a", encoding="utf-8") as file:
        file.write(f"""
[[identity_provider]]
kind = "ldap"
name = "demo"
servers = ["ldaps://127.0.0.1:{port}"]
ca_file = "{certificate.absolute()}"
user_search = {{ base_dn = "{base}", filter = "(|(uid={{username}})(mail={{username}}))" }}
group_search = {{ base_dn = "{base}", filter = "(member={{dn}})" }}

[[role]]
name = "operator"
trust_policy = '{trusted}'
""")


def _policy(**statement: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})
