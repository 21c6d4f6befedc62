"""Rules about what statements give away, and about statements that change nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from broker.policy.document import PolicyKind
from broker.policy.lint.containment import Patterns
from broker.policy.lint.source import Hit, PlacedStatement, Source, grants
from broker.policy.principals import Principals

_GRANTING = frozenset({PolicyKind.IDENTITY, PolicyKind.RESOURCE})
"""Boundaries and session policies only narrow: what they allow broadly, nobody gets by it."""
_EVERY_ROLE = frozenset({"*", "role/*", "role*"})


def missing_version(source: Source) -> Iterator[Hit]:
    if "Version" not in dict(source.root.members()):
        yield 'Without Version the policy is read by the rules of 2008; write "Version": "2012-10-17".', (source.root,)


def full_administrator(source: Source) -> Iterator[Hit]:
    for placed in _broad(source):
        if _every_action(placed) and any(spot.text == "*" for spot in placed.resources) and not placed.conditions:
            yield (
                "Every action on every resource is allowed; name the actions and resources that are needed.",
                (placed.element("Action"), placed.element("Resource")),
            )


def allow_with_not_action(source: Source) -> Iterator[Hit]:
    for placed in source.statements:
        if placed.allows and placed.statement.not_action and source.kind in _GRANTING | {PolicyKind.TRUST}:
            yield (
                "Allow with NotAction allows all other actions of all services, future ones included; "
                "list the allowed ones with Action.",
                (placed.element("Action"),),
            )


def allow_with_not_resource(source: Source) -> Iterator[Hit]:
    for placed in source.statements:
        if placed.allows and placed.statement.not_resource and source.kind in _GRANTING:
            yield (
                "Allow with NotResource allows all other resources, future ones included; "
                "list the allowed ones with Resource.",
                (placed.element("Resource"),),
            )


def pass_any_role(source: Source) -> Iterator[Hit]:
    for placed in _broad(source):
        if _every_action(placed) or not grants(placed, "iam:passrole"):
            continue
        if any(condition.key == "iam:passedtoservice" and condition.demands_key for condition in placed.conditions):
            continue
        for spot in placed.resources:
            if spot.text == "*" or (":iam:" in spot.text and spot.text.split(":", 5)[5] in _EVERY_ROLE):
                yield (
                    "iam:PassRole on every role hands the most powerful one to a service; name the roles, "
                    "or add a condition on iam:PassedToService.",
                    (spot,),
                )


def unreachable(source: Source) -> Iterator[Hit]:
    search = _Containment()
    denies = [placed for placed in source.statements if not placed.allows]
    for placed in source.statements:
        if placed.allows:
            wider = search.first(denies, placed, search.contains)
            if wider is not None:
                yield (
                    f"Statement {wider.statement.index + 1} denies all that this statement allows; remove one of them.",
                    (placed.spot, wider.spot),
                )


def redundant_statement(source: Source) -> Iterator[Hit]:
    search = _Containment()
    first: dict[object, PlacedStatement] = {}
    for placed in source.statements:
        wider = first.setdefault(_meaning(placed), placed)
        if wider is placed:
            found = search.first(source.statements, placed, search.makes_redundant)
            if found is None:
                continue
            wider = found
        yield (
            f"Statement {wider.statement.index + 1} already says all that this statement says; remove this one.",
            (placed.spot, wider.spot),
        )


class _Containment:
    """Which statements apply to every request that others apply to, within a budget of work."""

    def __init__(self) -> None:
        self._actions = Patterns(fold=True)
        self._resources = Patterns(fold=False)

    def first(
        self,
        candidates: Sequence[PlacedStatement],
        placed: PlacedStatement,
        question: Callable[[PlacedStatement, PlacedStatement], bool],
    ) -> PlacedStatement | None:
        """The first candidate of which the question is true; none once the budget is spent."""
        for candidate in candidates:
            if self._actions.exhausted or self._resources.exhausted:
                return None
            if question(candidate, placed):
                return candidate
        return None

    def contains(self, wide: PlacedStatement, narrow: PlacedStatement) -> bool:
        if self._actions.spent():
            return False
        one, other = wide.statement, narrow.statement
        if any(s.not_action or s.not_resource or s.not_principal for s in (one, other)):
            return False
        return (
            _conditions(wide) <= _conditions(narrow)
            and _names_all(one.principals, other.principals, deny=not wide.allows)
            and self._actions.all_covered(one.actions, other.actions)
            and self._resources.all_covered(one.resources or ("*",), other.resources or ("*",))
        )

    def makes_redundant(self, wide: PlacedStatement, narrow: PlacedStatement) -> bool:
        """Of two statements that contain each other the first one stays."""
        if wide is narrow or wide.allows is not narrow.allows or not self.contains(wide, narrow):
            return False
        return wide.statement.index < narrow.statement.index or not self.contains(narrow, wide)


def _broad(source: Source) -> Iterator[PlacedStatement]:
    """The statements that grant what they list."""
    if source.kind in _GRANTING:
        for placed in source.statements:
            if placed.allows and not placed.statement.not_action and not placed.statement.not_resource:
                yield placed


def _every_action(placed: PlacedStatement) -> bool:
    return any(spot.text in ("*", "*:*") for spot in placed.actions)


def _conditions(placed: PlacedStatement) -> frozenset[object]:
    return frozenset((c.condition.written, c.key, frozenset(c.condition.values)) for c in placed.conditions)


def _meaning(placed: PlacedStatement) -> object:
    """Equal for statements that differ in Sid, order and letter case alone."""
    statement = placed.statement
    return (
        statement.effect,
        (statement.not_action, statement.not_resource, statement.not_principal),
        frozenset(action.lower() for action in statement.actions),
        frozenset(statement.resources),
        statement.principals,
        _conditions(placed),
    )


def _names_all(wide: Principals | None, narrow: Principals | None, *, deny: bool) -> bool:
    """Whether all whom ``narrow`` names are named by ``wide``; an Allow of ``*`` names no external identity."""
    if wide is None or narrow is None:
        return True
    if wide.everybody:
        return deny or not narrow.providers
    return (
        not narrow.everybody
        and narrow.accounts <= wide.accounts
        and narrow.names <= wide.names
        and narrow.providers <= wide.providers
        and narrow.services <= wide.services
        and narrow.canonical_users <= wide.canonical_users
    )
