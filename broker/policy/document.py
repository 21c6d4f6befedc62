"""The grammar: policy text -> ``PolicyDocument``, or MalformedPolicy with line and column.

IAM User Guide, "Grammar of the IAM JSON policy language" and the pages of the elements. Where they are silent: element
and operator names are case-sensitive; an empty list, an empty ``Statement`` and an operator without key are
refused (nobody means them), an empty ``Condition`` is no condition; a service prefix is spelled out or ``*`` alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from broker.errors import MalformedPolicy
from broker.policy.conditions import Condition, check_value, parse_operator
from broker.policy.principals import CHECKS, Principals, make_principals
from broker.policy.reader import Json, Node, malformed, policy_size, read
from broker.policy.variables import Variable, parse_template

__all__ = ["Effect", "PolicyDocument", "PolicyKind", "Statement", "parse_policy", "policy_size"]


class PolicyKind(StrEnum):
    """What a document is attached to; it decides which elements are required and which forbidden."""

    IDENTITY = "identity"
    TRUST = "trust"
    RESOURCE = "resource"
    BOUNDARY = "boundary"
    SESSION = "session"


class Effect(StrEnum):
    ALLOW = "Allow"
    DENY = "Deny"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement as written. ``start`` and ``end`` are offsets in the document (see ``reader.place``).

    ``resources`` is empty in a trust policy, where the role is the resource; ``principals`` is None in identity
    policies. The ``not_`` flags say that the element was ``NotAction``, ``NotResource`` or ``NotPrincipal``.
    """

    index: int
    sid: str | None
    effect: Effect
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[Condition, ...]
    principals: Principals | None
    not_action: bool
    not_resource: bool
    not_principal: bool
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """A policy that follows the grammar, and its ``text``, in which the offsets are counted.

    ``variables``: whether its version knows policy variables.
    """

    kind: PolicyKind
    version: str
    id: str | None
    statements: tuple[Statement, ...]
    text: str = field(repr=False)

    @property
    def variables(self) -> bool:
        return self.version == NEW_VERSION


