"""Why a request was allowed or denied: every statement in scope, and the nearest miss of a denial.

An explanation is made on request only and costs the evaluation nothing. It asks the evaluator for the decision and the
evaluator's closures for every element, so it cannot disagree with either.
"""

from __future__ import annotations

from dataclasses import dataclass

from broker.policy.context import Context
from broker.policy.decision import Decision
from broker.policy.evaluate import AccessRequest, PolicySet, evaluate
from broker.policy.failures import Folded
from broker.policy.miss import Miss
from broker.policy.nearest import nearest_miss
from broker.policy.trace import PolicyTrace, trace_policies
from broker.policy.trace_json import LIMIT_BYTES, render

__all__ = ["Trace", "explain"]


@dataclass(frozen=True, slots=True)
class Trace:
    """The decision with its reasons. ``policies`` is empty if the evaluation failed (``decision.error`` says how)."""

    request: AccessRequest
    context: Folded
    decision: Decision
    policies: tuple[PolicyTrace, ...]
    nearest_miss: Miss | None

    def as_json(self, limit_bytes: int = LIMIT_BYTES) -> dict[str, object]:
        """The trace for the audit record and for ``sts:DecodeAuthorizationMessage``, in the outer shape that AWS uses.

        As compact JSON in ASCII it has at most ``limit_bytes`` (2,000 or more): statements that did not decide are
        left out first, long values are cut; the deciding statement and the nearest miss are always there.
        """
        return render(self.request, self.context, self.decision, self.policies, self.nearest_miss, limit_bytes)


def explain(request: AccessRequest, policies: PolicySet) -> Trace:
    """Evaluate ``request`` again and say why. Pure, of bounded work, and it never raises."""
    decision = evaluate(request, policies)
    if decision.error is not None:
        return Trace(request, {}, decision, (), None)
    given = request.context
    context = (given if isinstance(given, Context) else Context(given)).folded
    traces = trace_policies(request, policies, context, decision.statement)
    return Trace(request, context, decision, traces, nearest_miss(request, policies, context, decision, traces))
