"""The main job with each real client: token -> role credentials -> who am I -> second role -> a refusal -> record.

boto3, aws CLI v1, curl --aws-sigv4 and the AWS SDK for JavaScript v3, none of them modified; each in the ways that
people configure it.
"""

from __future__ import annotations

import json
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import boto3
import pytest
from realm.components import node_modules, program
from realm.server import ACCOUNT, REGION, BrokerServer, Keys, clean_environment, refused, request_id
from realm.site import SUBJECT, role_arn
from realm.token_issuer import TokenIssuer

PREFIX = "/sts/v1"


@pytest.fixture
def token_file(tmp_path: Path, issuer: TokenIssuer) -> Path:
    """As a CI system leaves it: with a newline at its end."""
    path = tmp_path / "token.jwt"
    path.write_text(issuer.token(SUBJECT) + "\n")
    return path


@pytest.fixture(params=["", PREFIX], ids=["root", "prefix"])
def endpoint(request: pytest.FixtureRequest, broker: BrokerServer) -> str:
    """Calls are answered at the root and below the configured prefix."""
    return f"{broker.url}{request.param}"


def assumed(role: str, name: str) -> str:
    return f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{name}"


# --- boto3 --------------------------------------------------------------------------------------------------------


def test_boto3(broker: BrokerServer, issuer: TokenIssuer, endpoint: str) -> None:
    anonymous = broker.client(url=endpoint)
    first = anonymous.assume_role_with_web_identity(
        RoleArn=role_arn("web"), RoleSessionName="boto3", WebIdentityToken=issuer.token(SUBJECT)
    )
    web = broker.client(Keys.of(first), url=endpoint)
    assert web.get_caller_identity()["Arn"] == assumed("web", "boto3")
    second = web.assume_role(RoleArn=role_arn("auditor"), RoleSessionName="boto3")
    auditor = broker.client(Keys.of(second), url=endpoint)
    assert auditor.get_caller_identity()["Arn"] == assumed("auditor", "boto3")
    with refused("AccessDenied", status=403) as refusal:
        auditor.assume_role(RoleArn=role_arn("closed"), RoleSessionName="boto3")

    event = broker.event(request_id(first))
    assert event["eventName"] == "AssumeRoleWithWebIdentity"
    assert event["responseElements"]["credentials"]["accessKeyId"] == first["Credentials"]["AccessKeyId"]
    event = broker.event(request_id(second))
    assert event["userIdentity"]["arn"] == assumed("web", "boto3")
    assert event["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"] == role_arn("web")
    event = broker.event(refusal.request_id)
    assert (event["errorCode"], event["userIdentity"]["arn"]) == ("AccessDenied", assumed("auditor", "boto3"))


def test_boto3_finds_everything_in_a_config_file(
    broker: BrokerServer, config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config_file))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    for profile, role in (("developer", "web"), ("auditor", "auditor")):
        client = boto3.session.Session(profile_name=profile).client("sts")
        assert client.get_caller_identity()["Arn"] == assumed(role, "profile")
        client.close()


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "aws-global", "moon-1"])
def test_any_region_may_be_signed_for(broker: BrokerServer, ci: Keys, region: str) -> None:
    client = boto3.session.Session(ci.access_key_id, ci.secret_access_key, region_name=region).client(
        "sts", endpoint_url=broker.url
    )
    answer = client.get_caller_identity()
    client.close()
    assert broker.event(request_id(answer))["awsRegion"] == region


def test_presigned_get_caller_identity(broker: BrokerServer, ci: Keys, endpoint: str) -> None:
    """As aws-iam-authenticator and many "log in with your AWS identity" servers use it."""
    client = broker.client(ci, url=endpoint)
    answer = client.assume_role(RoleArn=role_arn("auditor"), RoleSessionName="presigned")
    for keys in (ci, Keys.of(answer)):
        url = broker.client(keys, url=endpoint).generate_presigned_url(
            "get_caller_identity", ExpiresIn=60, HttpMethod="GET"
        )
        status, body = _curl(url)
        assert status == 200, body
        assert _text(body, "Account") == ACCOUNT
        status, body = _curl(url.replace("GetCallerIdentity", "GetAccessKeyInfo"))
        assert (status, _text(body, "Code")) == (403, "SignatureDoesNotMatch")


# --- aws CLI v1 ---------------------------------------------------------------------------------------------------


