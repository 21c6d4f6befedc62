"""The JSON vectors of tests/vectors/policy: each case named, each citing its rule."""

from __future__ import annotations

import json
from pathlib import Path

import naive
import pytest

from broker.domain.principal import Principal, PrincipalKind
from broker.errors import MalformedPolicy
from broker.policy.compile import compile_policy
from broker.policy.document import PolicyKind, parse_policy
from broker.policy.evaluate import AccessRequest, PolicySet, PolicySource, evaluate
from broker.policy.match import matches, tokens

VECTORS = Path(__file__).parents[2] / "vectors" / "policy"
ACCOUNT, FOREIGN = "111122223333", "444455556666"
KINDS = PrincipalKind
BOB = Principal(KINDS.USER, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/team/bob", "AIDAEXAMPLEEXAMPLE01", user_name="bob")
ROOT = Principal(KINDS.ROOT, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT)
FEDERATED = Principal(KINDS.FEDERATED_USER, ACCOUNT, f"arn:aws:sts::{ACCOUNT}:federated-user/app", f"{ACCOUNT}:app")
OIDC = f"arn:aws:iam::{ACCOUNT}:oidc-provider/"
PRINCIPALS = {
    "bob": BOB,
    "carol": Principal(KINDS.USER, FOREIGN, f"arn:aws:iam::{FOREIGN}:user/carol", "AIDAEXAMPLEEXAMPLE09"),
    "root": ROOT,
    "session": Principal(
        KINDS.ROLE_SESSION,
        ACCOUNT,
        f"arn:aws:sts::{ACCOUNT}:assumed-role/R/s",
        "AROAEXAMPLEEXAMPLE01:s",
        role_arn=f"arn:aws:iam::{ACCOUNT}:role/app/R",
        role_id="AROAEXAMPLEEXAMPLE01",
    ),
    "federated": FEDERATED,
    "federated-by-root": FEDERATED,
    "anonymous": Principal(KINDS.ANONYMOUS, "", "", "anonymous"),
    "github": Principal(KINDS.WEB_IDENTITY, ACCOUNT, f"{OIDC}token.actions.githubusercontent.com", "repo:org/app"),
    "google": Principal(KINDS.WEB_IDENTITY, ACCOUNT, f"{OIDC}accounts.google.com", "1"),
    "google-look-alike": Principal(KINDS.WEB_IDENTITY, ACCOUNT, f"{OIDC}evil.example/accounts.google.com", "1"),
    "saml": Principal(KINDS.SAML_IDENTITY, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:saml-provider/Okta", "bob"),
}
FEDERATED_BY = {"federated": BOB, "federated-by-root": ROOT}
OUTCOMES = {"allow": (True, False), "deny": (False, True), "implicit": (False, False), "error": (False, False)}


def load(*names):
    """The cases of the files, each as a pytest parameter with the id ``file/case``."""
    cases = [(name, case) for name in names for case in json.loads((VECTORS / f"{name}.json").read_text())["cases"]]
    assert all(case["rule"] for _, case in cases)
    return [pytest.param(case, id=f"{name}/{case['name']}") for name, case in cases]


def document(policy):
    """A policy text: from a text as it is, from an object, or from a list of statements in version 2012-10-17."""
    if isinstance(policy, str):
        return policy
    return json.dumps(policy if isinstance(policy, dict) else {"Version": "2012-10-17", "Statement": policy})


@pytest.mark.parametrize("case", load("grammar/refused"))
def test_refused_document(case):
    text = document(case["policy"])
    with pytest.raises(MalformedPolicy) as refusal:
        parse_policy(text, PolicyKind(case["kind"]))
    assert case["error"] in refusal.value.message
    assert " at line " in refusal.value.message
    if "at" in case:
        assert refusal.value.message.endswith(" at line {}, column {}".format(*case["at"]))


@pytest.mark.parametrize("case", load("grammar/accepted"))
def test_accepted_document(case):
    text = document(case["policy"])
    assert parse_policy(text, PolicyKind(case["kind"])).statements
    compile_policy(text, PolicyKind(case["kind"]))


@pytest.mark.parametrize("case", load("matching/wildcards"))
def test_wildcards(case):
    assert matches(tokens(case["pattern"]), case["text"]) is case["matches"]


CONDITION_FILES = ("string", "numeric", "date", "bool-binary-null", "ip", "arn", "missing-and-sets")


@pytest.mark.parametrize("case", load(*(f"conditions/{name}" for name in CONDITION_FILES), "variables/conditions"))
def test_condition(case):
    """The condition under an Allow, and under a Deny beside an Allow of everything; the naive evaluator agrees."""
    statement = {"Action": "*", "Resource": "*", "Condition": case["condition"]}
    version = case.get("version", "2012-10-17")
    context = {key: tuple(values) for key, values in case["context"].items()}
    request = AccessRequest(BOB, "s3:GetObject", "arn:aws:s3:::b/k", ACCOUNT, context)

    def outcome(*statements):
        text = json.dumps({"Version": version, "Statement": statements})
        decision = evaluate(request, PolicySet(identity=(source(text, PolicyKind.IDENTITY),)))
        assert decision.error is None
        expected = OUTCOMES[naive.decide(request, identity=(text,))]
        assert (decision.allowed, decision.explicit_deny) == expected or "kelvin" in case["name"]
        return decision

    assert outcome({"Effect": "Allow", **statement}).allowed is case["holds"]
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    denied = outcome(everything, {"Effect": "Deny", **statement}).explicit_deny
    assert denied is case.get("holds_for_deny", case["holds"])


def source(text, kind, name="policy"):
    return PolicySource(name, compile_policy(text, kind))


def policy_set(case):
    policies = case["policies"]

    def one(name, kind):
        return source(document(policies[name]), kind, name) if name in policies else None

    def several(name, kind):
        return tuple(source(document(policy), kind, f"{name}-{i}") for i, policy in enumerate(policies[name]))

    trust = case["action"].startswith("sts:")
    return PolicySet(
        identity=several("identity", PolicyKind.IDENTITY) if "identity" in policies else (),
        resource=one("trust", PolicyKind.TRUST) or one("resource_policy", PolicyKind.RESOURCE),
        resource_is_trust=trust,
        boundary=one("boundary", PolicyKind.BOUNDARY),
        session=several("session", PolicyKind.SESSION) if "session" in policies else None,
        federated_by=FEDERATED_BY.get(case["principal"]),
    )


@pytest.mark.parametrize("case", load(*(f"evaluation/{name}" for name in ("identity", "limits", "resource", "trust"))))
def test_evaluation(case):
    principal = PRINCIPALS[case["principal"]]
    context = {key: tuple(values) for key, values in case.get("context", {}).items()}
    if principal.role_arn:
        context["aws:PrincipalArn"] = (principal.role_arn,)
    request = AccessRequest(principal, case["action"], case["resource"], case["account"], context)
    decision = evaluate(request, policy_set(case))
    assert (decision.error is not None) is (case["expect"] == "error"), decision.error
    assert (decision.allowed, decision.explicit_deny) == OUTCOMES[case["expect"]], decision.sentence()
    if "by" in case:
        assert decision.policy_type is not None
        assert decision.policy_type.name == case["by"]
    if decision.explicit_deny:
        assert decision.statement is not None
        assert decision.source is not None
