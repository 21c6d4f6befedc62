"""Rules about names: actions and condition keys that do not exist, patterns that say nothing new, old variables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches

from broker.policy.catalogue import ACTIONS, CONDITION_KEYS, KEY_PREFIXES, OPEN_KEYS
from broker.policy.lint.containment import Patterns
from broker.policy.lint.source import Hit, PlacedCondition, Source, Spot, shown
from broker.policy.match import compile_pattern, literal, tokens

_LONGEST_NAME = 128
_ACTIONS = {service: {name.lower(): name for name in names} for service, names in ACTIONS.items()}
_KEYS = {key.lower(): key for key in (*CONDITION_KEYS, *OPEN_KEYS)}
_OPEN = tuple(key.lower() for key in OPEN_KEYS)


def unknown_action(source: Source) -> Iterator[Hit]:
    for spot, service, name in _served_actions(source):
        known = _ACTIONS[service]
        if literal(tokens(name)) is not None and name not in known:
            hint = _nearest(name, known)
            better = f"write {service}:{hint}." if hint else "see the list of actions."
            yield f"The service {service} has no action {shown(spot.text)}; {better}", (spot,)


def action_matches_nothing(source: Source) -> Iterator[Hit]:
    for spot, service, name in _served_actions(source):
        pattern = tokens(name)
        if literal(pattern) is not None:
            continue
        fits = compile_pattern(pattern)
        begin = pattern[0] if isinstance(pattern[0], str) else ""
        if not any(fits(known) for known in _ACTIONS[service] if known.startswith(begin)):
            yield f"No action of {service} matches {shown(spot.text)}; correct the pattern.", (spot,)


def unknown_global_key(source: Source) -> Iterator[Hit]:
    return _unknown_keys(source, {"aws"})


def unknown_service_key(source: Source) -> Iterator[Hit]:
    return _unknown_keys(source, KEY_PREFIXES - {"aws"})


def key_without_prefix(source: Source) -> Iterator[Hit]:
    for condition in _conditions(source):
        if ":" not in condition.key:
            yield (
                f"The condition key {shown(condition.condition.key)} has no prefix, so no request has it; "
                "write service:key or issuer:claim.",
                (condition.spot,),
            )


def redundant_action(source: Source) -> Iterator[Hit]:
    patterns = Patterns(fold=True)
    for placed in source.statements:
        yield from _redundant(patterns, placed.actions)


def redundant_resource(source: Source) -> Iterator[Hit]:
    patterns = Patterns(fold=False)
    for placed in source.statements:
        yield from _redundant(patterns, placed.resources)


def redundant_principal(source: Source) -> Iterator[Hit]:
    for placed in source.statements:
        first: dict[tuple[str, str], Spot] = {}
        for name, spot in placed.principals:
            earlier = first.setdefault((name, spot.text), spot)
            if earlier is not spot:
                yield f"{shown(spot.text)} is listed twice; remove one.", (spot, earlier)


def variable_in_old_version(source: Source) -> Iterator[Hit]:
    if source.document.variables:
        return
    for placed in source.statements:
        texts = [spot for c in placed.conditions if _takes_variables(c) for spot in c.values]
        for spot in (*placed.resources, *texts):
            if "${" in spot.text:
                yield (
                    f"The variable in {shown(spot.text)} is plain text in a policy of 2008; "
                    'write "Version": "2012-10-17".',
                    (spot,),
                )


def _served_actions(source: Source) -> Iterator[tuple[Spot, str, str]]:
    """The actions of services whose actions we know, with service and name in lower case."""
    for placed in source.statements:
        for spot in placed.actions:
            service, _, name = spot.text.lower().partition(":")
            if service in _ACTIONS:
                yield spot, service, name


def _conditions(source: Source) -> Iterator[PlacedCondition]:
    for placed in source.statements:
        yield from placed.conditions


def _unknown_keys(source: Source, prefixes: Iterable[str]) -> Iterator[Hit]:
    for condition in _conditions(source):
        key = condition.key
        if key.partition(":")[0] not in prefixes or _is_known(key):
            continue
        hint = _nearest(key, _KEYS)
        better = f"write {hint}." if hint else "see the list of condition keys."
        yield f"There is no condition key {shown(condition.condition.key)}; {better}", (condition.spot,)


def _is_known(key: str) -> bool:
    return (key in _KEYS and key not in _OPEN) or any(key.startswith(start) and key != start for start in _OPEN)


def _nearest(name: str, known: Mapping[str, str]) -> str | None:
    if len(name) > _LONGEST_NAME:
        return None
    return next((known[near] for near in get_close_matches(name, known, n=1, cutoff=0.7)), None)


def _redundant(patterns: Patterns, spots: tuple[Spot, ...]) -> Iterator[Hit]:
    for place, other in patterns.redundant([spot.text for spot in spots]):
        spot, wider = spots[place], spots[other]
        yield f"{shown(wider.text)} already takes in {shown(spot.text)}; remove the latter.", (spot, wider)


def _takes_variables(condition: PlacedCondition) -> bool:
    return condition.condition.operator.startswith(("String", "Arn"))
