"""AssumeRoleWithSAML over the wire: boto3, the aws command, and pysaml2 as the identity provider."""

from __future__ import annotations

import base64
import json
import subprocess
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from realm import saml_forge, wire
from realm.components import BIN, program
from realm.saml_forge import AWS, Draft, Signer
from realm.saml_idp import ACS, SP, SamlIdp
from realm.server import ACCOUNT, REGION, BrokerServer, Keys, accredit, clean_environment, refused, request_id, serving
from realm.site import allow, role, role_arn, trust, user

from broker.aws.model import load_extensions

PROVIDER = f"arn:aws:iam::{ACCOUNT}:saml-provider/realm"
FORGED = f"arn:aws:iam::{ACCOUNT}:saml-provider/forge"
ACTIONS = ["sts:AssumeRoleWithSAML", "sts:TagSession", "sts:SetSourceIdentity"]
ROLES = ("Developer", "Second", "backend-only")


def provider(name: str, **settings: object) -> str:
    lines = ["[[identity_provider]]", 'kind = "saml"', f'name = "{name}"', f'metadata_file = "{name}.xml"']
    lines += [f'audiences = ["{SP}"]', f'acs_urls = ["{ACS}"]', 'private_key_files = ["sp.key"]']
    return "\n".join(lines + [f"{key} = {json.dumps(value)}" for key, value in settings.items()]) + "\n"


@pytest.fixture(scope="module")
def idp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SamlIdp]:
    program("xmlsec1")
    made = SamlIdp(tmp_path_factory.mktemp("idp"), [f"{role_arn(name)},{PROVIDER}" for name in ROLES])
    yield made
    made.stop()


@pytest.fixture(scope="module")
def server(idp: SamlIdp, make_broker: Callable[..., BrokerServer]) -> Iterator[BrokerServer]:
    made = make_broker(settings={"server.workers": 2})
    for name, text in (("sp.key", saml_forge.private_pem("sp")), ("asks.secret", "s" * 40)):
        file = made.directory / name
        file.touch(mode=0o600)
        file.write_text(text)
    (made.directory / "realm.xml").write_text(idp.metadata)
    (made.directory / "forge.xml").write_text(saml_forge.metadata())
    groups = {"ForAnyValue:StringEquals": {"saml:groups": "backend"}}
    trusted = {"Federated": [PROVIDER, FORGED]}
    made.add(
        "\n".join(
            (
                provider("realm"),
                provider("forge"),
                role("Developer", trust(trusted, ACTIONS), may=[allow("sts:*")]),
                role("Second", trust(trusted, ACTIONS)),
                role("backend-only", trust(trusted, ACTIONS, **groups)),
                user("asks", may=[allow("iam:Simulate*")], secret_file="asks.secret"),
            )
        )
    )
    with serving(made):
        yield made


def assume(server: BrokerServer, text: str, name: str = "Developer", arn: str = PROVIDER, **more: Any) -> Any:
    client = server.client()
    return client.assume_role_with_saml(RoleArn=role_arn(name), PrincipalArn=arn, SAMLAssertion=text, **more)


def forged(which: str = "assertion", signer: Signer | None = None, **fields: Any) -> str:
    """Of the tests' own provider, for now."""
    roles = [f"{role_arn(name)},{FORGED}" for name in ROLES]
    attributes = {f"{AWS}Role": roles, f"{AWS}RoleSessionName": ["alice"], **fields.pop("attributes", {})}
    draft = Draft(now=datetime.now(UTC), assertion_id=f"_{uuid.uuid4().hex}", attributes=attributes, **fields)
    return saml_forge.pack(saml_forge.signed(draft, which, signer))


