"""A policy that follows the grammar, with the place of everything that a finding can point at.

The parser's statements say what is meant, the reader's nodes say where it stands; both come from the same text in the
same order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from broker.policy.conditions import NULL, OPERATORS, Condition, Quantifier
from broker.policy.document import Effect, PolicyDocument, PolicyKind, Statement, parse_policy
from broker.policy.lint.findings import Index, Location, Path, Places, Value
from broker.policy.match import matches, tokens
from broker.policy.reader import Json, Node, read


@dataclass(frozen=True, slots=True)
class Spot:
    """A node and the path to it; ``text`` is a scalar's text."""

    node: Node
    path: Path

    @property
    def text(self) -> str:
        return self.node.text

    def members(self) -> Iterator[tuple[str, Spot]]:
        """The members of an object, none for what is no object."""
        for key, value in self.node.members:
            yield key.text, Spot(value, (*self.path, Value(key.text)))

    def each(self) -> tuple[Spot, ...]:
        """The elements of a list; what is no list is its own only element, as the grammar has it."""
        if self.node.kind is not Json.LIST:
            return (self,)
        return tuple(Spot(item, (*self.path, Index(index))) for index, item in enumerate(self.node.items))


@dataclass(frozen=True, slots=True)
class PlacedCondition:
    """A condition, the place of its values together and of each."""

    condition: Condition
    spot: Spot
    values: tuple[Spot, ...]

    @property
    def key(self) -> str:
        """The key in lower case, as keys are compared."""
        return self.condition.key.lower()

    @property
    def negated(self) -> bool:
        operator = self.condition.operator
        return operator != NULL and OPERATORS[operator].negated

    @property
    def demands_key(self) -> bool:
        """Whether it can only hold for a request that has the key."""
        condition = self.condition
        if condition.operator == NULL:
            return all(value.lower() == "false" for value in condition.values)
        return not (self.negated or condition.if_exists or condition.quantifier is Quantifier.ALL)


@dataclass(frozen=True, slots=True)
class PlacedStatement:
    """A statement and the places of its elements."""

    statement: Statement
    spot: Spot
    actions: tuple[Spot, ...]
    resources: tuple[Spot, ...]
    principals: tuple[tuple[str, Spot], ...]
    """Each principal with its type; ``"*"`` alone has the type AWS."""
    conditions: tuple[PlacedCondition, ...]
    by_key: Mapping[str, tuple[PlacedCondition, ...]]
    """The conditions by their key in lower case."""
    elements: dict[str, Spot]

    @property
    def allows(self) -> bool:
        return self.statement.effect is Effect.ALLOW

    def element(self, name: str) -> Spot:
        """The element or, if it is written so, its ``Not…`` form."""
        return self.elements.get(name) or self.elements[f"Not{name}"]


@dataclass(frozen=True, slots=True)
class Source:
    """A policy under inspection. ``account``: whose policy it is, None if that is not known."""

    text: str
    document: PolicyDocument
    root: Spot
    statements: tuple[PlacedStatement, ...]
    places: Places
    account: str | None

    @property
    def kind(self) -> PolicyKind:
        return self.document.kind

    def location(self, spot: Spot) -> Location:
        return Location(spot.path, self.places.span(spot.node.start, spot.node.end))


def load(text: str, kind: PolicyKind, account: str | None) -> Source:
    """The policy with its places. Raises MalformedPolicy."""
    document = parse_policy(text, kind)
    root = Spot(read(text), ())
    written = dict(root.members())["Statement"].each()
    statements = tuple(map(_statement, document.statements, written))
    return Source(text, document, root, statements, Places(text), account)


def _statement(statement: Statement, spot: Spot) -> PlacedStatement:
    elements = dict(spot.members())
    conditions = _conditions(statement, elements.get("Condition"))
    by_key: dict[str, tuple[PlacedCondition, ...]] = {}
    for condition in conditions:
        by_key[condition.key] = (*by_key.get(condition.key, ()), condition)
    return PlacedStatement(
        statement=statement,
        spot=spot,
        actions=_either(elements, "Action"),
        resources=_either(elements, "Resource"),
        principals=_principals(elements),
        conditions=conditions,
        by_key=by_key,
        elements=elements,
    )


def _either(elements: dict[str, Spot], name: str) -> tuple[Spot, ...]:
    spot = elements.get(name) or elements.get(f"Not{name}")
    return spot.each() if spot else ()


def _principals(elements: dict[str, Spot]) -> tuple[tuple[str, Spot], ...]:
    spot = elements.get("Principal") or elements.get("NotPrincipal")
    if spot is None:
        return ()
    if spot.node.kind is Json.STRING:
        return (("AWS", spot),)
    return tuple((name, value) for name, values in spot.members() for value in values.each())


def _conditions(statement: Statement, spot: Spot | None) -> tuple[PlacedCondition, ...]:
    if spot is None:
        return ()
    written = [values for _, keys in spot.members() for _, values in keys.members()]
    return tuple(
        PlacedCondition(condition, values, values.each())
        for condition, values in zip(statement.conditions, written, strict=True)
    )


Hit = tuple[str, tuple[Spot, ...]]
"""What a rule finds: the details, and the places."""


def shown(text: str) -> str:
    """A text of the policy as details quote it: short, and printable whatever is in it."""
    return ascii(text if len(text) <= 64 else f"{text[:61]}...")


def grants(placed: PlacedStatement, action: str) -> bool:
    """Whether the statement's ``Action`` or ``NotAction`` takes in ``action`` (in lower case)."""
    listed = any(matches(tokens(spot.text.lower()), action) for spot in placed.actions)
    return listed is not placed.statement.not_action
