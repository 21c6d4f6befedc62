"""One simulated request: what is decided, by which statements, and what they asked for in vain.

The evaluator decides; around its decision the statements that could match are asked once more, by its own closures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from msgspec import structs

from broker.domain.principal import Principal
from broker.errors import ValidationFailed
from broker.iam.context_keys import condition_keys, resource_keys, unique_keys
from broker.policy.compile import CompiledStatement, compile_policy
from broker.policy.conditions import TooCostlyError
from broker.policy.context import Context, Metered
from broker.policy.decision import Decision
from broker.policy.document import Effect, PolicyDocument, PolicyKind, Statement
from broker.policy.evaluate import AccessRequest, PolicySet, PolicySource, evaluate
from broker.policy.principals import Grant
from broker.policy.reader import place
from broker.policy.trace import sources

MAX_MATCHED = 100
"""Matched statements that one result lists."""

ALLOWED, EXPLICIT_DENY, IMPLICIT_DENY = "allowed", "explicitDeny", "implicitDeny"
RESOURCE_POLICY, TRUST_POLICY = "ResourcePolicy", "TrustPolicyDocument"
EVERYTHING = PolicySource(
    "everything",
    compile_policy(
        '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}',
        PolicyKind.IDENTITY,
    ),
)
_SOURCE_TYPES = {
    "arn": "user-managed",
    "user": "user",
    "role": "role",
    RESOURCE_POLICY: "resource",
    TRUST_POLICY: "resource",
}


@dataclass(frozen=True, slots=True)
class Position:
    """Line and column, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class MatchedStatement:
    """IAM ``Statement``: from its opening brace to its closing one."""

    source_policy_id: str
    source_policy_type: str
    start_position: Position
    end_position: Position


@dataclass(frozen=True, slots=True)
class BoundaryDetail:
    """IAM ``PermissionsBoundaryDecisionDetail``."""

    allowed_by_permissions_boundary: bool


@dataclass(frozen=True, slots=True)
class ResourceResult:
    """IAM ``ResourceSpecificResult``."""

    eval_resource_name: str
    eval_resource_decision: str
    matched_statements: tuple[MatchedStatement, ...]
    missing_context_values: tuple[str, ...]
    eval_decision_details: Mapping[str, str] | None
    permissions_boundary_decision_detail: BoundaryDetail | None


@dataclass(frozen=True, slots=True)
class Scenario:
    """Who asks, under which policies and with which condition keys; ``owner`` is the account of a resource whose ARN
    names none, None for the requester's own."""

    principal: Principal
    policies: PolicySet
    context: Context
    owner: str | None = None

    @property
    def size(self) -> int:
        """What one request may cost: characters of all documents, times the values of the longest condition key."""
        longest = max((len(values) for values in self.context.values()), default=1)
        return sum(len(source.policy.document.text) for _, source in sources(self.policies)) * max(longest, 1)

    def ask(self, action: str, resource: str) -> ResourceResult:
        """The result for one action on one resource. Raises ValidationFailed if that would cost too much."""
        request = AccessRequest(self.principal, action, resource, self._account(resource), self.context)
        decision = _decided(request, self.policies)
        scope = _Scope(request, self.policies, self.context)
        boundary = self.policies.boundary
        return ResourceResult(
            resource,
            decision_word(decision),
            scope.matched(decision),
            scope.missing(),
            self._details(request),
            None if boundary is None else BoundaryDetail(_alone(request, boundary).allowed),
        )

    def _account(self, resource: str) -> str:
        """The account whose resource it is. Without a resource-based policy only the requester's side is asked."""
        if self.policies.resource is None:
            return self.principal.account
        named = resource.split(":", 5)[4] if resource.startswith("arn:") else ""
        if self.owner is not None and named and named != self.owner:
            raise ValidationFailed(f"ResourcePolicy and ResourceOwner do not apply to the resource {resource}")
        return named or self.owner or self.principal.account

    def _details(self, request: AccessRequest) -> Mapping[str, str] | None:
        """What each type of policy says, between accounts alone; None for all resources at once."""
        policies = self.policies
        if policies.resource is None or request.resource_account == self.principal.account:
            return None if request.resource == "*" else {}
        far = PolicySet(identity=(EVERYTHING,), resource=policies.resource)
        details = {
            "IAM Policy": decision_word(_alone(request, *policies.identity)),
            "Resource Policy": decision_word(_decided(request, far)),
        }
        if policies.boundary is not None:
            details["Permissions Boundary Policy"] = decision_word(_alone(request, policies.boundary))
        return details


