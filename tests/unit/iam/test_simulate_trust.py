"""SimulateTrustPolicy: can this identity assume that role, and why not?"""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace
from typing import Any

import pytest
from simulated_account import (
    ACCOUNT,
    BOUND,
    ISSUER,
    NOW,
    OTHER,
    PROVIDER,
    WEB,
    allow,
    arn,
    caller,
    entry,
    policy,
    trust,
)

from broker.domain.secret import Secret
from broker.domain.session import Tag
from broker.errors import AccessDenied, BrokerError, MalformedPolicy, NotFound, ValidationFailed
from broker.iam.simulate_trust import TrustSimulation, simulate_trust_policy
from broker.policy.document import PolicyKind, parse_policy
from broker.services import Caller, Services
from providers.errors import MalformedEvidence, ProviderError

APP, CI = arn("role", "team/app"), arn("role", "ci")
MAIN = "repo:example/app:ref:refs/heads/main"
HOST = ISSUER.removeprefix("https://")
WEB_ACTION = "sts:AssumeRoleWithWebIdentity"


def attribute(key: str, *values: str) -> Any:
    return SimpleNamespace(key=key, values=values)


def claims(subject: str = MAIN, **more: object) -> dict[str, Any]:
    """For a made-up identity of GitHub."""
    found = [attribute("sub", subject), *(attribute(key, str(value)) for key, value in more.items())]
    return {"provider_arn": PROVIDER, "attributes": found}


def token(**claims: object) -> dict[str, Any]:
    """A token that nobody signed."""
    now = int(NOW.timestamp())
    body = {"iss": ISSUER, "aud": "sts.amazonaws.com", "sub": MAIN, "iat": now, "exp": now + 600} | claims
    parts = [{"alg": "ES256", "kid": "one"}, body]
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return {"web_identity_token": Secret(".".join([*texts, "c2ln"]))}


def ask(services: Services, asking: Caller, **fields: Any) -> TrustSimulation:
    if "trust_policy_document" not in fields:
        fields.setdefault("role_arn", CI)
    return simulate_trust_policy(services, asking, **fields)


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"trust_policy_document": policy(*statements)}


def decisions(answer: TrustSimulation) -> dict[str, str]:
    return {result.eval_action_name: result.eval_decision for result in answer.evaluation_results}


def sentence(answer: TrustSimulation) -> str:
    found = answer.evaluation_results[0].nearest_miss
    return f"{found.kind}: {found.sentence}" if found else ""


# --- external identities --------------------------------------------------------------------------------------------


def test_an_identity_that_the_role_trusts(services: Services, asking: Caller) -> None:
    answer = ask(services, asking, **claims())
    (result,) = answer.evaluation_results
    assert (answer.eval_decision, answer.principal_arn, answer.role_arn) == ("allowed", PROVIDER, CI)
    assert (result.eval_action_name, result.eval_decision, result.nearest_miss) == (WEB_ACTION, "allowed", None)
    (found,) = result.matched_statements
    assert (found.source_policy_id, found.source_policy_type) == ("TrustPolicyDocument", "resource")
    assert (found.start_position.line, found.start_position.column) == (1, 41)
    assert answer.evidence_verified is False
    assert answer.identity_policies_evaluated is None


@pytest.mark.parametrize(
    ("subject", "miss"),
    [
        ("repo:Example/app:ref:refs/heads/main", "condition-case: subject"),
        ("repo:example/app:ref:refs/heads/next", "condition-value: subject"),
    ],
)
def test_the_nearest_miss_says_why_not(services: Services, asking: Caller, subject: str, miss: str) -> None:
    answer = ask(services, asking, **claims(subject))
    assert answer.eval_decision == "implicitDeny"
    assert answer.evaluation_results[0].matched_statements == ()
    assert answer.evaluation_results[0].reason == f"because no resource-based policy allows the {WEB_ACTION} action"
    assert sentence(answer).startswith(miss)
    assert subject in sentence(answer)


def test_what_the_identity_lacks(services: Services, asking: Caller) -> None:
    answer = ask(services, asking, provider_arn=PROVIDER, attributes=[])
    assert answer.eval_decision == "implicitDeny"
    assert answer.evaluation_results[0].missing_context_values == (f"{HOST}:sub",)
    assert sentence(answer).startswith("key-missing: ")


def test_entries_replace_what_follows_from_the_identity(services: Services, asking: Caller) -> None:
    entries = [entry(f"{HOST.upper()}:SUB", "string", MAIN)]
    assert ask(services, asking, **claims("other"), context_entries=entries).eval_decision == "allowed"


