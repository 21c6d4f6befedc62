"""The data directory under test, made with the real command line, and the OpenID issuer that it trusts."""

from __future__ import annotations

import base64
import json
import secrets
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

ACCOUNT = "123456789012"
ISSUER = "https://issuer.bench.example"
AUDIENCE = "sts.amazonaws.com"
APP, TARGET = f"arn:aws:iam::{ACCOUNT}:role/app", f"arn:aws:iam::{ACCOUNT}:role/target"
USER = f"arn:aws:iam::{ACCOUNT}:user/bench"
_ACCREDIT = str(Path(sys.executable).with_name("accredit"))
_KEY_ID = "bench-1"
_TOKEN_SECONDS = 14_400


class Site:
    """A data directory with a provider, the roles ``app`` and ``target`` and the user ``bench``."""

    def __init__(self, directory: Path, store_url: str = "") -> None:
        self.directory = directory
        self._store_url = store_url
        self._key = rsa.generate_private_key(65_537, 2_048)
        store = ["--store-url", store_url] if store_url else []
        made = json.loads(_accredit("init", str(directory), "--account-id", ACCOUNT, "--json", *store))
        self.root: tuple[str, str] = (made["access_key_id"], made["secret_access_key"])
        self.user_secret = secrets.token_urlsafe(30)
        secret_file = directory / "bench.secret"
        secret_file.touch(mode=0o600)
        secret_file.write_text(self.user_secret, encoding="ascii")
        (directory / "issuer-jwks.json").write_text(json.dumps({"keys": [self._public_key()]}), encoding="ascii")
        with (directory / "accredit.toml").open("a", encoding="utf-8") as file:
            file.write(_objects())
        declared = json.loads(_accredit("config", "check", str(directory), "--json"))
        self.user_access_key_id: str = next(iter(declared["access_keys"]))

    def serve_command(self, port: int, workers: int, threads: int) -> list[str]:
        options = ["--bind", f"127.0.0.1:{port}", "--workers", str(workers), "--threads", str(threads)]
        return [_ACCREDIT, "serve", str(self.directory), *options]

    def tokens(self, count: int) -> list[str]:
        """Distinct RS256 identity tokens, each with a subject of its own."""
        pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with ProcessPoolExecutor(max_workers=2) as pool:
            parts = pool.map(partial(_tokens, pem), [range(0, count, 2), range(1, count, 2)])
            return [token for part in parts for token in part]

    def last_event(self) -> int:
        """The sequence number of the last audit event that is on disk."""
        return int(self._query("SELECT coalesce(max(sequence), 0) FROM audit_events")[0][0])

    def events_after(self, sequence: int) -> int:
        """How many audit events came after ``sequence``."""
        return int(self._query("SELECT count(*) FROM audit_events WHERE sequence > ?", sequence)[0][0])

    def issued_after(self, sequence: int) -> list[str]:
        """The access key ids that the AssumeRole events after ``sequence`` say were issued."""
        _accredit("audit", "tail", str(self.directory), "-n", "1")  # as every reader: first what is still in journals
        rows = self._query("SELECT record FROM audit_events WHERE sequence > ?", sequence)
        events = [json.loads(record) for (record,) in rows]
        return [event["responseElements"]["credentials"]["accessKeyId"] for event in events]

    def _query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        connection: Any
        if self._store_url:
            import psycopg

            connection = psycopg.connect(self._store_url.replace("+psycopg", "", 1))
            statement = statement.replace("?", "%s")
        else:
            connection = sqlite3.connect(f"file:{self.directory / 'accredit.db'}?mode=ro", uri=True)
        try:
            return list(connection.execute(statement, parameters).fetchall())
        finally:
            connection.close()

    def _public_key(self) -> dict[str, str]:
        numbers = self._key.public_key().public_numbers()
        key = {"kty": "RSA", "kid": _KEY_ID, "use": "sig", "alg": "RS256"}
        return {**key, "n": _base64url(numbers.n), "e": _base64url(numbers.e)}


def _tokens(pem: bytes, numbers: range) -> list[str]:
    key = load_pem_private_key(pem, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    now = int(time.time())
    fixed = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "nbf": now - 5, "exp": now + _TOKEN_SECONDS}
    fixed |= {"ref": "refs/heads/main", "workflow": "deploy", "actor": "octocat", "run_attempt": "1"}
    return [
        jwt.encode(
            {
                **fixed,
                "sub": f"repo:example/app-{number}:ref:refs/heads/main",
                "repository": f"example/app-{number}",
                "jti": secrets.token_hex(16),
            },
            key,
            algorithm="RS256",
            headers={"kid": _KEY_ID},
        )
        for number in numbers
    ]


def _objects() -> str:
    host = ISSUER.removeprefix("https://")
    federated = _trust(
        Principal={"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{host}"},
        Action="sts:AssumeRoleWithWebIdentity",
        Condition={
            "StringEquals": {f"{host}:aud": AUDIENCE},
            "StringLike": {f"{host}:sub": "repo:example/*:ref:refs/heads/main"},
        },
    )
    chained = _trust(Principal={"AWS": [APP, USER]}, Action="sts:AssumeRole")
    return f"""
[[identity_provider]]
issuer = "{ISSUER}"
client_ids = ["{AUDIENCE}"]
jwks_file = "issuer-jwks.json"

[[role]]
name = "app"
trust_policy = '{federated}'

[[role]]
name = "target"
trust_policy = '{chained}'

[[user]]
name = "bench"

  [[user.access_key]]
  secret_file = "bench.secret"
"""


def _trust(**statement: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


def _accredit(*arguments: str) -> str:
    done = subprocess.run([_ACCREDIT, *arguments], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise SystemExit(f"accredit {arguments[0]} failed:\n{done.stderr}")
    return done.stdout


def _base64url(number: int) -> str:
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