@pytest.fixture
def config_file(broker: BrokerServer, tmp_path: Path, token_file: Path, ci: Keys) -> Path:
    """What ``~/.aws/config`` would hold."""
    path = tmp_path / "config"
    path.write_text(
        f"""[profile developer]
region = {REGION}
services = accredit
role_arn = {role_arn("web")}
role_session_name = profile
web_identity_token_file = {token_file}

[profile auditor]
region = {REGION}
services = accredit
role_arn = {role_arn("auditor")}
role_session_name = profile
source_profile = developer

[profile user]
region = {REGION}
services = accredit
aws_access_key_id = {ci.access_key_id}
aws_secret_access_key = {ci.secret_access_key}

[profile guarded]
region = {REGION}
services = accredit
role_arn = {role_arn("guarded")}
role_session_name = profile
source_profile = user
external_id = ticket-4711

[profile plain-user]
region = {REGION}
aws_access_key_id = {ci.access_key_id}
aws_secret_access_key = {ci.secret_access_key}

[services accredit]
sts =
  endpoint_url = {broker.url}
"""
    )
    return path


class Aws:
    """aws CLI v1 in an environment of its own."""

    def __init__(self, home: Path, config: Path) -> None:
        self._environment = clean_environment() | {
            "HOME": str(home),
            "AWS_CONFIG_FILE": str(config),
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
        }

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program("aws"), *arguments],
            env=self._environment | environment,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def sts(self, *arguments: str, **environment: str) -> Any:
        done = self.run("sts", *arguments, "--output", "json", **environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def aws(tmp_path: Path, config_file: Path) -> Aws:
    return Aws(tmp_path, config_file)


def test_aws_cli(broker: BrokerServer, aws: Aws) -> None:
    """Profiles: a token file with a trailing newline, a role from a source profile, an external id, a refusal."""
    who = "get-caller-identity"
    assert aws.sts(who, "--profile", "developer")["Arn"] == assumed("web", "profile")
    assert aws.sts(who, "--profile", "auditor")["Arn"] == assumed("auditor", "profile")
    assert aws.sts(who, "--profile", "guarded")["Arn"] == assumed("guarded", "profile")
    refusal = aws.run(
        "sts", "assume-role", "--role-arn", role_arn("closed"), "--role-session-name", "cli", "--profile", "auditor"
    )
    assert refusal.returncode != 0
    assert "(AccessDenied)" in refusal.stderr
    assert assumed("auditor", "profile") in refusal.stderr
    found = broker.events(eventName="AssumeRole", errorCode="AccessDenied")
    assert any(event["userIdentity"].get("arn") == assumed("auditor", "profile") for event in found)


def test_aws_cli_by_environment(aws: Aws, endpoint: str, ci: Keys, token_file: Path) -> None:
    answer = aws.sts(
        "assume-role",
        *("--role-arn", role_arn("auditor"), "--role-session-name", "cli", "--duration-seconds", "900"),
        *("--tags", "Key=Team,Value=blue", "Key=Other,Value=x", "--transitive-tag-keys", "Team"),
        AWS_ENDPOINT_URL_STS=endpoint,
        AWS_DEFAULT_REGION=REGION,
        **ci.environment(),
    )
    identity = aws.sts(
        "get-caller-identity",
        AWS_ENDPOINT_URL_STS=endpoint,
        AWS_DEFAULT_REGION=REGION,
        **Keys.of(answer).environment(),
    )
    assert identity["Arn"] == answer["AssumedRoleUser"]["Arn"] == assumed("auditor", "cli")
    identity = aws.sts(
        "get-caller-identity",
        AWS_ENDPOINT_URL_STS=endpoint,
        AWS_DEFAULT_REGION=REGION,
        AWS_ROLE_ARN=role_arn("web"),
        AWS_ROLE_SESSION_NAME="variables",
        AWS_WEB_IDENTITY_TOKEN_FILE=str(token_file),
    )
    assert identity["Arn"] == assumed("web", "variables")


def test_aws_cli_by_option(broker: BrokerServer, aws: Aws, endpoint: str, token_file: Path) -> None:
    identity = aws.sts("get-caller-identity", "--profile", "plain-user", "--endpoint-url", endpoint)
    assert identity["Arn"].endswith(":user/ci")
    answer = aws.sts(
        "assume-role-with-web-identity",
        *("--role-arn", role_arn("web"), "--role-session-name", "option"),
        *("--web-identity-token", token_file.as_uri()),
        *("--endpoint-url", endpoint, "--region", REGION),
    )
    assert answer["SubjectFromWebIdentityToken"] == SUBJECT
    assert broker.client(Keys.of(answer)).get_caller_identity()["Arn"] == assumed("web", "option")


# --- curl ---------------------------------------------------------------------------------------------------------


def _curl(*arguments: str, keys: Keys | None = None) -> tuple[int, str]:
    """Status and body."""
    signing: list[str] = []
    if keys is not None:
        signing = ["--aws-sigv4", f"aws:amz:{REGION}:sts", "--user", f"{keys.access_key_id}:{keys.secret_access_key}"]
        if keys.session_token:
            signing += ["-H", f"x-amz-security-token: {keys.session_token}"]
    done = subprocess.run(
        [program("curl"), "-sS", "--noproxy", "*", "-w", "\n%{http_code}", *signing, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        env=clean_environment(),
    )
    assert done.returncode == 0, done.stderr
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


def _text(body: str, name: str) -> str:
    """The text of the first element of this name, whatever its namespace."""
    return next(
        element.text or "" for element in ElementTree.fromstring(body).iter() if element.tag.endswith(f"}}{name}")
    )


def _keys(body: str) -> Keys:
    return Keys(_text(body, "AccessKeyId"), _text(body, "SecretAccessKey"), _text(body, "SessionToken"))


def test_curl(broker: BrokerServer, issuer: TokenIssuer, endpoint: str) -> None:
    url = f"{endpoint}/" if endpoint == broker.url else endpoint
    version = ("-d", "Version=2011-06-15")
    status, body = _curl(
        *("-d", "Action=AssumeRoleWithWebIdentity", *version, "-d", "RoleSessionName=curl"),
        *("--data-urlencode", f"RoleArn={role_arn('web')}", "-d", f"WebIdentityToken={issuer.token(SUBJECT)}", url),
    )
    assert status == 200, body
    web = _keys(body)
    for arguments in (
        ("-d", "Action=GetCallerIdentity", *version, url),
        (f"{url}?Action=GetCallerIdentity&Version=2011-06-15",),
    ):
        status, body = _curl(*arguments, keys=web)
        assert (status, _text(body, "Arn")) == (200, assumed("web", "curl")), body
    status, body = _curl(
        *("-d", "Action=AssumeRole", *version, "-d", "RoleSessionName=curl"),
        *("--data-urlencode", f"RoleArn={role_arn('auditor')}", url),
        keys=web,
    )
    assert status == 200, body
    status, body = _curl("-d", "Action=GetCallerIdentity", *version, url, keys=_keys(body))
    assert (status, _text(body, "Arn")) == (200, assumed("auditor", "curl")), body
    event = broker.event(_text(body, "RequestId"))
    assert event["userAgent"].startswith("curl/")
    status, body = _curl(
        *("-d", "Action=AssumeRole", *version, "-d", "RoleSessionName=curl"),
        *("--data-urlencode", f"RoleArn={role_arn('closed')}", url),
        keys=web,
    )
    assert (status, _text(body, "Code")) == (403, "AccessDenied"), body
    assert broker.event(_text(body, "RequestId"))["errorCode"] == "AccessDenied"


def test_curl_with_a_users_key(broker: BrokerServer, ci: Keys) -> None:
    for arguments in (
        ("-d", "Action=GetCallerIdentity"),
        ("--get", "-d", "Action=GetCallerIdentity&Version=2011-06-15"),
    ):
        status, body = _curl(*arguments, f"{broker.url}/", keys=ci)
        assert (status, _text(body, "Arn")) == (200, f"arn:aws:iam::{ACCOUNT}:user/ci"), body
    status, body = _curl("-d", "Action=GetCallerIdentity", f"{broker.url}/", keys=Keys(ci.access_key_id, "x" * 40))
    assert (status, _text(body, "Code")) == (403, "SignatureDoesNotMatch"), body


# --- AWS SDK for JavaScript v3 ------------------------------------------------------------------------------------


def test_javascript_sdk(broker: BrokerServer, endpoint: str, token_file: Path) -> None:
    given = {
        "modules": str(node_modules("@aws-sdk/client-sts").parent),
        "endpoint": endpoint,
        "region": REGION,
        "webRole": role_arn("web"),
        "tokenFile": str(token_file),
        "nextRole": role_arn("auditor"),
        "closedRole": role_arn("closed"),
    }
    done = subprocess.run(
        [program("node"), str(Path(__file__).parent / "js" / "transcript.cjs")],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=60,
        env=clean_environment(),
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["first"], result["second"]) == (assumed("web", "js"), assumed("auditor", "js"))
    assert 890 < result["seconds"] <= 900
    assert (result["refusal"]["code"], result["refusal"]["status"]) == ("AccessDenied", 403)
    assert broker.event(result["request"])["eventName"] == "GetCallerIdentity"
    assert broker.event(result["refusal"]["request"])["errorCode"] == "AccessDenied"