def test_a_pasted_token_is_read_and_not_believed(services: Services, asking: Caller) -> None:
    answer = ask(services, asking, **token())
    assert answer.eval_decision == "allowed"
    assert answer.evidence_verified is False
    assert answer.evidence_problem == "The token's signature could not be verified"
    assert ask(services, asking, **token(sub="other")).eval_decision == "implicitDeny"


def test_nothing_is_fetched_for_an_issuer_that_is_not_registered(services: Services, asking: Caller) -> None:
    issuer = "https://nowhere.example"
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/nowhere.example"
    answer = ask(services, asking, **token(iss=issuer), **document(trust({"Federated": provider}, WEB_ACTION)))
    assert (answer.eval_decision, answer.principal_arn) == ("allowed", provider)
    assert (answer.evidence_verified, answer.evidence_problem) == (
        False,
        "No provider of this account is registered for the token's issuer",
    )


@pytest.mark.parametrize(
    ("given", "needed"),
    [
        (token(**{"https://aws.amazon.com/tags": {"principal_tags": {"Team": ["blue"]}}}), "sts:TagSession"),
        (token(**{"https://aws.amazon.com/tags/principal_tags/Team": "blue"}), "sts:TagSession"),
        (token(**{"https://aws.amazon.com/source_identity": "alice"}), "sts:SetSourceIdentity"),
        ({**claims(), "tags": [Tag("Team", "blue")]}, "sts:TagSession"),
        ({**claims(), "source_identity": "alice"}, "sts:SetSourceIdentity"),
    ],
)
def test_the_further_permissions_that_a_session_needs(
    services: Services, asking: Caller, given: dict[str, Any], needed: str
) -> None:
    answer = ask(services, asking, **given)
    assert decisions(answer) == {WEB_ACTION: "allowed", needed: "implicitDeny"}
    assert answer.eval_decision == "implicitDeny"
    miss = answer.evaluation_results[1].nearest_miss
    assert miss is not None
    assert miss.sentence.startswith(f"no `{needed}`")
    keys = {"aws:RequestTag/Team": "blue"} if needed == "sts:TagSession" else {"sts:SourceIdentity": "alice"}
    trusting = document(trust({"Federated": PROVIDER}, "sts:*", StringEquals=keys))
    assert decisions(ask(services, asking, **given, **trusting)) == {WEB_ACTION: "allowed", needed: "allowed"}


def test_google_names_its_audience_differently(services: Services, asking: Caller) -> None:
    condition = {"accounts.google.com:aud": "party", "accounts.google.com:oaud": "audience"}
    trusting = document(trust({"Federated": "accounts.google.com"}, WEB_ACTION, StringEquals=condition))
    google = {"iss": "https://accounts.google.com", "azp": "party"}
    assert ask(services, asking, **token(**google, aud="audience"), **trusting).eval_decision == "allowed"
    assert ask(services, asking, **token(**google, aud="other"), **trusting).eval_decision == "implicitDeny"


def test_a_provider_counts_in_its_own_account_alone(services: Services, asking: Caller) -> None:
    answer = ask(services, asking, **claims(), account_id=OTHER, **document(WEB))
    assert answer.eval_decision == "implicitDeny"
    assert sentence(answer).startswith("provider-account: ")


# --- principals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("principal", "statement", "decision"),
    [
        (arn("user", "bob"), trust({"AWS": ACCOUNT}), "implicitDeny"),  # nothing of its own allows it
        (arn("user", "bob"), trust({"AWS": arn("user", "bob")}), "allowed"),
        (arn("user", "bob"), trust({"AWS": arn("user", "alice")}), "implicitDeny"),
        (arn("user", "alice"), trust({"AWS": arn("user", "alice")}), "allowed"),
        (APP, trust({"AWS": APP}), "allowed"),
        (APP, trust({"AWS": arn("role", "app")}), "implicitDeny"),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/app/me", trust({"AWS": APP}), "allowed"),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/app/me", trust({"AWS": CI}), "implicitDeny"),
        (APP, trust({"AWS": ACCOUNT}, Bool={"aws:SecureTransport": "true"}), "implicitDeny"),
        (arn("user", "bob"), {**trust({"AWS": "*"}), "Effect": "Deny"}, "explicitDeny"),
        (arn("user", "x", OTHER), trust({"AWS": OTHER}), "allowed"),
        (arn("user", "x", OTHER), trust({"AWS": ACCOUNT}), "implicitDeny"),
        (arn("role", "x", OTHER), trust({"AWS": arn("role", "x", OTHER)}), "allowed"),
        (arn("role", "x", OTHER), trust({"AWS": arn("role", "y", OTHER)}), "implicitDeny"),
    ],
)
def test_principals(
    services: Services, asking: Caller, principal: str, statement: dict[str, Any], decision: str
) -> None:
    answer = ask(services, asking, principal_arn=principal, **document(statement))
    assert decisions(answer) == {"sts:AssumeRole": decision}
    assert answer.evidence_verified is None
    assert answer.identity_policies_evaluated is (ACCOUNT in principal.split(":"))