# --- a real identity provider -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", ["both", "assertion", "response"])
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_sign_in_becomes_credentials(server: BrokerServer, idp: SamlIdp, sign: str, algorithm: str) -> None:
    answer = assume(server, idp.sign_in(sign=sign, algorithm=algorithm))
    assert (answer["Subject"], answer["Issuer"]) == ("alice@realm.test", f"{idp.url}/metadata")
    assert answer["SubjectType"] == "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
    assert answer["Audience"] == ACS
    who = server.client(Keys.of(answer)).get_caller_identity()
    assert who["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/Developer/alice@realm.test"


@pytest.mark.parametrize("name", ["persistent", "transient"])
def test_name_formats(server: BrokerServer, idp: SamlIdp, name: str) -> None:
    assert assume(server, idp.sign_in(name=name))["SubjectType"] == name


@pytest.mark.parametrize("sign", ["assertion", "response"])
def test_encrypted_assertions(server: BrokerServer, idp: SamlIdp, sign: str) -> None:
    answer = assume(server, idp.sign_in(sign=sign, encrypt="1"))
    assert answer["Subject"] == "alice@realm.test"


def test_attributes_decide_and_come_along(server: BrokerServer, idp: SamlIdp) -> None:
    assume(server, idp.sign_in(), "backend-only")
    with refused("AccessDenied", status=403, message="Not authorized to perform sts:AssumeRoleWithSAML"):
        assume(server, idp.sign_in("carol"), "backend-only")
    answer = assume(server, idp.sign_in("carol"))
    assert answer["SourceIdentity"] == "carol"
    event = server.event(request_id(answer))
    assert event["requestParameters"]["principalTags"] == {"Team": "finance"}
    assert event["userIdentity"]["type"] == "SAMLUser"


def test_sha_1_is_refused(server: BrokerServer, idp: SamlIdp) -> None:
    with refused("InvalidIdentityToken", status=400, message="Response signature invalid") as refusal:
        assume(server, idp.sign_in(algorithm="sha1"))
    assert "rsa-sha1 is not accepted" in server.event(refusal.request_id)["additionalEventData"]["reason"]


def test_the_aws_command(server: BrokerServer, idp: SamlIdp, tmp_path: Path) -> None:
    file = tmp_path / "assertion"
    file.write_text(idp.sign_in())
    command = [program("aws"), "sts", "assume-role-with-saml", "--endpoint-url", server.url, "--region", REGION]
    command += ["--role-arn", role_arn("Developer"), "--principal-arn", PROVIDER]
    command += ["--saml-assertion", f"file://{file}", "--duration-seconds", "900"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=clean_environment())
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["Subject"] == "alice@realm.test"


def test_the_check_command(server: BrokerServer, idp: SamlIdp, tmp_path: Path) -> None:
    file = tmp_path / "assertion"
    file.write_text(idp.sign_in())
    shown = accredit("saml", "check", file, "--directory", server.directory)
    assert "✗" not in shown
    assert f"✓ {role_arn('Developer')},{PROVIDER}" in shown
    assume(server, file.read_text())  # and it is still good
    done = subprocess.run(
        [BIN / "accredit", "saml", "check", file, "--directory", server.directory, "--provider", "forge"],
        capture_output=True,
        text=True,
        timeout=60,
        env=clean_environment(),
    )
    assert done.returncode == 1
    assert "✗ Issuer of the assertion" in done.stdout


# --- replay, refusals and the record ----------------------------------------------------------------------------------


def test_each_role_once_on_all_workers(server: BrokerServer, idp: SamlIdp) -> None:
    text = idp.sign_in()
    assume(server, text, "Developer")
    assume(server, text, "Second")
    for name in ("Developer", "Second"):
        for _ in range(4):  # connections of their own, to both workers
            with refused("InvalidIdentityToken", status=400, message="Response has already been redeemed"):
                assume(server, text, name)


def test_a_restart_forgets_nothing(server: BrokerServer, idp: SamlIdp) -> None:
    text = idp.sign_in()
    assume(server, text)
    server.restart()
    with refused("InvalidIdentityToken", message="already been redeemed"):
        assume(server, text)


@pytest.mark.parametrize(
    ("fields", "code", "status", "message"),
    [
        (
            {"attributes": {f"{AWS}RoleSessionName": []}},
            "InvalidIdentityToken",
            400,
            "RoleSessionName in AuthnResponse",
        ),
        ({"xml_name_id": ""}, "AccessDenied", 403, "Not authorized to perform sts:AssumeRoleWithSAML"),
        ({"issuer": "https://evil.example"}, "InvalidIdentityToken", 400, "Issuer not present in specified provider"),
        ({"audiences": [["x"]]}, "InvalidIdentityToken", 400, "Your request included an invalid SAML response"),
        ({"signer": Signer(key="evil")}, "InvalidIdentityToken", 400, "Response signature invalid"),
        ({"session_end": "2020-01-01T00:00:00Z"}, "ExpiredTokenException", 400, "Response has expired"),
        ({"assertion_issued": "2020-01-01T00:00:00Z"}, "ExpiredTokenException", 400, "redeemed within 5 minutes"),
    ],
)
def test_refusals(server: BrokerServer, fields: dict[str, Any], code: str, status: int, message: str) -> None:
    with refused(code, status=status, message=message) as refusal:
        assume(server, forged(**fields), arn=FORGED)
    event = server.event(refusal.request_id)
    assert (event["errorCode"], event["eventName"]) == (code, "AssumeRoleWithSAML")
    assert "SAMLAssertion" not in json.dumps(event)


def test_parameters(server: BrokerServer) -> None:
    with refused("InvalidIdentityToken", status=400, message="Specified provider doesn't exist."):
        assume(server, forged(), arn=f"arn:aws:iam::{ACCOUNT}:saml-provider/nobody")
    with refused("ValidationError", status=400):
        assume(server, forged(), arn=FORGED, DurationSeconds=43_200)
    with refused("MalformedPolicyDocument", status=400):
        assume(server, forged(), arn=FORGED, Policy="{")
    twice = wire.form("AssumeRoleWithSAML", RoleArn=role_arn("Developer"), PrincipalArn=FORGED, SAMLAssertion=forged())
    answer = wire.post(server, twice + b"&" + urllib.parse.urlencode({"SAMLAssertion": forged()}).encode())
    assert 400 <= answer.status < 500


def test_the_session_ends_with_the_providers(server: BrokerServer) -> None:
    end = datetime.now(UTC) + timedelta(minutes=20)
    answer = assume(server, forged(session_end=end.strftime("%Y-%m-%dT%H:%M:%SZ")), arn=FORGED)
    assert answer["Credentials"]["Expiration"] == end.replace(microsecond=0)


# --- the simulator of trust policies ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def simulator(server: BrokerServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    directory = tmp_path_factory.mktemp("models")
    file = directory / "iam" / "2010-05-08" / "service-2.sdk-extras.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"version": 1.0, "merge": load_extensions()["iam"]}))
    keys = json.loads(accredit("config", "check", "--json", server.directory))["access_keys"]
    session = boto3.session.Session(region_name=REGION)
    session._loader.search_paths.insert(0, str(directory))
    client = session.client(
        "iam",
        endpoint_url=server.url,
        aws_access_key_id=next(iter(keys)),
        aws_secret_access_key="s" * 40,
        config=Config(retries={"max_attempts": 0}, proxies={}),
    )
    yield client
    client.close()


def test_a_pasted_assertion(server: BrokerServer, idp: SamlIdp, simulator: Any) -> None:
    text = idp.sign_in()
    answer = simulator.simulate_trust_policy(RoleArn=role_arn("backend-only"), SAMLAssertion=text)
    assert (answer["EvalDecision"], answer["EvidenceVerified"]) == ("allowed", True)
    assert (answer["PrincipalArn"], "EvidenceProblem" in answer) == (PROVIDER, False)
    assume(server, text, "backend-only")  # nothing was redeemed
    event = server.event(request_id(answer))
    assert text not in json.dumps(event)


def test_a_pasted_assertion_of_somebody_else(idp: SamlIdp, simulator: Any) -> None:
    answer = simulator.simulate_trust_policy(RoleArn=role_arn("backend-only"), SAMLAssertion=idp.sign_in("carol"))
    results = {one["EvalActionName"]: one["EvalDecision"] for one in answer["EvaluationResults"]}
    assert results["sts:AssumeRoleWithSAML"] == "implicitDeny"
    assert set(results) == set(ACTIONS)
    miss = answer["EvaluationResults"][0]["NearestMiss"]["Sentence"]
    assert "saml:groups" in miss
    assert "finance" in miss


def test_an_old_assertion_is_read_and_not_believed(simulator: Any) -> None:
    old = forged(not_on_or_after="2026-01-01T00:00:00Z", not_before="2025-12-31T00:00:00Z")
    answer = simulator.simulate_trust_policy(RoleArn=role_arn("Developer"), SAMLAssertion=old)
    assert (answer["EvalDecision"], answer["EvidenceVerified"]) == ("allowed", False)
    assert answer["EvidenceProblem"] == "Response has expired (NotOnOrAfter of the conditions)"
    evil = forged(signer=Signer(key="evil"))
    answer = simulator.simulate_trust_policy(RoleArn=role_arn("Developer"), SAMLAssertion=evil, ProviderArn=FORGED)
    assert answer["EvidenceProblem"] == "Your request included an invalid SAML response (Signature)"


def test_made_up_attributes_of_saml(simulator: Any) -> None:
    attributes = [{"Key": "sub", "Values": ["bob"]}, {"Key": "groups", "Values": ["backend"]}]
    answer = simulator.simulate_trust_policy(
        RoleArn=role_arn("backend-only"), ProviderArn=PROVIDER, Attributes=attributes
    )
    assert answer["EvalDecision"] == "allowed"
    assert answer["EvaluationResults"][0]["EvalActionName"] == "sts:AssumeRoleWithSAML"


@pytest.mark.parametrize("text", ["AAAA", base64.b64encode(b"<x/>").decode(), "!!!!"])
def test_what_is_no_response_is_refused(simulator: Any, text: str) -> None:
    with refused("InvalidIdentityToken", status=400):
        simulator.simulate_trust_policy(RoleArn=role_arn("Developer"), SAMLAssertion=text)
