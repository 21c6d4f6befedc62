"""Credentials as shells, files and programs take them; the values are quoted, though they are only ever ours."""

from __future__ import annotations

import json
from dataclasses import dataclass

from broker.domain.credentials import Credentials
from broker.domain.moment import iso_seconds


@dataclass(frozen=True, slots=True)
class Snippet:
    """``key`` is the snippet's name in addresses, ``title`` the one that people read."""

    key: str
    title: str
    hint: str
    text: str


def snippets(credentials: Credentials, *, profile: str, endpoint: str) -> list[Snippet]:
    """All forms. ``endpoint`` is where AWS clients find us."""
    values = {
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key.reveal(),
        "AWS_SESSION_TOKEN": credentials.session_token.reveal(),
        "AWS_ENDPOINT_URL_STS": endpoint,
        "AWS_ENDPOINT_URL_IAM": endpoint,
    }
    return [
        Snippet("bash", "bash, zsh", "Paste into the shell.", _lines(values, "export {}={}", _shell)),
        Snippet("fish", "fish", "Paste into the shell.", _lines(values, "set -gx {} {}", _shell)),
        Snippet("powershell", "PowerShell", "Paste into the shell.", _lines(values, "$Env:{} = {}", _powershell)),
        Snippet("profile", "Profile", "Add to ~/.aws/config.", _profile(credentials, profile, endpoint)),
        Snippet("dotenv", ".env", "For docker compose, dotenv and the like.", _lines(values, "{}={}", str)),
        Snippet(
            "process",
            "credential_process",
            "What a credential_process prints; save it and let the profile cat the file.",
            _process(credentials),
        ),
    ]


def _lines(values: dict[str, str], form: str, quote: object) -> str:
    assert callable(quote)
    return "\n".join(form.format(name, quote(value)) for name, value in values.items())


def _shell(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _powershell(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _profile(credentials: Credentials, profile: str, endpoint: str) -> str:
    return f"""[profile {profile}]
aws_access_key_id = {credentials.access_key_id}
aws_secret_access_key = {credentials.secret_access_key.reveal()}
aws_session_token = {credentials.session_token.reveal()}
services = accredit

[services accredit]
sts =
  endpoint_url = {endpoint}
iam =
  endpoint_url = {endpoint}"""


def _process(credentials: Credentials) -> str:
    answer = {
        "Version": 1,
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key.reveal(),
        "SessionToken": credentials.session_token.reveal(),
        "Expiration": iso_seconds(credentials.expiration),
    }
    return json.dumps(answer, indent=2)
