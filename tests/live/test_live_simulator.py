"""The policy simulator over the wire: boto3, the aws command, and our own operation as an extension of their model."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from realm.components import program
from realm.server import ACCOUNT, REGION, BrokerServer, Keys, accredit, clean_environment, refused, request_id, serving
from realm.site import OTHER_ACCOUNT, allow, federated, identity_provider, policy, role, role_arn, user, user_arn
from realm.token_issuer import TokenIssuer

from broker.aws.sdk_extras import write_sdk_extras

SUBJECT = "job:main"
ASKING = [allow(["iam:Simulate*", "iam:GetContextKeys*"])]
READS = allow("s3:Get*", "arn:aws:s3:::${aws:username}/*", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})


@pytest.fixture(scope="module")
def server(issuer: TokenIssuer, make_broker: Callable[..., BrokerServer]) -> Iterator[BrokerServer]:
    made = make_broker(
        settings={"fetch.allow_http_loopback": True, "server.workers": 1, "server.max_body_bytes": 1_000_000}
    )
    secret_file = made.directory / "user.secret"
    secret_file.touch(mode=0o600)
    secret_file.write_text("s" * 40)
    host = issuer.issuer.partition("://")[2]
    made.add(
        "\n".join(
            (
                f'[[account]]\nid = "{OTHER_ACCOUNT}"\n',
                identity_provider(issuer.issuer),
                user("asks", may=ASKING, secret_file="user.secret"),
                user("alice", may=[READS], secret_file="user.secret"),
                role("web", federated(issuer.issuer, StringEquals={f"{host}:sub": SUBJECT})),
            )
        )
    )
    with serving(made):
        yield made


@pytest.fixture(scope="module")
def keys(server: BrokerServer) -> dict[str, Keys]:
    found = json.loads(accredit("config", "check", "--json", server.directory))["access_keys"]
    return {name: Keys(key_id, "s" * 40) for key_id, name in found.items()}


@pytest.fixture(scope="module")
def iam(server: BrokerServer, keys: dict[str, Keys]) -> Any:
    return server.client(keys["asks"], service="iam")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What makes AWS's clients know our operation (docs/simulator.md)."""
    directory = tmp_path_factory.mktemp("models")
    write_sdk_extras(directory)
    return directory


@pytest.fixture(scope="module")
def extended(server: BrokerServer, keys: dict[str, Keys], models: Path) -> Iterator[Any]:
    session = boto3.session.Session(region_name=REGION)
    session._loader.search_paths.insert(0, str(models))
    client = session.client(
        "iam",
        endpoint_url=server.url,
        aws_access_key_id=keys["asks"].access_key_id,
        aws_secret_access_key=keys["asks"].secret_access_key,
        config=Config(retries={"max_attempts": 0}, proxies={}),
    )
    yield client
    client.close()