def test_a_principals_own_policies_take_part(services: Services, asking: Caller) -> None:
    given = {"principal_arn": APP, **document(trust({"AWS": ACCOUNT}))}
    assert ask(services, asking, **given).eval_decision == "implicitDeny"
    entries = [entry("aws:SecureTransport", "boolean", "true")]
    assert ask(services, asking, **given, context_entries=entries).eval_decision == "allowed"


@pytest.mark.parametrize(
    ("principal", "statement"),
    [
        (arn("user", "bob"), 0),
        (arn("user", "zoe", OTHER), 0),
        (arn("role", "theirs", OTHER), 1),
        (f"arn:aws:sts::{OTHER}:assumed-role/theirs/me", None),  # whose role that is would be another account's secret
        (arn("user", "alice"), None),
        (arn("user", "zoe2", OTHER), None),
        (f"arn:aws:sts::{OTHER}:assumed-role/Theirs/me", None),
    ],
)
def test_a_stored_policy_knows_unique_ids_and_is_shown_with_arns(
    services: Services, asking: Caller, principal: str, statement: int | None
) -> None:
    view = services.catalog.role(arn("role", "bound"))
    assert view is not None
    assert "AIDA" in view.role.trust_policy
    (result,) = ask(services, asking, role_arn=arn("role", "bound"), principal_arn=principal).evaluation_results
    assert result.eval_decision == ("implicitDeny" if statement is None else "allowed")
    shown = parse_policy(BOUND, PolicyKind.TRUST).statements
    ends = [(found.start_position.column, found.end_position.column) for found in result.matched_statements]
    wanted = [] if statement is None else [shown[statement]]
    assert ends == [(one.start + 1, one.end) for one in wanted]


@pytest.mark.parametrize(
    ("given", "key", "value"),
    [
        ({"external_id": "ticket-1"}, "sts:ExternalId", "ticket-1"),
        ({"role_session_name": "me"}, "sts:RoleSessionName", "me"),
        ({}, "aws:CurrentTime", "2026-01-02T03:04:05Z"),
        ({}, "aws:ResourceAccount", ACCOUNT),
        ({}, "aws:username", "bob"),
    ],
)
def test_the_requests_keys(services: Services, asking: Caller, given: dict[str, str], key: str, value: str) -> None:
    bob = {"principal_arn": arn("user", "bob"), **given}
    operator = "DateEquals" if key == "aws:CurrentTime" else "StringEquals"
    trusting = document(trust({"AWS": arn("user", "bob")}, **{operator: {key: value}}))
    assert ask(services, asking, **bob, **trusting).eval_decision == "allowed"
    if given:
        del bob[next(iter(given))]
        answer = ask(services, asking, **bob, **trusting)
        assert (answer.eval_decision, answer.evaluation_results[0].missing_context_values) == ("implicitDeny", (key,))


# --- refusals -------------------------------------------------------------------------------------------------------


