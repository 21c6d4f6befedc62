"""The nearest miss of a denial: the smallest change after which the request would have been allowed.

1. An explicit deny: the statement that denies, and the one of its conditions that could be otherwise.
2. An implicit deny: the type of policy that the decision names refuses, so the change is sought among that type's
   Allow statements: fewest failing elements first, then the closest text. Of statements that fail in one condition,
   one is preferred whose change alone is seen to allow the request.
3. What else would still refuse after the change is asked of the evaluator, with the refusing policy opened wide.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from msgspec import structs

from broker.domain.principal import PrincipalKind
from broker.policy import principals
from broker.policy.changes import changed, find_values
from broker.policy.closeness import common_prefix, nearest_first
from broker.policy.compile import compile_document, compile_policy
from broker.policy.conditions import OPERATORS
from broker.policy.decision import Decision, PolicyType
from broker.policy.document import Effect, PolicyDocument, PolicyKind, Statement
from broker.policy.evaluate import AccessRequest, PolicySet, PolicySource, evaluate
from broker.policy.failures import Folded, failures, relation_of
from broker.policy.miss import Failure, Miss, MissKind
from broker.policy.principals import Grant, Principals
from broker.policy.trace import ConditionTrace, PolicyTrace, StatementTrace

# Statements looked at closely, and changes that are tried on the whole evaluation.
_CANDIDATES = 16
_TRIALS = 2
_NAMES = 4

_EVERYTHING = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'
_OPEN = PolicySource("everything", compile_policy(_EVERYTHING, PolicyKind.IDENTITY))

_REFUSALS = {
    PolicyType.IDENTITY: MissKind.IDENTITY_SIDE,
    PolicyType.BOUNDARY: MissKind.BOUNDARY,
    PolicyType.SESSION: MissKind.SESSION_POLICY,
}
_WHOLE_ELEMENTS = frozenset({MissKind.ACTION, MissKind.RESOURCE, MissKind.SEVERAL})


@dataclass(frozen=True, slots=True)
class _Denied:
    """A denied request with all that was found out about it."""

    request: AccessRequest
    policies: PolicySet
    context: Folded
    decision: Decision
    traces: tuple[PolicyTrace, ...]

    @property
    def same_account(self) -> bool:
        return self.request.principal.account == self.request.resource_account

    @property
    def compared(self) -> bool:
        """Whether the trace compared everything: another evaluation costs no more than that."""
        conditions = (one for policy in self.traces for trace in policy.statements for one in trace.conditions)
        return all(one.held is not None for one in conditions)

    def statements(self, effect: Effect) -> Iterator[tuple[PolicyTrace, StatementTrace]]:
        for policy in self.traces:
            for trace in policy.statements:
                if trace.statement.effect is effect:
                    yield policy, trace


def nearest_miss(
    request: AccessRequest,
    policies: PolicySet,
    context: Folded,
    decision: Decision,
    traces: tuple[PolicyTrace, ...],
) -> Miss | None:
    """The nearest miss, or None: the request was allowed, could not be evaluated, or nothing at all is close."""
    if decision.allowed or decision.policy_type is None:
        return None
    denied = _Denied(request, policies, context, decision, traces)
    return _explicit(denied) if decision.explicit_deny else _implicit(denied, decision.policy_type)


def _explicit(denied: _Denied) -> Miss | None:
    """1. The first condition whose change lifts the denial altogether, or else this denial."""
    found = next(
        (
            (policy, trace)
            for policy, trace in denied.statements(Effect.DENY)
            if trace.statement is denied.decision.statement and policy.source == denied.decision.source
        ),
        None,
    )
    if found is None:
        return None
    policy, trace = found
    best = base = Miss(MissKind.EXPLICIT_DENY, policy.type, policy.source, trace)
    for condition, values in islice(_liftings(denied, trace), _TRIALS if denied.compared else 0):
        request = changed(denied.request, denied.context, condition.condition.key, values)
        after = evaluate(request, denied.policies)
        lifted = (_lifted(condition, values),)
        if after.allowed:
            return replace(base, failures=lifted, change=request, sufficient=True)
        if best is base:
            best = replace(base, failures=lifted, then=after)
    return best


def _liftings(denied: _Denied, trace: StatementTrace) -> Iterator[tuple[ConditionTrace, tuple[str, ...]]]:
    """The conditions that could be otherwise, each with values of its key under which it would not hold."""
    for condition in trace.conditions[:_CANDIDATES]:
        values = find_values(condition, denied.context, variables=trace.document.variables, want=False)
        if values is not None:
            yield condition, values


def _lifted(trace: ConditionTrace, values: tuple[str, ...]) -> Failure:
    """How the condition of a Deny could be otherwise."""
    condition, actual = trace.condition, trace.actual or ()
    row = OPERATORS.get(condition.operator)
    relation = ""
    if not values:
        named = row is not None and not row.negated and actual != ()
        values = nearest_first(actual[0], condition.values) if named else ()
        relation = f"not {relation_of(condition.operator)}".strip() if named else "absent"
    elif row is None:
        values, relation = (), "present"
    elif row.negated:
        values, relation = condition.values, relation_of(condition.operator)
    return Failure(MissKind.EXPLICIT_DENY, condition.key, actual, values, relation=relation)


def _implicit(denied: _Denied, refusing: PolicyType) -> Miss | None:
    """2. The nearest Allow statement of the policies that refuse."""
    if refusing is PolicyType.RESOURCE and (miss := _foreign(denied)):
        return miss
    misses = _candidates(denied, refusing)
    if not misses:
        return _refusal(denied, refusing)
    best = _best(denied, misses)
    kind = best.kind
    if best.policy_type is refusing and kind in _WHOLE_ELEMENTS and _is_refusal(denied, refusing):
        kind = _REFUSALS[refusing]
    return _with_the_rest(denied, replace(best, kind=kind))


def _foreign(denied: _Denied) -> Miss | None:
    """The trust policy lets the requester in, but an external identity counts in its provider's account alone."""
    for policy, trace in denied.statements(Effect.ALLOW):
        if policy.type is PolicyType.RESOURCE and trace.applies:
            principal = denied.request.principal
            if principal.kind is PrincipalKind.ANONYMOUS:
                failure = Failure(MissKind.UNSIGNED, "principal", ("anonymous",), ())
            else:
                accounts = (principal.account,), (denied.request.resource_account,)
                failure = Failure(MissKind.PROVIDER_ACCOUNT, "principal", *accounts)
            return Miss(failure.kind, policy.type, policy.source, trace, (failure,))
    return None


