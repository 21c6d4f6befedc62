"""``accredit saml check``: what is said of good, bad and hostile responses."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import pytest
from click.testing import CliRunner, Result
from realm import saml_forge as forge
from realm.saml_forge import ACCOUNT, AWS, PROVIDER, Draft, Signer

from broker.cli import main
from broker.configure import apply_configuration, check_configuration
from broker.credentials.keyring import add_key
from broker.settings import load_settings
from broker.store.engine import Database
from broker.store.schema import migrate

MASTER = b"m" * 32
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Federated": PROVIDER},
            "Action": "sts:AssumeRoleWithSAML",
            "Condition": {"StringEquals": {"saml:groups": "admins"}},
        },
    }
)
OPEN = TRUST.replace(', "Condition": {"StringEquals": {"saml:groups": "admins"}}', "")
CONFIGURATION = f"""
[[account]]
id = "{ACCOUNT}"
[[identity_provider]]
kind = "saml"
name = "realm"
metadata_file = "idp.xml"
audiences = ["{forge.AUDIENCE}"]
acs_urls = ["{forge.ACS}"]
[[role]]
name = "Developer"
trust_policy = '{OPEN}'
[[role]]
name = "Admin"
trust_policy = '{TRUST}'
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("data")
    (made / "idp.xml").write_text(forge.metadata())
    (made / "accredit.toml").write_text(CONFIGURATION)
    key = made / "master.key"
    key.touch(mode=0o600)
    key.write_text(base64.b64encode(MASTER).decode())
    database = Database("sqlite:///accredit.db", made)
    migrate(database)
    apply_configuration(database, check_configuration(load_settings(made, {}), MASTER, {}), MASTER)
    with database.change() as connection:
        add_key(connection, MASTER, now=forge.NOW, activation_seconds=0)
    database.close()
    return made


@pytest.fixture
def check(directory: Path) -> Callable[..., Result]:
    def run(text: str, *options: str) -> Result:
        arguments = ["saml", "check", "-", "--directory", str(directory), "--at", forge.instant(), *options]
        return CliRunner().invoke(main, arguments, input=text)

    return run


def fingerprint(name: str) -> str:
    from providers.saml.xmlsig import fingerprint as digest

    return digest(base64.b64decode(forge.certificate_text(name)))


@pytest.mark.parametrize(
    "text",
    [
        forge.pack(forge.signed()),
        forge.signed(),
        urlencode({"RelayState": "x", "SAMLResponse": forge.pack(forge.signed())}),
    ],
    ids=["field", "xml", "form"],
)
def test_a_good_response(check: Callable[..., Result], text: str) -> None:
    done = check(text)
    assert done.exit_code == 0, done.output
    assert "✗" not in done.output
    assert f"✓ Signature: {fingerprint('idp')}" in done.output
    assert f"subject      {forge.SUBJECT} ({forge.EMAIL})" in done.output
    assert f"✓ {forge.ROLE},{PROVIDER}" in done.output
    assert "groups = engineering, backend" in done.output


def test_a_key_that_rolled_over(check: Callable[..., Result]) -> None:
    """Both fingerprints are there, and everything else is checked all the same."""
    done = check(forge.signed(signer=Signer(key="new")))
    assert done.exit_code == 1
    (line,) = [line for line in done.output.splitlines() if "✗ Signature" in line]
    assert f"expected by certificate {fingerprint('idp')}" in line
    assert f"signed by certificate {fingerprint('new')}" in line
    assert f"✓ Audience: {forge.AUDIENCE}" in done.output


@pytest.mark.parametrize(
    ("draft", "line"),
    [
        (
            Draft(audiences=[["https://other.example"]]),
            f"✗ Audience: expected {forge.AUDIENCE}; it is https://other.example",
        ),
        (Draft(recipient="https://other.example"), f"✗ Recipient: expected {forge.ACS}; it is https://other.example"),
        (Draft(not_on_or_after=forge.instant(-61)), "✗ NotOnOrAfter of the conditions: expected after"),
        (Draft(issuer="https://other.example"), f"✗ Issuer of the assertion: expected {forge.ENTITY_ID}"),
        (Draft(attributes={f"{AWS}RoleSessionName": ["alice"]}), "✗ none: the attribute"),
        (Draft(attributes={f"{AWS}Role": [f"{forge.ROLE},{PROVIDER}"]}), "✗ RoleSessionName is required"),
        (Draft(xml_name_id=""), "✗ NameID: expected a NameID; it is none"),
    ],
)
def test_what_is_wrong(check: Callable[..., Result], draft: Draft, line: str) -> None:
    done = check(forge.signed(draft), "--provider", "realm")
    assert done.exit_code == 1
    assert line in done.output


def test_why_a_role_is_not_mapped(check: Callable[..., Result]) -> None:
    values = (
        f"arn:aws:iam::{ACCOUNT}:role/Admin,{PROVIDER}",
        f"arn:aws:iam::{ACCOUNT}:role/Nobody,{PROVIDER}",
        f"{forge.ROLE},{PROVIDER}x",
        "nonsense",
    )
    found = json.loads(
        check(
            forge.signed(
                Draft(attributes={f"{AWS}Role": values, f"{AWS}RoleSessionName": ["alice"], "groups": ["dev"]})
            ),
            "--json",
        ).output
    )
    assert [one["allowed"] for one in found["roles"]] == [False] * 4
    reasons = [one["reason"] for one in found["roles"]]
    assert "`saml:groups` is `dev`, the policy wants `admins`" in reasons[0]
    assert reasons[1:] == [
        "the role does not exist",
        f"the pair is for another provider; this one is {PROVIDER}",
        "no pair of a role's and a provider's ARN",
    ]
    assert all(one["passed"] for one in found["checks"])


def test_a_hostile_response_cannot_speak_to_the_terminal(check: Callable[..., Result]) -> None:
    evil = "\u009b31mred\u202e"
    done = check(forge.signed(Draft(attributes={"x": [evil]})))
    assert "\u009b" not in done.output
    assert "\u202e" not in done.output
    assert "\\u009b31mred\\u202e" in done.output


@pytest.mark.parametrize("text", ["", "!", "<x/>", "<!DOCTYPE x []><x/>", "SAMLResponse=", "A" * 1_000_001])
def test_what_is_no_response(check: Callable[..., Result], text: str) -> None:
    done = check(text)
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert "Traceback" not in done.output


def test_an_unknown_issuer(check: Callable[..., Result]) -> None:
    done = check(forge.signed(Draft(issuer="https://nobody.example")))
    assert done.exit_code == 1
    assert "No SAML providers of this account have the response's issuer https://nobody.example" in done.output
