"""Access Analyzer's ValidatePolicy, by boto3, the aws command and raw HTTP."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from realm import wire
from realm.components import program
from realm.server import ACCOUNT, REGION, BrokerServer, Keys, accredit, clean_environment, refused, request_id, serving
from realm.site import OTHER_ACCOUNT, allow, policy, role, role_arn, trust, user, user_arn

PATH = "/policy/validation"
PREFIX = "/analysis"
JSON = "application/json"
SECRET = "s" * 40
MAX_BODY = 200_000
VALIDATE = allow("access-analyzer:ValidatePolicy")
ADMINISTRATOR = policy(allow("*"))
ASSUMABLE_BY_ALL = policy(trust({"AWS": "*"}))
MANY = policy(*(allow(f"iam:Nonsense{number}", Sid=f"S{number}") for number in range(7)))


@pytest.fixture(scope="module")
def analyzer(make_broker: Callable[..., BrokerServer]) -> Iterator[BrokerServer]:
    """A broker whose user ``linter`` may validate policies; ``nobody`` may do nothing."""
    made = make_broker(
        settings={"server.path_prefix": PREFIX, "server.max_body_bytes": MAX_BODY, "server.workers": 1},
    )
    for name in ("linter", "nobody"):
        secret_file = made.directory / f"{name}.secret"
        secret_file.touch(mode=0o600)
        secret_file.write_text(SECRET)
    made.add(
        "\n".join(
            (
                user("linter", may=[VALIDATE, allow("sts:*")], secret_file="linter.secret"),
                user("nobody", secret_file="nobody.secret"),
                role("linting", trust({"AWS": ACCOUNT}), may=[VALIDATE]),
            )
        )
    )
    with serving(made):
        yield made


@pytest.fixture(scope="module")
def keys(analyzer: BrokerServer) -> dict[str, Keys]:
    found = json.loads(accredit("config", "check", "--json", analyzer.directory))["access_keys"]
    return {name: Keys(key_id, SECRET) for key_id, name in found.items()}


@pytest.fixture(scope="module")
def client(analyzer: BrokerServer, keys: Mapping[str, Keys]) -> Any:
    return analyzer.client(keys["linter"], service="accessanalyzer")


def codes(answer: Mapping[str, Any]) -> list[str]:
    return [finding["issueCode"] for finding in answer["findings"]]


# --- boto3 --------------------------------------------------------------------------------------------------------


def test_findings_as_boto3_reads_them(analyzer: BrokerServer, client: Any) -> None:
    answer = client.validate_policy(policyDocument=ADMINISTRATOR, policyType="IDENTITY_POLICY")
    finding = next(each for each in answer["findings"] if each["issueCode"] == "FULL_ADMINISTRATOR")
    assert finding["findingType"] == "SECURITY_WARNING"
    assert finding["findingDetails"]
    assert finding["learnMoreLink"].endswith("#full_administrator")
    location = finding["locations"][0]
    assert location["path"][:2] == [{"value": "Statement"}, {"index": 0}]
    start, end = location["span"]["start"], location["span"]["end"]
    assert (start["line"], start["column"]) == (1, start["offset"])
    assert 0 < start["offset"] < end["offset"] <= len(ADMINISTRATOR)
    assert "nextToken" not in answer


@pytest.mark.parametrize(
    ("document", "arguments", "expected"),
    [
        (policy(allow("iam:GetUser", user_arn("ci"))), {"policyType": "IDENTITY_POLICY"}, []),
        (policy(allow("iam:GetUsr", user_arn("ci"))), {"policyType": "IDENTITY_POLICY"}, ["INVALID_ACTION"]),
        (
            policy(allow("iam:GetUsr", user_arn("ci"))),
            {"policyType": "IDENTITY_POLICY", "locale": "DE"},
            ["INVALID_ACTION"],
        ),
        (ASSUMABLE_BY_ALL, {"policyType": "RESOURCE_POLICY"}, ["WILDCARD_PRINCIPAL"]),
        (
            ASSUMABLE_BY_ALL,
            {
                "policyType": "RESOURCE_POLICY",
                "validatePolicyResourceType": "AWS::IAM::AssumeRolePolicyDocument",
            },
            ["WILDCARD_PRINCIPAL"],
        ),
        (
            ASSUMABLE_BY_ALL,
            {"policyType": "RESOURCE_POLICY", "validatePolicyResourceType": "AWS::S3::Bucket"},
            ["MALFORMED_POLICY"],
        ),
        (ASSUMABLE_BY_ALL, {"policyType": "IDENTITY_POLICY"}, ["MALFORMED_POLICY"]),
        (
            ADMINISTRATOR,
            {
                "policyType": "RESOURCE_POLICY",
                "validatePolicyResourceType": "AWS::IAM::AssumeRolePolicyDocument",
            },
            ["MALFORMED_POLICY"],
        ),
        (
            policy(trust({"AWS": OTHER_ACCOUNT})),
            {"policyType": "RESOURCE_POLICY"},
            ["MISSING_EXTERNAL_ID"],
        ),
        (policy(trust({"AWS": ACCOUNT})), {"policyType": "RESOURCE_POLICY"}, []),
        ("", {"policyType": "IDENTITY_POLICY"}, ["MALFORMED_POLICY"]),
        ("{", {"policyType": "RESOURCE_POLICY"}, ["MALFORMED_POLICY"]),
        ("[" * 100_000, {"policyType": "IDENTITY_POLICY"}, ["MALFORMED_POLICY"]),
        ("žluťoučký \U0001f600", {"policyType": "IDENTITY_POLICY"}, ["MALFORMED_POLICY"]),
    ],
)
def test_the_kind_of_policy(client: Any, document: str, arguments: dict[str, str], expected: list[str]) -> None:
    assert codes(client.validate_policy(policyDocument=document, **arguments)) == expected


def test_pages(client: Any) -> None:
    arguments = {"policyDocument": MANY, "policyType": "IDENTITY_POLICY"}
    everything = client.validate_policy(**arguments)["findings"]
    assert len(everything) >= 7
    for size in (1, 3, len(everything), 1_000):
        pages = client.get_paginator("validate_policy").paginate(**arguments, PaginationConfig={"PageSize": size})
        found = [page["findings"] for page in pages]
        assert [finding for page in found for finding in page] == everything
        assert len(found) == -(-len(everything) // min(size, len(everything)))


@pytest.mark.parametrize("change", ["policyDocument", "policyType", "validatePolicyResourceType"])
def test_a_page_of_another_request_is_refused(client: Any, change: str) -> None:
    arguments = {"policyDocument": MANY, "policyType": "IDENTITY_POLICY"}
    token = client.validate_policy(**arguments, maxResults=1)["nextToken"]
    resource = {"policyType": "RESOURCE_POLICY", "validatePolicyResourceType": "AWS::S3::Bucket"}
    other = {
        "policyDocument": {"policyDocument": MANY + " "},
        "policyType": {"policyType": "RESOURCE_POLICY"},
        "validatePolicyResourceType": resource,
    }[change]
    with refused("ValidationException", status=400, message="nextToken"):
        client.validate_policy(**arguments | other, nextToken=token)


@pytest.mark.parametrize("token", ["", "1", "0-" + "0" * 32, "1-" + "0" * 32, "-1", "x" * 5_000, "é"])
def test_a_token_that_was_not_given_is_refused(client: Any, token: str) -> None:
    with refused("ValidationException", status=400, message="nextToken"):
        client.validate_policy(policyDocument=MANY, policyType="IDENTITY_POLICY", nextToken=token)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"policyType": "SERVICE_CONTROL_POLICY"}, "SERVICE_CONTROL_POLICY is not supported"),
        ({"policyType": "RESOURCE_CONTROL_POLICY"}, "RESOURCE_CONTROL_POLICY is not supported"),
        ({"policyType": "TRUST_POLICY"}, "enum value set"),
        ({"policyType": ""}, "enum value set"),
        ({"policyType": "IDENTITY_POLICY", "locale": "CS"}, "enum value set"),
        ({"policyType": "IDENTITY_POLICY", "maxResults": 0}, "maxResults"),
        ({"policyType": "IDENTITY_POLICY", "maxResults": -1}, "maxResults"),
        ({"policyType": "RESOURCE_POLICY", "validatePolicyResourceType": "AWS::IAM::Role"}, "enum value set"),
        (
            {"policyType": "IDENTITY_POLICY", "validatePolicyResourceType": "AWS::S3::Bucket"},
            "validatePolicyResourceType",
        ),
    ],
)
def test_arguments_that_are_refused(client: Any, arguments: dict[str, Any], message: str) -> None:
    with refused("ValidationException", status=400, message=message):
        client.validate_policy(policyDocument=ADMINISTRATOR, **arguments)


def test_an_error_is_the_exception_of_the_model(client: Any) -> None:
    with pytest.raises(client.exceptions.ValidationException) as refusal:
        client.validate_policy(policyDocument=ADMINISTRATOR, policyType="SERVICE_CONTROL_POLICY")
    assert refusal.value.response["reason"] == "fieldValidationFailed"


def test_the_call_needs_its_permission(analyzer: BrokerServer, keys: Mapping[str, Keys]) -> None:
    nobody = analyzer.client(keys["nobody"], service="accessanalyzer")
    sentence = "is not authorized to perform: access-analyzer:ValidatePolicy on resource: *"
    with refused("AccessDeniedException", status=403, message=sentence) as refusal:
        nobody.validate_policy(policyDocument=ADMINISTRATOR, policyType="IDENTITY_POLICY")
    event = analyzer.event(refusal.request_id)
    assert (event["eventSource"], event["errorCode"]) == ("access-analyzer.amazonaws.com", "AccessDeniedException")
    assert event["userIdentity"]["arn"] == user_arn("nobody")


def test_temporary_credentials(analyzer: BrokerServer, keys: Mapping[str, Keys]) -> None:
    sts = analyzer.client(keys["linter"])
    session = Keys.of(sts.assume_role(RoleArn=role_arn("linting"), RoleSessionName="linter"))
    temporary = analyzer.client(session, service="accessanalyzer")
    assert temporary.validate_policy(policyDocument=MANY, policyType="IDENTITY_POLICY")["findings"]
    stolen = analyzer.client(Keys(session.access_key_id, SECRET, session.session_token), service="accessanalyzer")
    with refused("InvalidSignatureException", status=403):
        stolen.validate_policy(policyDocument=MANY, policyType="IDENTITY_POLICY")
    narrowed = Keys.of(
        sts.assume_role(
            RoleArn=role_arn("linting"), RoleSessionName="linter", Policy=policy(allow("sts:GetCallerIdentity"))
        )
    )
    with refused("AccessDeniedException", status=403):
        analyzer.client(narrowed, service="accessanalyzer").validate_policy(
            policyDocument=MANY, policyType="IDENTITY_POLICY"
        )


def test_a_call_leaves_one_audit_event(analyzer: BrokerServer, client: Any) -> None:
    answer = client.validate_policy(policyDocument=MANY, policyType="IDENTITY_POLICY")
    event = analyzer.event(request_id(answer))
    assert (event["eventSource"], event["eventName"], event["readOnly"]) == (
        "access-analyzer.amazonaws.com",
        "ValidatePolicy",
        True,
    )
    assert event["userIdentity"]["arn"] == user_arn("linter")
    assert event["requestParameters"]["policyType"] == "IDENTITY_POLICY"
    assert event["responseElements"] is None
    assert "errorCode" not in event


def test_the_path_prefix(analyzer: BrokerServer, keys: Mapping[str, Keys]) -> None:
    client = analyzer.client(keys["linter"], service="accessanalyzer", url=analyzer.url + PREFIX)
    assert client.validate_policy(policyDocument=MANY, policyType="IDENTITY_POLICY")["findings"]


# --- the aws command ----------------------------------------------------------------------------------------------


_OPTIONS = ("--output", "json", "--region", REGION)


def _aws(broker: BrokerServer, keys: Keys, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program("aws"), "accessanalyzer", "validate-policy", "--endpoint-url", broker.url, *_OPTIONS, *arguments],
        env=clean_environment()
        | keys.environment()
        | {"HOME": str(home), "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_aws_command(analyzer: BrokerServer, keys: Mapping[str, Keys], tmp_path: Path) -> None:
    """A file; all pages of two findings each; a refusal."""
    file = tmp_path / "policy.json"
    file.write_text(MANY)
    given = ("--policy-type", "IDENTITY_POLICY", "--policy-document", f"file://{file}")
    done = _aws(analyzer, keys["linter"], tmp_path, *given, "--page-size", "2")
    assert done.returncode == 0, done.stderr
    assert codes(json.loads(done.stdout)).count("INVALID_ACTION") == 7
    done = _aws(analyzer, keys["nobody"], tmp_path, *given)
    assert done.returncode != 0
    assert "(AccessDeniedException)" in done.stderr


# --- HTTP ---------------------------------------------------------------------------------------------------------


def signed(broker: BrokerServer, keys: Keys, body: bytes, service: str = "access-analyzer") -> dict[str, str]:
    request = AWSRequest("POST", broker.url + PATH, data=body, headers={"Content-Type": JSON})
    credentials = Credentials(keys.access_key_id, keys.secret_access_key, keys.session_token)
    SigV4Auth(credentials, service, REGION).add_auth(request)
    return {"Host": broker.host, **dict(request.headers.items())}


def _check_refusal(broker: BrokerServer, answer: wire.Answer, status: int, code: str) -> None:
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (status, code), answer
    assert answer.headers["content-type"] == JSON
    assert json.loads(answer.body)["message"]
    event = broker.event(answer.request_id)
    assert (event["eventSource"], event["eventName"]) == ("access-analyzer.amazonaws.com", "ValidatePolicy")
    assert event["errorCode"] == code


REQUEST = json.dumps({"policyDocument": "{}", "policyType": "IDENTITY_POLICY"}).encode()


def test_a_call_without_signature(analyzer: BrokerServer) -> None:
    answer = wire.post(analyzer, REQUEST, {"Content-Type": JSON}, PATH)
    _check_refusal(analyzer, answer, 403, "MissingAuthenticationTokenException")


def test_a_call_with_a_wrong_signature(analyzer: BrokerServer, keys: Mapping[str, Keys]) -> None:
    headers = signed(analyzer, keys["linter"], REQUEST)
    _check_refusal(analyzer, wire.post(analyzer, REQUEST + b" ", headers, PATH), 403, "InvalidSignatureException")
    for service in ("sts", "iam", "accessanalyzer"):
        headers = signed(analyzer, keys["linter"], REQUEST, service)
        _check_refusal(analyzer, wire.post(analyzer, REQUEST, headers, PATH), 403, "InvalidSignatureException")
    headers = signed(analyzer, keys["linter"], REQUEST) | {"Authorization": "AWS4-HMAC-SHA256 Credential=x"}
    _check_refusal(analyzer, wire.post(analyzer, REQUEST, headers, PATH), 403, "IncompleteSignatureException")


@pytest.mark.parametrize("token", [None, "nonsense"])
def test_unknown_credentials(analyzer: BrokerServer, token: str | None) -> None:
    headers = signed(analyzer, Keys("AKIAQQQQQQQQQQQQQQQQ", SECRET, token), REQUEST)
    _check_refusal(analyzer, wire.post(analyzer, REQUEST, headers, PATH), 403, "UnrecognizedClientException")


def test_a_body_over_the_limit(analyzer: BrokerServer, keys: Mapping[str, Keys]) -> None:
    answer = wire.post(analyzer, b" " * (MAX_BODY + 1), {"Content-Type": JSON}, PATH)
    _check_refusal(analyzer, answer, 413, "RequestEntityTooLargeException")
    body = REQUEST + b" " * (MAX_BODY - len(REQUEST))
    assert wire.post(analyzer, body, signed(analyzer, keys["linter"], body), PATH).status == 200


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "fieldValidationFailed"),
        (b"{}", "fieldValidationFailed"),
        (b"[]", "cannotParse"),
        (b"{", "cannotParse"),
        (b"[" * 190_000, "cannotParse"),
        (b"\xff", "cannotParse"),
        (REQUEST[:-1] + b', "policyType": "IDENTITY_POLICY"}', "cannotParse"),
        (REQUEST[:-1] + b', "unknown": 1}', "fieldValidationFailed"),
        (REQUEST[:-1] + b', "maxResults": 1}', "fieldValidationFailed"),
        (rb'{"policyDocument": "\ud800", "policyType": "IDENTITY_POLICY"}', "fieldValidationFailed"),
        (b'{"policyDocument": {}, "policyType": "IDENTITY_POLICY"}', "fieldValidationFailed"),
        (b"Action=GetCallerIdentity&Version=2011-06-15", "cannotParse"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_body_that_is_refused(analyzer: BrokerServer, keys: Mapping[str, Keys], body: bytes, reason: str) -> None:
    answer = wire.post(analyzer, body, signed(analyzer, keys["linter"], body), PATH)
    _check_refusal(analyzer, answer, 400, "ValidationException")
    assert json.loads(answer.body)["reason"] == reason


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=400) | st.text(max_size=200).map(lambda text: json.dumps({"policyDocument": text}).encode())
)
def test_garbage_is_never_our_fault(analyzer: BrokerServer, keys: Mapping[str, Keys], body: bytes) -> None:
    answer = wire.post(analyzer, body, signed(analyzer, keys["linter"], body), PATH)
    assert answer.status == 400, answer


@given(document=st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
@settings(max_examples=60, deadline=None)
def test_every_text_has_findings(client: Any, document: str) -> None:
    """What is no policy is told by a finding."""
    answer = client.validate_policy(policyDocument=document, policyType="IDENTITY_POLICY")
    assert codes(answer) == ["MALFORMED_POLICY"]


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "DELETE"])
def test_other_methods_are_not_the_call(analyzer: BrokerServer, method: str) -> None:
    assert wire.ask(analyzer, method, PATH).status in (404, 405)


@pytest.mark.parametrize(
    "path", ["/policy", f"{PATH}/", "/policy/validation/x", "/policy/check-no-new-access", "/x" + PATH]
)
def test_other_paths_are_not_the_call(analyzer: BrokerServer, keys: Mapping[str, Keys], path: str) -> None:
    headers = signed(analyzer, keys["linter"], REQUEST)
    assert wire.post(analyzer, REQUEST, headers, path).status in (404, 405)


@pytest.mark.parametrize("version", ["2019-11-01", "2011-06-15", "2010-05-08"])
def test_the_query_protocol_does_not_know_the_call(analyzer: BrokerServer, version: str) -> None:
    answer = wire.post(analyzer, f"Action=ValidatePolicy&Version={version}".encode())
    assert (answer.status, answer.code) == (400, "InvalidAction")
