"""The JSON vectors of tests/vectors/explain: denials as people meet them, with their nearest miss word for word."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_policy_vectors import ACCOUNT, PRINCIPALS, policy_set

from broker.domain.principal import Principal, PrincipalKind
from broker.policy.evaluate import AccessRequest, evaluate
from broker.policy.explain import explain

VECTORS = Path(__file__).parents[2] / "vectors" / "explain"
CASES = [(path.stem, case) for path in sorted(VECTORS.glob("*.json")) for case in json.loads(path.read_text())["cases"]]

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
    assert miss.sufficient is case["sufficient"]
    assert miss.change is None or evaluate(miss.change, policies).allowed


def test_there_are_enough_denials():
    assert len([case for _, case in CASES if case["kind"]]) >= 60
    assert len({case["name"] for _, case in CASES}) == len(CASES)