OLD_VERSION, NEW_VERSION = "2008-10-17", "2012-10-17"
_NAMES_PRINCIPAL = frozenset({PolicyKind.TRUST, PolicyKind.RESOURCE})
_SID = re.compile(r"[A-Za-z0-9]*")
_ACTION = re.compile(r"\*|\*:\*|[A-Za-z0-9-]+:[A-Za-z0-9_.*?-]+")
_MAX_KEY = 1_024
_DOCUMENT = frozenset({"Version", "Id", "Statement"})
_STATEMENT = frozenset(
    {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal", "Condition"}
)

Members = dict[str, Node]


def parse_policy(text: str, kind: PolicyKind) -> PolicyDocument:
    """The document, if it follows the grammar for its kind. Raises MalformedPolicy, and nothing else."""
    return _Parser(text, kind).document()


class _Parser:
    """Walks the nodes of one text; every refusal names the node that is at fault."""

    def __init__(self, text: str, kind: PolicyKind) -> None:
        self.text = text
        self.kind = kind
        self.variables = False

    def fail(self, node: Node, problem: str) -> MalformedPolicy:
        return malformed(self.text, node.start, problem)

    def document(self) -> PolicyDocument:
        root = read(self.text)
        members = self.members(root, "The policy", _DOCUMENT)
        version = OLD_VERSION
        if node := members.get("Version"):
            version = self.string(node, "Version")
            if version not in (OLD_VERSION, NEW_VERSION):
                raise self.fail(node, "Version must be 2008-10-17 or 2012-10-17")
        self.variables = version == NEW_VERSION
        identifier = None
        if node := members.get("Id"):
            if self.kind not in _NAMES_PRINCIPAL:
                raise self.fail(node, "Id is not allowed in this kind of policy")
            identifier = self.string(node, "Id")
        if "Statement" not in members:
            raise self.fail(root, "Statement is missing")
        return PolicyDocument(self.kind, version, identifier, self.statements(members["Statement"]), self.text)

    def statements(self, node: Node) -> tuple[Statement, ...]:
        nodes = node.items if node.kind is Json.LIST else (node,)
        if not nodes:
            raise self.fail(node, "Statement is empty")
        seen: set[str] = set()
        found = []
        for index, item in enumerate(nodes):
            statement = self.statement(item, index)
            if statement.sid:
                if statement.sid in seen:
                    raise self.fail(item, f"Sid {statement.sid} is not unique")
                seen.add(statement.sid)
            found.append(statement)
        return tuple(found)

    def statement(self, node: Node, index: int) -> Statement:
        members = self.members(node, "A statement", _STATEMENT)
        not_action, action = self.either(node, members, "Action")
        resources, not_resource = self.resources(node, members)
        principals, not_principal = self.principal(node, members)
        condition = members.get("Condition")
        return Statement(
            index=index,
            sid=self.sid(members.get("Sid")),
            effect=self.effect(node, members.get("Effect")),
            actions=self.strings(action, "Action", self.check_action),
            resources=resources,
            conditions=self.conditions(condition) if condition else (),
            principals=principals,
            not_action=not_action,
            not_resource=not_resource,
            not_principal=not_principal,
            start=node.start,
            end=node.end,
        )

    def sid(self, node: Node | None) -> str | None:
        if node is None:
            return None
        sid = self.string(node, "Sid")
        if not _SID.fullmatch(sid):
            raise self.fail(node, "Sid may have letters and digits only")
        return sid

    def effect(self, statement: Node, node: Node | None) -> Effect:
        if node is None:
            raise self.fail(statement, "Effect is missing")
        effect = self.string(node, "Effect")
        if effect not in ("Allow", "Deny"):
            raise self.fail(node, "Effect must be Allow or Deny")
        return Effect(effect)

    def either(self, statement: Node, members: Members, name: str) -> tuple[bool, Node]:
        """The element or its ``Not…`` form, of which exactly one must be there."""
        plain, negated = members.get(name), members.get(f"Not{name}")
        if plain is not None and negated is not None:
            raise self.fail(negated, f"{name} and Not{name} exclude each other")
        found = plain or negated
        if found is None:
            raise self.fail(statement, f"{name} is missing")
        return plain is None, found

    def resources(self, statement: Node, members: Members) -> tuple[tuple[str, ...], bool]:
        if self.kind is PolicyKind.TRUST:
            for name in ("Resource", "NotResource"):
                if name in members:
                    raise self.fail(members[name], f"{name} is not allowed in a trust policy")
            return (), False
        negated, node = self.either(statement, members, "Resource")
        return self.strings(node, "Resource", self.check_resource), negated

    def principal(self, statement: Node, members: Members) -> tuple[Principals | None, bool]:
        if self.kind not in _NAMES_PRINCIPAL:
            for name in ("Principal", "NotPrincipal"):
                if name in members:
                    raise self.fail(members[name], f"{name} is not allowed in this kind of policy")
            return None, False
        if self.kind is PolicyKind.TRUST and "NotPrincipal" in members:
            raise self.fail(members["NotPrincipal"], "NotPrincipal is not allowed in a trust policy")
        negated, node = self.either(statement, members, "Principal")
        if node.kind is Json.STRING:
            if node.text != "*":
                raise self.fail(node, 'Principal must be an object or "*"')
            return make_principals({"AWS": ("*",)}), negated
        named = self.members(node, "Principal", frozenset(CHECKS))
        if not named:
            raise self.fail(node, "Principal is empty")
        lists = {name: self.strings(value, name, CHECKS[name]) for name, value in named.items()}
        return make_principals(lists), negated

    def conditions(self, node: Node) -> tuple[Condition, ...]:
        found: list[Condition] = []
        for written, keys in self.members(node, "Condition", None).items():
            try:
                operator, quantifier, if_exists = parse_operator(written)
            except ValueError as error:
                raise self.fail(keys, f"{_capital(error)}: {written[:64]!a}") from error
            by_key = self.members(keys, "A condition operator", None)
            if not by_key:
                raise self.fail(keys, "A condition operator is empty")
            for key, value in by_key.items():
                if not key or len(key) > _MAX_KEY or "${" in key:
                    raise self.fail(value, "The condition key is not valid")
                values = self.strings(value, "A condition value", self.value_check(operator), scalars=True)
                found.append(Condition(operator, quantifier, if_exists, key, values, value.start))
        return tuple(found)

    def value_check(self, operator: str) -> Callable[[str], None]:
        return lambda value: check_value(operator, value, variables=self.variables)

    def check_action(self, value: str) -> None:
        if not _ACTION.fullmatch(value):
            raise ValueError("the action is not of the form service:name")
        if self.kind is PolicyKind.TRUST and not value.lower().startswith("sts:"):
            raise ValueError("a trust policy may only specify STS actions")

    def check_resource(self, value: str) -> None:
        if value == "*":
            return
        template = parse_template(value, variables=self.variables, wildcards=False)
        first = template[0] if template and isinstance(template[0], str) else ""
        if not first.startswith("arn:"):
            raise ValueError('the resource is neither an ARN nor "*"')
        if first.count(":") < 5:
            if any(isinstance(part, Variable) for part in template):
                raise ValueError("policy variables are allowed after the fifth colon of a resource only")
            raise ValueError("a resource ARN has six parts")

    def members(self, node: Node, what: str, known: frozenset[str] | None) -> Members:
        """The members of an object, none twice and, if ``known`` is given, none unknown."""
        if node.kind is not Json.OBJECT:
            raise self.fail(node, f"{what} must be an object, not {node.kind.value}")
        found: Members = {}
        for key, value in node.members:
            if key.text in found:
                raise self.fail(key, f"Duplicate key {key.text[:64]!a}")
            if known is not None and key.text not in known:
                raise self.fail(key, f"Unknown element {key.text[:64]!a}")
            found[key.text] = value
        return found

    def string(self, node: Node, what: str) -> str:
        if node.kind is not Json.STRING:
            raise self.fail(node, f"{what} must be a string, not {node.kind.value}")
        return node.text

    def strings(self, node: Node, what: str, check: Callable[[str], None], *, scalars: bool = False) -> tuple[str, ...]:
        """A string or a list of strings, each checked; ``scalars`` takes numbers and booleans as their text."""
        nodes = node.items if node.kind is Json.LIST else (node,)
        if not nodes:
            raise self.fail(node, f"{what} is an empty list")
        for item in nodes:
            if item.kind is not Json.STRING and not (scalars and item.kind in (Json.NUMBER, Json.BOOLEAN)):
                raise self.fail(item, f"{what} must be a string, not {item.kind.value}")
            try:
                check(item.text)
            except ValueError as error:
                raise self.fail(item, _capital(error)) from error
        return tuple(item.text for item in nodes)


def _capital(error: ValueError) -> str:
    text = str(error)
    return text[:1].upper() + text[1:]
