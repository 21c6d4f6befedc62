"""Policies compiled once: closures per statement, and an index so that cost follows the statements that could match.

The compiled form keeps each statement's syntax tree; an explanation can walk it with the same matchers, and costs
nothing until somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from broker.domain.principal import Principal
from broker.policy import principals
from broker.policy.conditions import Check, compile_condition
from broker.policy.document import Effect, PolicyDocument, PolicyKind, Statement, parse_policy
from broker.policy.index import EVERYTHING, Filed, Head, StatementIndex, file
from broker.policy.match import Match, compile_any, matches, tokens
from broker.policy.principals import Grant
from broker.policy.variables import Template, Values, parse_template, resolve, split_fixed, template_matches

CACHED_POLICIES = 2_048

ResourceMatch = Callable[[str, Values], bool]


class CompiledStatement:
    """A statement's closures. ``action`` takes the action in lower case."""

    __slots__ = ("_action", "_conditions", "_fixed_resource", "_open_resource", "statement", "templates")

    def __init__(self, statement: Statement, *, variables: bool) -> None:
        self.statement = statement
        self._action = _compile_actions(statement)
        self.templates = templates = _resource_templates(statement, variables)
        self._fixed_resource = _compile_fixed(templates, statement.not_resource)
        self._open_resource = None if self._fixed_resource else _compile_open(templates, statement.not_resource)
        deny = statement.effect is Effect.DENY
        self._conditions: tuple[Check, ...] = tuple(
            compile_condition(condition, variables=variables, deny=deny) for condition in statement.conditions
        )

    def applies(self, action: str, resource: str, context: Values) -> bool:
        """Whether action, resource and conditions match; who asks is a question for ``grant`` and ``binds``."""
        if not self._action(action):
            return False
        if self._fixed_resource is not None:
            if not self._fixed_resource(resource):
                return False
        elif self._open_resource is not None and not self._open_resource(resource, context):
            return False
        for holds in self._conditions:  # noqa: SIM110 (a generator would double the cost of the hottest loop)
            if not holds(context):
                return False
        return True

    @property
    def checks(self) -> tuple[Check, ...]:
        """The conditions' closures, in the order of ``statement.conditions``."""
        return self._conditions

    def matches_action(self, action: str) -> bool:
        """Whether the action element alone matches ``action`` (in lower case)."""
        return self._action(action)

    def matches_resource(self, resource: str, context: Values) -> bool:
        """Whether the resource element alone matches."""
        if self._fixed_resource is not None:
            return self._fixed_resource(resource)
        return self._open_resource is None or self._open_resource(resource, context)

    def grant(self, principal: Principal, federated_by: Principal | None) -> Grant:
        """What this Allow of a resource-based policy is worth to the requester."""
        named = self.statement.principals
        if named is None:
            return Grant.NONE
        if not self.statement.not_principal:
            return principals.grant(named, principal, federated_by)
        if principals.is_external(principal) or principals.binds(named, principal, federated_by):
            return Grant.NONE
        return Grant.DIRECT

    def binds(self, principal: Principal, federated_by: Principal | None) -> bool:
        """Whether this Deny of a resource-based policy applies to the requester."""
        named = self.statement.principals
        if named is None:
            return True
        if self.statement.not_principal:
            return not principals.excepts_for_deny(named, principal, federated_by)
        return principals.binds(named, principal, federated_by)


@dataclass(frozen=True, slots=True, eq=False)
class CompiledPolicy:
    """A policy ready for evaluation; ``statements`` are in the document's order."""

    document: PolicyDocument
    statements: tuple[CompiledStatement, ...]
    denies: StatementIndex[CompiledStatement]
    allows: StatementIndex[CompiledStatement]


def compile_document(document: PolicyDocument) -> CompiledPolicy:
    """Closures and indexes of a parsed document."""
    compiled = tuple(CompiledStatement(statement, variables=document.variables) for statement in document.statements)
    denies = [one for one in compiled if one.statement.effect is Effect.DENY]
    allows = [one for one in compiled if one.statement.effect is Effect.ALLOW]
    return CompiledPolicy(document, compiled, _index(denies), _index(allows))


@lru_cache(maxsize=CACHED_POLICIES)
def compile_policy(text: str, kind: PolicyKind) -> CompiledPolicy:
    """The compiled policy of a text, cached by the text itself. Raises MalformedPolicy."""
    return compile_document(parse_policy(text, kind))


def _compile_actions(statement: Statement) -> Match:
    listed = compile_any([tokens(action.lower()) for action in statement.actions])
    return (lambda action: not listed(action)) if statement.not_action else listed


def _resource_templates(statement: Statement, variables: bool) -> list[Template]:
    """The statement's resources; a trust policy has none, its role is the resource: everything matches."""
    listed = statement.resources or ("*",)
    return [parse_template(resource, variables=variables, wildcards=True) for resource in listed]


def _compile_fixed(templates: list[Template], negated: bool) -> Match | None:
    """The matcher of resources of which none has a variable, or None."""
    plain, open_ended = split_fixed(templates)
    if plain is None or open_ended:
        return None
    return (lambda resource: not plain(resource)) if negated else plain


def _compile_open(templates: list[Template], negated: bool) -> ResourceMatch:
    """With variables: an unresolved one in ``Resource`` matches nothing, in ``NotResource`` ends the whole match."""
    plain, open_ended = split_fixed(templates)

    def inside(resource: str, context: Values) -> bool:
        if plain is not None and plain(resource):
            return True
        return any(template_matches(template, resource, context) for template in open_ended)

    def outside(resource: str, context: Values) -> bool:
        if plain is not None and plain(resource):
            return False
        patterns = [resolve(template, context) for template in open_ended]
        return all(pattern is not None and not matches(pattern, resource) for pattern in patterns)

    return outside if negated else inside


def _index(statements: list[CompiledStatement]) -> StatementIndex[CompiledStatement]:
    return StatementIndex([_filed(compiled) for compiled in statements])


def _filed(compiled: CompiledStatement) -> Filed[CompiledStatement]:
    """Negated elements and ``*`` could match everything, so they are filed under the empty head."""
    statement = compiled.statement
    actions: tuple[Head, ...] = (EVERYTHING,)
    services = frozenset[str]()
    if not statement.not_action:
        written = [action.lower() for action in statement.actions]
        prefixes = {action.partition(":")[0] for action in written}
        services = frozenset() if "*" in prefixes else frozenset(prefixes)
        actions = tuple(_head(tokens(action)) for action in written)
    resources: tuple[Head, ...] = (EVERYTHING,)
    if not statement.not_resource:
        resources = tuple(_head(template) for template in compiled.templates)
    return file(compiled, services, actions, resources)


def _head(pattern: Sequence[object]) -> Head:
    first = pattern[0] if pattern else None
    return Head(first, whole=len(pattern) == 1) if isinstance(first, str) else EVERYTHING