def _candidates(denied: _Denied, refusing: PolicyType) -> list[Miss]:
    """The misses of the nearest statements, nearest first."""
    pool = [pair for pair in denied.statements(Effect.ALLOW) if _counts(denied, *pair, refusing)]
    pool.sort(key=lambda pair: (pair[1].failing, -_likeness(pair[1], denied.request)))
    misses = [_miss(denied, policy, trace) for policy, trace in pool[:_CANDIDATES]]
    return sorted(misses, key=lambda miss: (len(miss.failures) + miss.more, -_closeness(miss)))


def _counts(denied: _Denied, policy: PolicyTrace, trace: StatementTrace, refusing: PolicyType) -> bool:
    """Whether a change to the statement could help, and is no other statement altogether."""
    if trace.applies:
        return False
    if policy.type is not refusing:
        return refusing is PolicyType.IDENTITY and policy.type is PolicyType.RESOURCE and _in_person(denied, trace)
    if not trace.action and (trace.principal is False or not _same_service(trace.statement, denied.request.action)):
        return False
    return trace.resource or _same_kind_of_resource(trace.statement, denied.request.resource)


def _in_person(denied: _Denied, trace: StatementTrace) -> bool:
    """Whether the resource's policy names the requester so that, in its own account, no identity policy is needed."""
    named = trace.statement.principals
    if not denied.same_account or not trace.action or not trace.resource or named is None or not trace.principal:
        return False
    worth = principals.grant(named, denied.request.principal, denied.policies.federated_by)
    return worth >= Grant.BOUNDED and not trace.statement.not_principal


def _same_service(statement: Statement, action: str) -> bool:
    if statement.not_action:
        return True
    service = action.lower().partition(":")[0]
    return any(listed.lower().partition(":")[0] == service for listed in statement.actions)


def _same_kind_of_resource(statement: Statement, resource: str) -> bool:
    if statement.not_resource:
        return True
    service = resource.split(":", 3)[2:3]
    return any(listed.split(":", 3)[2:3] == service for listed in statement.resources)


def _likeness(trace: StatementTrace, request: AccessRequest) -> float:
    """A cheap first order of the statements: characters in common with what action and resource begin with."""
    shared = 0
    if not trace.action:
        shared += max(common_prefix(request.action, one) for one in trace.statement.actions[:_NAMES])
    if not trace.resource:
        shared += max(common_prefix(request.resource, one) for one in trace.statement.resources[:_NAMES])
    return shared


