"""The JSON vectors of tests/vectors/explain: denials as people meet them, with their nearest miss word for word."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from test_policy_vectors import ACCOUNT, PRINCIPALS, policy_set

from broker.domain.principal import Principal, PrincipalKind
from broker.policy.evaluate import AccessRequest, evaluate
from broker.policy.explain import explain
from broker.policy.miss import MissKind

VECTORS = Path(__file__).parents[2] / "vectors" / "explain"
CASES = [(path.stem, case) for path in sorted(VECTORS.glob("*.json")) for case in json.loads(path.read_text())["cases"]]

BEYOND_THE_POLICY = (MissKind.EXPLICIT_DENY, MissKind.PROVIDER_ACCOUNT, MissKind.UNSIGNED)
POD = Principal(
    PrincipalKind.WEB_IDENTITY,
    ACCOUNT,
    f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE0123",
    "system:serviceaccount:default:builder",
)


def access(case):
    """The request and the policies of a case."""
    context = {key: tuple(values) for key, values in case["context"].items()}
    request = AccessRequest(
        {**PRINCIPALS, "kubernetes": POD}[case["principal"]], case["action"], case["resource"], case["account"], context
    )
    return request, policy_set(case)


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{name}/{case['name']}") for name, case in CASES])
def test_nearest_miss(case):
    request, policies = access(case)
    trace = explain(request, policies)
    assert trace.decision == evaluate(request, policies)
    miss = trace.nearest_miss
    if case["kind"] is None:
        assert miss is None
        return
    assert not trace.decision.allowed
    assert (miss.kind.value, miss.sentence()) == (case["kind"], case["sentence"])
    assert case["at"] == (miss.statement and [miss.source, miss.statement.statement.index])
    assert miss.sufficient is case["sufficient"]
    assert miss.change is None or evaluate(miss.change, policies).allowed


def mended(case, miss):
    """The case with its policy changed by hand: every element that the miss names now lets the request through."""
    name, _, number = miss.source.partition("-")
    changed = copy.deepcopy(case)
    policy = changed["policies"][name]
    statement = (policy[int(number)] if number else policy)[miss.statement.statement.index]
    request, _ = access(case)
    for failure in miss.failures:
        if failure.element in ("action", "resource"):
            statement.pop(f"Not{failure.element.capitalize()}", None)
            statement[failure.element.capitalize()] = getattr(request, failure.element)
        elif failure.element == "principal":
            external = request.principal.kind in (PrincipalKind.WEB_IDENTITY, PrincipalKind.SAML_IDENTITY)
            statement["Principal"] = {"Federated" if external else "AWS": request.principal.arn}
        else:
            operators = statement["Condition"]
            statement["Condition"] = {
                name: rest
                for name, keys in operators.items()
                if (rest := {key: values for key, values in keys.items() if key != failure.element})
            }
    if miss.more:
        del statement["Condition"]
    return changed


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=f"{name}/{case['name']}")
        for name, case in CASES
        if case["at"] and case["kind"] not in BEYOND_THE_POLICY
    ],
)
def test_mending_what_the_miss_names_is_enough_or_not_as_it_says(case):
    request, policies = access(case)
    miss = explain(request, policies).nearest_miss
    after = evaluate(request, policy_set(mended(case, miss)))
    assert after.allowed is miss.sufficient
    if miss.then is not None:
        assert (after.policy_type, after.explicit_deny) == (miss.then.policy_type, miss.then.explicit_deny)


def test_there_are_enough_denials():
    assert len([case for _, case in CASES if case["kind"]]) >= 60
    assert len({case["name"] for _, case in CASES}) == len(CASES)
