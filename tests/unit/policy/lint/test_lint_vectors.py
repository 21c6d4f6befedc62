"""The JSON vectors of tests/vectors/lint: each policy with exactly the findings that it deserves."""

import json
from pathlib import Path
from typing import Any

import pytest

from broker.policy.document import PolicyKind
from broker.policy.lint import RULES, lint
from broker.policy.lint.findings import Finding, Index

VECTORS = Path(__file__).parents[3] / "vectors" / "lint"
CASES = [(path.stem, case) for path in sorted(VECTORS.glob("*.json")) for case in json.loads(path.read_text())["cases"]]


def _lint(case: dict[str, Any]) -> tuple[Finding, ...]:
    policy = case["policy"]
    text = policy if isinstance(policy, str) else json.dumps(policy)
    return lint(text, PolicyKind(case["kind"]), case.get("account"))


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{file}/{case['name']}") for file, case in CASES])
def test_findings(case: dict[str, Any]) -> None:
    found = _lint(case)
    assert sorted({finding.code for finding in found}) == case["codes"]
    first = found[0] if found else None
    if "path" in case:
        assert first
        assert [getattr(e, "index", None) if isinstance(e, Index) else e.value for e in first.locations[0].path] == (
            case["path"]
        )
    if "says" in case:
        assert first
        assert case["says"] in first.details
    if "span" in case:
        assert first
        start = first.locations[0].span.start
        assert [start.line, start.column, start.offset] == case["span"]


def test_every_rule_has_a_vector_that_breaks_it() -> None:
    assert {rule.code for rule in RULES} | {"MALFORMED_POLICY"} == {code for _, case in CASES for code in case["codes"]}


def test_names_of_cases_are_unique() -> None:
    names = [f"{file}/{case['name']}" for file, case in CASES]
    assert len(names) == len(set(names))
