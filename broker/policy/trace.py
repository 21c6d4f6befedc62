"""What every statement in scope says to a request, element by element, by the very closures that the evaluator uses.

Nothing here decides. An element that the evaluator never reached is judged all the same, so the trace has a meter of
its own: comparisons that would cost more than a decision may are not made, and it says so (``held`` is None).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from broker.policy.compile import CompiledStatement
from broker.policy.conditions import Check, Condition, TooCostlyError
from broker.policy.context import Metered
from broker.policy.decision import PolicyType
from broker.policy.document import Effect, PolicyDocument, Statement
from broker.policy.evaluate import AccessRequest, PolicySet, PolicySource
from broker.policy.principals import Grant
from broker.policy.reader import place
from broker.policy.variables import Values


@dataclass(frozen=True, slots=True)
class ConditionTrace:
    """One condition: ``actual`` is None if the key is missing, ``held`` None if the comparison would cost too much."""

    condition: Condition
    actual: tuple[str, ...] | None
    held: bool | None
    check: Check = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class StatementTrace:
    """One statement: which of its elements match. ``principal`` is None where statements name no principal."""

    statement: Statement
    document: PolicyDocument = field(repr=False)
    principal: bool | None
    action: bool
    resource: bool
    conditions: tuple[ConditionTrace, ...]

    @property
    def applies(self) -> bool:
        """Whether every element is known to match."""
        return self.failing == 0

    @property
    def failing(self) -> int:
        """The number of elements that do not match, or are not known to."""
        elements = (self.principal is False) + (not self.action) + (not self.resource)
        return elements + sum(not condition.held for condition in self.conditions)

    @property
    def place(self) -> tuple[int, int]:
        """Line and column of the statement in its document, counted from 1."""
        return place(self.document.text, self.statement.start)


@dataclass(frozen=True, slots=True)
class PolicyTrace:
    """One policy: its type, the name that decisions use, and its statements in the document's order."""

    type: PolicyType
    source: str
    statements: tuple[StatementTrace, ...]


def sources(policies: PolicySet) -> Iterator[tuple[PolicyType, PolicySource]]:
    """Every policy in scope, in the order in which the evaluator asks for denies."""
    if policies.resource is not None:
        yield PolicyType.RESOURCE, policies.resource
    yield from ((PolicyType.IDENTITY, source) for source in policies.identity)
    if policies.boundary is not None:
        yield PolicyType.BOUNDARY, policies.boundary
    yield from ((PolicyType.SESSION, source) for source in policies.session or ())


def trace_policies(
    request: AccessRequest, policies: PolicySet, context: Values, deciding: Statement | None
) -> tuple[PolicyTrace, ...]:
    """Every statement's outcome. The conditions of ``deciding`` held, says the evaluator: they are not asked again."""
    judge = _Judge(request, policies, context, deciding)
    found = [(kind, source, source.policy.statements) for kind, source in sources(policies)]
    rows = [(source.policy.document, compiled) for _, source, listed in found for compiled in listed]
    traced = iter(judge.statements(rows))
    return tuple(PolicyTrace(kind, source.name, tuple(next(traced) for _ in listed)) for kind, source, listed in found)


class _Judge:
    """Guards the work: statements whose other elements match have their conditions judged first."""

    __slots__ = ("action", "context", "deciding", "exhausted", "policies", "request")

    def __init__(
        self, request: AccessRequest, policies: PolicySet, context: Values, deciding: Statement | None
    ) -> None:
        self.request = request
        self.action = request.action.lower()
        self.policies = policies
        self.context = Metered(context)
        self.deciding = deciding
        self.exhausted = False

    def statements(self, rows: list[tuple[PolicyDocument, CompiledStatement]]) -> list[StatementTrace]:
        elements = [self.elements(compiled) for _, compiled in rows]
        conditions: dict[int, tuple[ConditionTrace, ...]] = {}
        for index in sorted(range(len(rows)), key=lambda index: elements[index].count(False)):
            conditions[index] = self.conditions(rows[index][1])
        return [
            StatementTrace(compiled.statement, document, *elements[index], conditions[index])
            for index, (document, compiled) in enumerate(rows)
        ]

    def elements(self, compiled: CompiledStatement) -> tuple[bool | None, bool, bool]:
        """Principal, action and resource."""
        principal = None
        if compiled.statement.principals is not None:
            asking = (self.request.principal, self.policies.federated_by)
            allow = compiled.statement.effect is Effect.ALLOW
            principal = compiled.grant(*asking) is not Grant.NONE if allow else compiled.binds(*asking)
        resource = compiled.matches_resource(self.request.resource, self.context)
        return principal, compiled.matches_action(self.action), resource

    def conditions(self, compiled: CompiledStatement) -> tuple[ConditionTrace, ...]:
        pairs = zip(compiled.statement.conditions, compiled.checks, strict=True)
        if compiled.statement is self.deciding:
            return tuple(ConditionTrace(one, self.context.get(one.key.lower()), True, check) for one, check in pairs)
        return tuple(self.condition(one, check) for one, check in pairs)

    def condition(self, condition: Condition, check: Check) -> ConditionTrace:
        actual = self.context.get(condition.key.lower())
        held = None
        if not self.exhausted or len(actual or ()) < 2:
            try:
                held = check(self.context)
            except TooCostlyError:
                self.exhausted = True
        return ConditionTrace(condition, actual, held, check)