def decision_word(decision: Decision) -> str:
    """IAM ``PolicyEvaluationDecisionType``."""
    if decision.allowed:
        return ALLOWED
    return EXPLICIT_DENY if decision.explicit_deny else IMPLICIT_DENY


def matched_statement(source: str, document: PolicyDocument, statement: Statement) -> MatchedStatement:
    """Where a statement stands. ``source`` is the name under which decisions refer to its policy."""
    start, end = place(document.text, statement.start), place(document.text, statement.end - 1)
    kind = _SOURCE_TYPES.get(source.partition(":" if source.startswith("arn:") else "/")[0], "none")
    return MatchedStatement(source, kind, Position(*start), Position(*end))


def _decided(request: AccessRequest, policies: PolicySet) -> Decision:
    decision = evaluate(request, policies)
    if decision.error is not None:
        raise ValidationFailed("The policies could not be evaluated with these values", detail=decision.error)
    return decision


def _alone(request: AccessRequest, *identity: PolicySource) -> Decision:
    """What these policies say by themselves, in the requester's own account."""
    own = structs.replace(request, resource_account=request.principal.account)
    return _decided(own, PolicySet(identity=identity))


Found = tuple[PolicySource, CompiledStatement]


class _Scope:
    """The statements whose principal, action and resource match."""

    __slots__ = ("_action", "_context", "_found", "_keys", "_resource")

    def __init__(self, request: AccessRequest, policies: PolicySet, context: Context) -> None:
        self._action = request.action.lower()
        self._resource = request.resource
        self._context = Metered(context.folded)
        self._found: list[Found] = []
        self._keys: list[str] = []
        for source, compiled in self._candidates(policies):
            if compiled.matches_action(self._action) and _names(compiled, request.principal):
                self._add(source, compiled)

    def _candidates(self, policies: PolicySet) -> Iterator[Found]:
        service = self._action.partition(":")[0]
        for _, source in sources(policies):
            indexes = (source.policy.denies, source.policy.allows)
            near = [one for index in indexes for one in index.candidates(service, self._action, self._resource)]
            yield from ((source, one) for one in sorted(near, key=lambda one: one.statement.index))

    def _add(self, source: PolicySource, compiled: CompiledStatement) -> None:
        """A resource with a variable that has no value matches nothing, so its key is asked for all the same."""
        statement, variables = compiled.statement, source.policy.document.variables
        self._keys.extend(resource_keys(statement, variables=variables))
        if compiled.matches_resource(self._resource, self._context):
            self._keys.extend(condition_keys(statement, variables=variables))
            self._found.append((source, compiled))

    def missing(self) -> tuple[str, ...]:
        """The keys that are asked for and have no value."""
        return unique_keys(key for key in self._keys if key.lower() not in self._context)

    def matched(self, decision: Decision) -> tuple[MatchedStatement, ...]:
        """The statements that determine the decision: all that deny, or all that allow but for the boundary's."""
        if not decision.allowed and not decision.explicit_deny:
            return ()
        effect = Effect.ALLOW if decision.allowed else Effect.DENY
        found: list[MatchedStatement] = []
        for source, compiled in self._found:
            limits = source.policy.document.kind is PolicyKind.BOUNDARY and decision.allowed
            if compiled.statement.effect is effect and not limits and self._applies(compiled):
                found.append(matched_statement(source.name, source.policy.document, compiled.statement))
            if len(found) == MAX_MATCHED:
                break
        return tuple(found)

    def _applies(self, compiled: CompiledStatement) -> bool:
        try:
            return compiled.applies(self._action, self._resource, self._context)
        except TooCostlyError as error:
            raise ValidationFailed("ContextEntries has too many values to compare", detail=str(error)) from None


def _names(compiled: CompiledStatement, principal: Principal) -> bool:
    if compiled.statement.principals is None:
        return True
    if compiled.statement.effect is Effect.ALLOW:
        return compiled.grant(principal, None) is not Grant.NONE
    return compiled.binds(principal, None)