def aws(server: BrokerServer, keys: Keys, *arguments: str, **environment: str) -> Any:
    """What the aws command answers."""
    done = subprocess.run(
        [program("aws"), "--endpoint-url", server.url, "--region", REGION, "--output", "json", "iam", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=clean_environment() | keys.environment() | environment,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_custom_policies(server: BrokerServer, iam: Any) -> None:
    document = policy(allow("s3:*", Condition={"StringEquals": {"aws:RequestedRegion": "x"}}))
    answer = iam.simulate_custom_policy(
        PolicyInputList=[document],
        ActionNames=["s3:GetObject", "sqs:SendMessage"],
        ResourceArns=["arn:aws:s3:::a/b"],
        ContextEntries=[
            {"ContextKeyName": "aws:RequestedRegion", "ContextKeyValues": ["x"], "ContextKeyType": "string"}
        ],
    )
    get, send = answer["EvaluationResults"]
    place = {
        "SourcePolicyId": "PolicyInputList.1",
        "SourcePolicyType": "none",
        "StartPosition": {"Line": 1, "Column": 41},
        "EndPosition": {"Line": 1, "Column": len(document.removesuffix("]}"))},
    }
    assert get == {
        "EvalActionName": "s3:GetObject",
        "EvalResourceName": "arn:aws:s3:::a/b",
        "EvalDecision": "allowed",
        "MatchedStatements": [place],
        "MissingContextValues": [],
        "EvalDecisionDetails": {},
        "ResourceSpecificResults": [
            {
                "EvalResourceName": "arn:aws:s3:::a/b",
                "EvalResourceDecision": "allowed",
                "MatchedStatements": [place],
                "MissingContextValues": [],
                "EvalDecisionDetails": {},
            }
        ],
    }
    assert (send["EvalDecision"], send["MatchedStatements"]) == ("implicitDeny", [])
    assert answer["IsTruncated"] is False
    assert "Marker" not in answer
    event = server.event(request_id(answer))
    assert (event["eventName"], event["eventSource"], event["readOnly"]) == (
        "SimulateCustomPolicy",
        "iam.amazonaws.com",
        True,
    )


def test_between_accounts(iam: Any) -> None:
    statement = {**allow("s3:*"), "Principal": {"AWS": user_arn("carol")}}
    (result,) = iam.simulate_custom_policy(
        PolicyInputList=[policy(allow("s3:*"))],
        PermissionsBoundaryPolicyInputList=[policy(allow("sqs:*"))],
        ActionNames=["s3:GetObject"],
        ResourceArns=["arn:aws:s3:::a"],
        ResourcePolicy=policy(statement),
        ResourceOwner=f"arn:aws:iam::{OTHER_ACCOUNT}:root",
        CallerArn=user_arn("carol"),
    )["EvaluationResults"]
    assert result["EvalDecision"] == "implicitDeny"
    assert result["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}
    assert result["EvalDecisionDetails"] == {
        "IAM Policy": "allowed",
        "Resource Policy": "allowed",
        "Permissions Boundary Policy": "implicitDeny",
    }


def test_a_users_policies(iam: Any) -> None:
    question = {
        "PolicySourceArn": user_arn("alice"),
        "ActionNames": ["s3:GetObject"],
        "ResourceArns": ["arn:aws:s3:::alice/x", "arn:aws:s3:::bob/x"],
    }
    (result,) = iam.simulate_principal_policy(**question)["EvaluationResults"]
    assert (result["EvalDecision"], result["MissingContextValues"]) == ("implicitDeny", ["aws:SourceIp"])
    address = {"ContextKeyName": "aws:SourceIp", "ContextKeyValues": ["10.1.1.1"], "ContextKeyType": "ip"}
    (result,) = iam.simulate_principal_policy(**question, ContextEntries=[address])["EvaluationResults"]
    assert [each["EvalResourceDecision"] for each in result["ResourceSpecificResults"]] == ["allowed", "implicitDeny"]
    found = iam.get_context_keys_for_principal_policy(PolicySourceArn=user_arn("alice"))
    assert found["ContextKeyNames"] == ["aws:SourceIp", "aws:username"]
    found = iam.get_context_keys_for_custom_policy(PolicyInputList=[policy(READS)])
    assert found["ContextKeyNames"] == ["aws:SourceIp", "aws:username"]


def test_pages_of_the_paginator(iam: Any) -> None:
    actions = [f"s3:Action{number}" for number in range(7)]
    pages = iam.get_paginator("simulate_custom_policy").paginate(
        PolicyInputList=[policy(allow("s3:*"))], ActionNames=actions, PaginationConfig={"PageSize": 3}
    )
    found = [[result["EvalActionName"] for result in page["EvaluationResults"]] for page in pages]
    assert found == [actions[:3], actions[3:6], actions[6:]]


def test_large_documents_come_in_more_pages(iam: Any) -> None:
    document = policy(allow("s3:*")) + " " * 130_000
    actions = [f"s3:Action{number}" for number in range(100)]
    pages = list(iam.get_paginator("simulate_custom_policy").paginate(PolicyInputList=[document], ActionNames=actions))
    assert [result["EvalActionName"] for page in pages for result in page["EvaluationResults"]] == actions
    assert len(pages) > 1


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"PolicyInputList": ["{}"]}, "MalformedPolicyDocument"),
        ({"PolicyInputList": [""]}, "ValidationError"),
        ({"PolicyInputList": ["\u0100"]}, "ValidationError"),
        ({"PolicyInputList": [" " * 131_073]}, "ValidationError"),
        ({"ActionNames": []}, "ValidationError"),
        ({"ActionNames": ["s3:*"]}, "ValidationError"),
        ({"ActionNames": ["s3:A"] * 1_001}, "ValidationError"),
        ({"MaxItems": 0}, "ValidationError"),
        ({"MaxItems": 1_001}, "ValidationError"),
        ({"Marker": "x"}, "ValidationError"),
        ({"ContextEntries": [{"ContextKeyName": "a:b"}]}, "ValidationError"),
        (
            {"ContextEntries": [{"ContextKeyName": "aws:X", "ContextKeyValues": ["x"], "ContextKeyType": "numeric"}]},
            "ValidationError",
        ),
        (
            {"ContextEntries": [{"ContextKeyName": "aws:X", "ContextKeyValues": ["x"], "ContextKeyType": "text"}]},
            "ValidationError",
        ),
        (
            {"OrderedOrganizationPolicyInputList": [{"ServiceControlPolicyInputList": ["{}"]}]},
            "InvalidParameterValue",
        ),
        ({"ResourcePolicy": policy(allow("*"))}, "ValidationError"),
    ],
)
def test_refusals(server: BrokerServer, keys: dict[str, Keys], fields: dict[str, Any], code: str) -> None:
    lenient = server.client(keys["asks"], service="iam", parameter_validation=False)
    question = {"PolicyInputList": [policy(allow("s3:*"))], "ActionNames": ["s3:GetObject"], **fields}
    with refused(code, status=400):
        lenient.simulate_custom_policy(**question)