BOB = {"principal_arn": arn("user", "bob")}
TRUSTING = document(trust({"AWS": ACCOUNT}))


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({}, ValidationFailed, "Exactly one of RoleArn"),
        ({"role_arn": CI, **TRUSTING, **BOB}, ValidationFailed, "Exactly one of RoleArn"),
        ({"role_arn": CI, "account_id": ACCOUNT, **BOB}, ValidationFailed, "AccountId"),
        ({**TRUSTING, "account_id": "12345678901x", **BOB}, ValidationFailed, "AccountId"),
        ({"role_arn": CI}, ValidationFailed, "Exactly one of WebIdentityToken"),
        ({"role_arn": CI, **BOB, **claims()}, ValidationFailed, "Exactly one of WebIdentityToken"),
        ({"role_arn": CI, **BOB, **token()}, ValidationFailed, "Exactly one of WebIdentityToken"),
        ({"role_arn": CI, "attributes": [attribute("sub", "x")]}, ValidationFailed, "ProviderArn and Attributes"),
        ({"role_arn": CI, "provider_arn": PROVIDER, **BOB}, ValidationFailed, "ProviderArn and Attributes"),
        (
            {"role_arn": CI, **claims(), "provider_arn": arn("login-provider", "x")},
            ValidationFailed,
            "ProviderArn must be",
        ),
        ({"role_arn": CI, **claims(), "provider_arn": CI}, ValidationFailed, "ProviderArn must be"),
        ({"role_arn": CI, **claims(SUB="twice")}, ValidationFailed, "more than once"),
        ({"role_arn": CI, "provider_arn": PROVIDER, "attributes": [attribute("a")] * 2}, ValidationFailed, "once"),
        ({"role_arn": CI, **claims("x" * 4_097)}, ValidationFailed, "characters"),
        ({"role_arn": CI, **claims(), "tags": [Tag("a", "1"), Tag("A", "2")]}, ValidationFailed, "Duplicate tag"),
        ({"role_arn": CI, **claims(), "context_entries": [entry("a:key", "ip", "x")]}, ValidationFailed, "ip"),
        ({"role_arn": CI, "principal_arn": f"arn:aws:iam::{ACCOUNT}:root"}, ValidationFailed, "PrincipalArn"),
        ({"role_arn": CI, "principal_arn": PROVIDER}, ValidationFailed, "PrincipalArn"),
        ({"role_arn": CI, "principal_arn": arn("user", "nobody")}, NotFound, "cannot be found"),
        ({"role_arn": CI, "principal_arn": arn("role", "app")}, NotFound, "cannot be found"),
        (
            {"role_arn": CI, "principal_arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/App/me"},
            NotFound,
            "cannot be found",
        ),
        ({"role_arn": "x" * 20, **BOB}, ValidationFailed, "is invalid"),
        ({"role_arn": arn("role", "nobody"), **BOB}, NotFound, "cannot be found"),
        ({"role_arn": arn("role", "theirs", OTHER), **BOB}, NotFound, "cannot be found"),
        ({"trust_policy_document": policy(allow("*")), **BOB}, MalformedPolicy, "TrustPolicyDocument: "),
        ({"trust_policy_document": "{", **BOB}, MalformedPolicy, "line 1, column 2"),
        ({"role_arn": CI, "web_identity_token": Secret("a.b.c")}, MalformedEvidence, "not a valid JWT"),
        ({"role_arn": CI, "web_identity_token": Secret("x" * 20_000)}, MalformedEvidence, "not a valid JWT"),
        ({"role_arn": CI, **token(iss=7)}, MalformedEvidence, "not a valid JWT"),
        ({"role_arn": CI, **token(SUB="twice")}, ValidationFailed, "differ in case alone"),
        ({"role_arn": CI, **token(many=["x"] * 2_001)}, MalformedEvidence, "too many claims"),
    ],
)
def test_what_is_refused(
    services: Services, asking: Caller, fields: dict[str, Any], error: type[BrokerError | ProviderError], message: str
) -> None:
    with pytest.raises(error, match=message):
        simulate_trust_policy(services, asking, **fields)


def test_permission_is_needed(services: Services) -> None:
    with pytest.raises(AccessDenied, match=f"iam:SimulateTrustPolicy on resource: {CI}"):
        ask(services, caller(services, "bob"), **claims())
    with pytest.raises(AccessDenied, match="iam:SimulateTrustPolicy on resource: \\*"):
        ask(services, caller(services, "bob"), **claims(), **document(WEB))
    with pytest.raises(AccessDenied):
        ask(services, caller(services, "bob"), role_arn=arn("role", "nobody"), **claims())


def test_a_principals_policies_are_for_those_who_may_simulate_them(services: Services) -> None:
    trust_alone = caller(services, "asks-trust-alone")
    assert ask(services, trust_alone, **claims()).eval_decision == "allowed"
    with pytest.raises(AccessDenied, match="iam:SimulatePrincipalPolicy"):
        ask(services, trust_alone, principal_arn=APP)
    with pytest.raises(AccessDenied, match="iam:SimulatePrincipalPolicy"):
        ask(services, trust_alone, principal_arn=arn("user", "nobody"))
    assert ask(services, trust_alone, principal_arn=arn("user", "x", OTHER)).eval_decision == "implicitDeny"