def _miss(denied: _Denied, policy: PolicyTrace, trace: StatementTrace) -> Miss:
    found = failures(trace, denied.request, denied.context)
    kind = found[0].kind if trace.failing == 1 else MissKind.SEVERAL
    return Miss(kind, policy.type, policy.source, trace, found, trace.failing - len(found))


def _closeness(miss: Miss) -> float:
    return sum(failure.closeness for failure in miss.failures) / len(miss.failures)


def _best(denied: _Denied, misses: list[Miss]) -> Miss:
    """The first miss, unless it is of one condition and no value of its key is seen to allow the request."""
    trials = _TRIALS if denied.compared else 0
    for miss in misses:
        if len(miss.failures) + miss.more > 1 or not trials:
            break
        failed = [one for one in miss.statement.conditions if not one.held] if miss.statement else []
        if not failed:
            return miss
        trials -= 1
        if request := _allowed_request(denied, miss, failed[0]):
            return replace(miss, change=request, sufficient=True)
    return misses[0]


def _allowed_request(denied: _Denied, miss: Miss, failed: ConditionTrace) -> AccessRequest | None:
    """The request with another value under the condition's key, if that alone allows it."""
    variables = miss.statement is not None and miss.statement.document.variables
    values = find_values(failed, denied.context, variables=variables, want=True)
    if values is None:
        return None
    request = changed(denied.request, denied.context, failed.condition.key, values)
    return request if evaluate(request, denied.policies).allowed else None


def _is_refusal(denied: _Denied, refusing: PolicyType) -> bool:
    """Whether it is remarkable that this type of policy refuses: a limit does, or the far side alone."""
    return refusing in (PolicyType.BOUNDARY, PolicyType.SESSION) or (
        refusing is PolicyType.IDENTITY and _let_in(denied) is not None
    )


def _let_in(denied: _Denied) -> PolicyTrace | None:
    """The resource's policy, if it allows the requester (as one of its account, or across accounts)."""
    for policy, trace in denied.statements(Effect.ALLOW):
        if policy.type is PolicyType.RESOURCE and trace.applies:
            return policy
    return None


def _refusal(denied: _Denied, refusing: PolicyType) -> Miss | None:
    """No statement is near; that one type of policy refuses is said where it is remarkable."""
    if not _is_refusal(denied, refusing):
        return None
    named = [policy.source for policy in denied.traces if policy.type is refusing]
    none_passed = refusing is PolicyType.SESSION and denied.policies.session is None
    kind = MissKind.NO_SESSION_POLICY if none_passed else _REFUSALS[refusing]
    return _with_the_rest(denied, Miss(kind, refusing, named[0] if len(named) == 1 else None))


def _with_the_rest(denied: _Denied, miss: Miss) -> Miss:
    """3. What would still deny if the refusing type of policy allowed everything."""
    if miss.sufficient or not denied.compared:
        return miss
    after = evaluate(denied.request, _opened(denied, miss.policy_type, miss.statement))
    return replace(miss, sufficient=after.allowed, then=None if after.allowed else after)


def _opened(denied: _Denied, refusing: PolicyType, trace: StatementTrace | None) -> PolicySet:
    policies = denied.policies
    if refusing is PolicyType.RESOURCE:
        return structs.replace(policies, resource=_open_resource(denied, trace))
    if refusing is PolicyType.IDENTITY:
        return structs.replace(policies, identity=(_OPEN,))
    if refusing is PolicyType.BOUNDARY:
        return structs.replace(policies, boundary=_OPEN)
    return structs.replace(policies, session=(_OPEN,))


def _open_resource(denied: _Denied, trace: StatementTrace | None) -> PolicySource:
    """A policy that allows everything to those whom the statement names, or else to the requester in person."""
    named = trace.statement.principals if trace is not None and trace.principal else None
    if named is None or (trace is not None and trace.statement.not_principal):
        arns = frozenset({denied.request.principal.arn})
        external = principals.is_external(denied.request.principal)
        none = frozenset[str]()
        named = Principals(False, none, none, arns) if external else Principals(False, none, arns, none)
    statement = Statement(0, None, Effect.ALLOW, ("*",), (), (), named, False, False, False, 0, 0)
    document = PolicyDocument(PolicyKind.TRUST, "2012-10-17", None, (statement,), "")
    return PolicySource("everything", compile_document(document))