def test_who_may_not_ask(server: BrokerServer, keys: dict[str, Keys], iam: Any) -> None:
    alice = server.client(keys["alice"], service="iam")
    with refused("AccessDenied", status=403, message="iam:SimulateCustomPolicy"):
        alice.simulate_custom_policy(PolicyInputList=[policy(allow("*"))], ActionNames=["s3:GetObject"])
    with refused("AccessDenied", status=403, message="iam:SimulatePrincipalPolicy"):
        alice.simulate_principal_policy(PolicySourceArn=user_arn("asks"), ActionNames=["s3:GetObject"])
    with refused("NoSuchEntity", status=404):
        iam.simulate_principal_policy(PolicySourceArn=user_arn("nobody"), ActionNames=["s3:GetObject"])


def test_a_token_of_a_registered_provider(server: BrokerServer, issuer: TokenIssuer, extended: Any) -> None:
    token = issuer.token(SUBJECT)
    answer = extended.simulate_trust_policy(RoleArn=role_arn("web"), WebIdentityToken=token)
    assert (answer["EvalDecision"], answer["EvidenceVerified"]) == ("allowed", True)
    assert "EvidenceProblem" not in answer
    event = server.event(request_id(answer))
    assert event["eventName"] == "SimulateTrustPolicy"
    assert token not in json.dumps(event)


def test_why_a_token_is_not_let_in(issuer: TokenIssuer, extended: Any) -> None:
    answer = extended.simulate_trust_policy(
        RoleArn=role_arn("web"), WebIdentityToken=issuer.token("job:Main", exp=1), Tags=[{"Key": "a", "Value": "b"}]
    )
    assert (answer["EvalDecision"], answer["EvidenceVerified"]) == ("implicitDeny", False)
    assert answer["EvidenceProblem"].startswith("Token expired")
    main, tagging = answer["EvaluationResults"]
    assert (main["EvalDecision"], main["NearestMiss"]["Kind"]) == ("implicitDeny", "condition-case")
    assert (main["NearestMiss"]["Sufficient"], tagging["EvalActionName"]) == (True, "sts:TagSession")


def test_a_token_of_nobody_known_makes_no_request(issuer: TokenIssuer, extended: Any) -> None:
    before = list(issuer.requests)
    answer = extended.simulate_trust_policy(
        RoleArn=role_arn("web"), WebIdentityToken=issuer.token(SUBJECT, iss=f"{issuer.issuer}/other")
    )
    assert (answer["EvalDecision"], answer["EvidenceVerified"]) == ("implicitDeny", False)
    assert issuer.requests == before


def test_trust_refusals(extended: Any) -> None:
    with refused("InvalidIdentityToken", status=400):
        extended.simulate_trust_policy(RoleArn=role_arn("web"), WebIdentityToken="no.token.this")
    with refused("ValidationError", status=400):
        extended.simulate_trust_policy(RoleArn=role_arn("web"))
    with refused("NoSuchEntity", status=404):
        extended.simulate_trust_policy(RoleArn=role_arn("nobody"), PrincipalArn=user_arn("alice"))
    with refused("ValidationError", status=400):
        extended.simulate_trust_policy(RoleArn=role_arn("web"), Attributes=[{"Key": "sub", "Values": ["x"]}])


def test_a_saml_assertion_is_refused_by_name(extended: Any) -> None:
    """Until there are SAML providers."""

    def add(params: dict[str, Any], **_: Any) -> None:
        params["body"]["SamlAssertion"] = "PHNhbWw+"

    extended.meta.events.register("before-call.iam.SimulateTrustPolicy", add, unique_id="saml")
    try:
        with refused("InvalidParameterValue", status=400, message="SamlAssertion"):
            extended.simulate_trust_policy(RoleArn=role_arn("web"))
    finally:
        extended.meta.events.unregister("before-call.iam.SimulateTrustPolicy", unique_id="saml")


def test_the_aws_command(server: BrokerServer, keys: dict[str, Keys], issuer: TokenIssuer, models: Path) -> None:
    answer = aws(
        server,
        keys["asks"],
        "simulate-custom-policy",
        "--policy-input-list",
        policy(allow("s3:*", Condition={"Bool": {"aws:SecureTransport": "true"}})),
        "--action-names",
        "s3:GetObject",
        "--context-entries",
        "ContextKeyName=aws:SecureTransport,ContextKeyValues=true,ContextKeyType=boolean",
    )
    (result,) = answer["EvaluationResults"]
    assert (result["EvalDecision"], result["EvalResourceName"]) == ("allowed", "*")
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer.host}"
    answer = aws(
        server,
        keys["asks"],
        "simulate-trust-policy",
        "--role-arn",
        role_arn("web"),
        "--provider-arn",
        provider,
        "--attributes",
        "Key=sub,Values=job:Main",
        AWS_DATA_PATH=str(models),
    )
    assert answer["EvaluationResults"][0]["NearestMiss"]["Kind"] == "condition-case"
