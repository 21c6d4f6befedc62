"""Proof before the clock starts: every engine gives the answers of the naive evaluator that the tests use."""

from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path
from types import ModuleType

from bench.policy.engines import Engine
from bench.policy.workload import Workload, documents
from broker.policy.evaluate import Decision

_NAIVE = Path(__file__).resolve().parents[2] / "tests" / "unit" / "policy" / "naive.py"
# Statements that the naive evaluator walks in all, at about 30 us each.
_WALKED = 500_000
_PEERS = 100


def check(workload: Workload, broker: Engine, peers: list[Engine]) -> str:
    """What was found equal. Raises SystemExit at the first answer that differs."""
    count = min(len(workload.requests), _WALKED // workload.size)
    expected = _naive_answers(workload, count)
    for number, answer in enumerate(expected):
        found = outcome(broker.decide(broker.requests[number]))
        if found != answer:
            raise SystemExit(f"{workload.name}: {workload.requests[number]}: {found}, naive says {answer}")
    for engine in peers:
        for number, answer in enumerate(expected[:_PEERS]):
            if engine.allows(engine.decide(engine.requests[number])) != (answer == "allow"):
                raise SystemExit(f"{workload.name}: {workload.requests[number]}: {engine.name} differs from {answer}")
    shares = Counter(expected)
    return f"{count} answers equal the naive evaluator's: " + ", ".join(f"{shares[word]} {word}" for word in _WORDS)


_WORDS = ("allow", "deny", "implicit")


def outcome(decision: Decision) -> str:
    """The decision in the naive evaluator's words, or the error."""
    if decision.error is not None:
        return decision.error
    return "deny" if decision.explicit_deny else "allow" if decision.allowed else "implicit"


def _naive_answers(workload: Workload, count: int) -> list[str]:
    naive = _load_naive()
    limits = {}
    if workload.boundary is not None and workload.session is not None:
        limits = {"boundary": documents(workload.boundary)[0], "session": documents(workload.session)}
    texts = documents(workload.identity)
    return [naive.decide(request, identity=texts, **limits) for request in workload.requests[:count]]


def _load_naive() -> ModuleType:
    spec = importlib.util.spec_from_file_location("naive", _NAIVE)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{_NAIVE} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
