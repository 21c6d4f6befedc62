"""The main job before your eyes: an external identity becomes role credentials, and what is refused says why."""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import jwt
from botocore.config import Config
from botocore.exceptions import ClientError

from broker.accounts import RootKey
from broker.audit.query import tail
from broker.aws.sdk_extras import write_sdk_extras
from broker.database import command_database
from broker.demo.directory import BASE, GROUP, HOW_TO_GET_IT, PERSON, DemoDirectory, find_server
from broker.demo.idp import DemoIdentityProvider
from broker.demo.site import SUBJECT, add_directory, make_site, role, token_file, write_aws_config
from broker.settings import load_settings

_START_SECONDS = 30
_TOKEN_REFRESH_SECONDS = 300
_READ_FLUSH_SECONDS = 0.2
_PARTNER = "https://partner.example"
_ENCODED = " Encoded authorization failure message: "
_CALLS = 10


class StepFailed(Exception):
    """A step did not do what it should."""


class Story:
    """Runs the steps against a broker of its own; ``say`` takes each line."""

    def __init__(self, directory: Path, port: int, say: Callable[[str], None]) -> None:
        self.directory = directory
        self.endpoint = f"http://127.0.0.1:{port}"
        self.port = port
        self._say = say
        self._idp = DemoIdentityProvider()
        self._root: RootKey | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._encoded = ""
        self.password = f"Demo-{secrets.token_urlsafe(9)}"
        """Of the user ``demo``, who may sign in to the pages."""
        self._people: DemoDirectory | None = None
        self._no_directory = ""
        self._calls = _CALLS

    def run(self) -> None:
        """Every step, each announced by a tick. Raises StepFailed."""
        self._set_up()
        self._start()
        developer = self._federate()
        auditor = self._chain(developer)
        encoded = self._refuse(developer)
        self._explain(auditor, encoded)
        self._sign(developer)
        self._log_in()
        self._show_audit()
        self._make_person()

    def keep_serving(self) -> None:
        """Until interrupted; the token file stays fresh."""
        while self._server is not None and self._server.poll() is None:
            time.sleep(_TOKEN_REFRESH_SECONDS)
            self._write_token()

    def close(self) -> None:
        """Stop the server, draining."""
        if self._server is not None and self._server.poll() is None:
            self._server.send_signal(signal.SIGTERM)
            self._server.wait(30)
        self._idp.close()
        if self._people is not None:
            self._people.close()

    def _set_up(self) -> None:
        self._root = make_site(self.directory, self._idp.issuer, self.port)
        write_aws_config(self.directory, self.port)
        self._write_token()
        self._add_directory()
        self._tick(f"made {self.directory}: configuration, keys, SQLite database, four roles")
        self._tick(f"demo identity provider at {self._idp.issuer}")

    def _start(self) -> None:
        started = time.monotonic()
        command = [sys.executable, "-m", "broker.cli", "serve", str(self.directory)]
        with (self.directory / "broker.log").open("wb") as log:
            self._server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        while not self._ready():
            if self._server.poll() is not None or time.monotonic() - started > _START_SECONDS:
                raise StepFailed(f"the broker did not start; {self.directory}/broker.log says why")
            time.sleep(0.05)
        self._tick(f"broker ready at {self.endpoint} after {time.monotonic() - started:.1f} s")

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint}/readyz", timeout=2) as answer:  # noqa: S310  # loopback
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _federate(self) -> Any:
        self._detail(f"the workload's OIDC token says: sub = {SUBJECT}")
        answer = self._sts().assume_role_with_web_identity(
            RoleArn=role("developer"), RoleSessionName="demo", WebIdentityToken=self._idp.token(SUBJECT)
        )
        credentials = answer["Credentials"]
        self._tick(
            f"AssumeRoleWithWebIdentity: {credentials['AccessKeyId']} until {credentials['Expiration']:%H:%M:%S} UTC"
        )
        developer = self._sts(credentials)
        self._whoami(developer, "assumed-role/developer/demo")
        return developer

    def _chain(self, developer: Any) -> Any:
        answer = developer.assume_role(RoleArn=role("auditor"), RoleSessionName="demo")
        self._tick("AssumeRole from these credentials into a second role")
        auditor = self._sts(answer["Credentials"])
        self._whoami(auditor, "assumed-role/auditor/demo")
        return auditor

    def _refuse(self, developer: Any) -> str:
        """The encoded message of the last refusal."""
        anonymous = self._sts()
        with self._refused("AccessDenied", "another branch's token"):
            anonymous.assume_role_with_web_identity(
                RoleArn=role("developer"),
                RoleSessionName="demo",
                WebIdentityToken=self._idp.token("repo:example/app:ref:refs/heads/experiment"),
            )
        with self._refused("InvalidIdentityToken", "a token changed after signing"):
            head, _, rest = self._idp.token(SUBJECT).partition(".")
            anonymous.assume_role_with_web_identity(
                RoleArn=role("developer"), RoleSessionName="demo", WebIdentityToken=f"{head}.{_changed(rest)}"
            )
        with self._refused("AccessDenied", "a role whose trust policy asks for an external id"):
            developer.assume_role(RoleArn=role("administrator"), RoleSessionName="demo")
        return self._encoded

    def _explain(self, auditor: Any, encoded: str) -> None:
        answer = auditor.decode_authorization_message(EncodedMessage=encoded)
        miss = json.loads(answer["DecodedMessage"])["nearestMiss"]
        self._tick("DecodeAuthorizationMessage, for those who may: why the last request was denied")
        self._detail(f"nearest miss:  {miss['sentence']}")

    def _sign(self, developer: Any) -> None:
        """A token of ours, verified as a relying party does it: by the published documents alone."""
        issuer = self._client("iam", self._root_credentials()).enable_outbound_web_identity_federation()[
            "IssuerIdentifier"
        ]
        token = developer.get_web_identity_token(Audience=[_PARTNER], SigningAlgorithm="ES384")["WebIdentityToken"]
        document = self._fetch(f"{issuer}/.well-known/openid-configuration")
        keys = jwt.PyJWKSet.from_dict(self._fetch(document["jwks_uri"]))
        key = keys[jwt.get_unverified_header(token)["kid"]]
        claims = jwt.decode(token, key, algorithms=["ES384"], audience=_PARTNER, issuer=issuer)
        self._tick(f"GetWebIdentityToken: a JWT for {_PARTNER}, verified from {document['jwks_uri']}")
        self._detail(f"it says: sub = {claims['sub']}, until {datetime.fromtimestamp(claims['exp'], UTC):%H:%M:%S} UTC")

    def _add_directory(self) -> None:
        """Before the broker starts, so that it has it declared."""
        program = find_server()
        if program is None:
            self._no_directory = f"OpenLDAP's server is not installed ({HOW_TO_GET_IT})"
            return
        try:
            self._people = DemoDirectory(program, self.directory.absolute() / "directory")
        except (OSError, subprocess.CalledProcessError) as error:
            self._no_directory = f"OpenLDAP's server does not start here: {error}"
            return
        add_directory(self.directory, self._people.port, self._people.certificate, BASE, GROUP)

    def _log_in(self) -> None:
        """A person of a directory, where there is one."""
        if self._people is None:
            self._say(f"  - skipped, AssumeRoleWithLDAPIdentity: {self._no_directory}")
            return
        extras = self.directory / "models"
        write_sdk_extras(extras)
        inner = botocore.session.Session()
        inner.set_config_variable("data_path", str(extras))
        client = self._client("sts", None, boto3.session.Session(botocore_session=inner))
        answer = client.assume_role_with_ldap_identity(LDAPUsername=PERSON, LDAPPassword=self._people.password)
        self._tick(f"AssumeRoleWithLDAPIdentity: {answer['SubjectDN']} of OpenLDAP is in the group {GROUP}")
        self._whoami(self._sts(answer["Credentials"]), f"assumed-role/operator/{PERSON}")
        with self._refused("AccessDenied", "a wrong password"):
            client.assume_role_with_ldap_identity(LDAPUsername=PERSON, LDAPPassword="wrong")
        self._calls += 3

    def _fetch(self, url: str) -> Any:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  # our own, on loopback
            return json.load(answer)

    @contextmanager
    def _refused(self, code: str, what: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            found = error.response["Error"]
            if found["Code"] != code:
                raise StepFailed(f"{what}: expected {code}, got {found['Code']}: {found['Message']}") from error
            self._tick(f"refused, {what}: {code}")
            sentence, _, self._encoded = found["Message"].partition(_ENCODED)
            self._detail(f"the caller reads:  {sentence}")
            self._detail(f"the record says:   {self._reason(error.response['ResponseMetadata']['RequestId'])}")
        else:
            raise StepFailed(f"{what} was not refused")

    def _reason(self, request_id: str) -> str:
        event = next(event for event in self._events(20) if event["requestID"] == request_id)
        return str(event.get("additionalEventData", {}).get("reason", ""))

    def _show_audit(self) -> None:
        events = [event for event in self._events(20) if event["eventSource"].endswith(".amazonaws.com")]
        if len(events) != self._calls:
            raise StepFailed(f"{self._calls} calls left {len(events)} audit events")
        self._tick("every call left exactly one audit event:")
        for event in events:
            who = event["userIdentity"]
            name = who.get("arn") or who.get("userName") or who["type"]
            self._detail(f"{event['eventTime']}  {event['eventName']:35} {event.get('errorCode', 'ok'):21} {name}")

    def _make_person(self) -> None:
        """A user with a password, who may do everything."""
        iam = self._client("iam", self._root_credentials())
        iam.create_user(UserName="demo")
        iam.attach_user_policy(UserName="demo", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
        iam.create_login_profile(UserName="demo", Password=self.password)
        self._tick(f"made the user demo, who signs in at http://localhost:{self.port}/")

    def _root_credentials(self) -> dict[str, Any]:
        assert self._root is not None
        return {"AccessKeyId": self._root.access_key_id, "SecretAccessKey": self._root.secret_access_key.reveal()}

    def _events(self, count: int) -> list[dict[str, Any]]:
        time.sleep(_READ_FLUSH_SECONDS)  # records of read-only calls are on disk within 100 ms
        with command_database(load_settings(self.directory)) as database, database.read() as connection:
            return tail(connection, count)

    def _whoami(self, client: Any, suffix: str) -> None:
        arn = client.get_caller_identity()["Arn"]
        if not arn.endswith(suffix):
            raise StepFailed(f"GetCallerIdentity says {arn}")
        self._tick(f"GetCallerIdentity: {arn}")

    def _sts(self, credentials: dict[str, Any] | None = None) -> Any:
        return self._client("sts", credentials)

    def _client(
        self, service: str, credentials: dict[str, Any] | None, session: boto3.session.Session | None = None
    ) -> Any:
        found = credentials or {}
        return (session or boto3.session.Session()).client(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=found.get("AccessKeyId", "unused"),
            aws_secret_access_key=found.get("SecretAccessKey", "unused"),
            aws_session_token=found.get("SessionToken"),
            config=Config(retries={"max_attempts": 0}, proxies={}),
        )

    def _write_token(self) -> None:
        path = token_file(self.directory)
        fresh = path.with_suffix(".new")
        fresh.write_text(self._idp.token(SUBJECT) + "\n", encoding="ascii")
        os.replace(fresh, path)

    def _tick(self, text: str) -> None:
        self._say(f"  \N{CHECK MARK} {text}")

    def _detail(self, text: str) -> None:
        self._say(f"      {text}")


def _changed(rest: str) -> str:
    """The payload with another subject, under the old signature."""
    payload, _, signature = rest.partition(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    claims["sub"] = "repo:example/app:ref:refs/heads/changed"
    encoded = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{encoded}.{signature}"
