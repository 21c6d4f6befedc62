"""Rules about conditions that hold where their author thinks they do not, or never hold at all."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping

from broker.policy.catalogue import CONDITION_KEYS, MULTIVALUED_KEYS, KeyType
from broker.policy.conditions import Quantifier
from broker.policy.lint.containment import Patterns
from broker.policy.lint.source import Hit, PlacedCondition, PlacedStatement, Source, shown
from broker.policy.values import WIDTH, network

_MFA, _MFA_AGE, _SOURCE_IP = "aws:multifactorauthpresent", "aws:multifactorauthage", "aws:sourceip"
_TYPES: Mapping[str, KeyType] = {key.lower(): type_ for key, type_ in CONDITION_KEYS.items()}
_SINGLE_VALUED = frozenset(_TYPES) - {key.lower() for key in MULTIVALUED_KEYS}
_FAMILY = re.compile(r"String|Numeric|Date|Bool|Binary|IpAddress|NotIpAddress|Arn")
_ACCEPTED: Mapping[KeyType, frozenset[str]] = {
    KeyType.STRING: frozenset({"String"}),
    KeyType.ARN: frozenset({"Arn", "String"}),
    KeyType.BOOLEAN: frozenset({"Bool", "String"}),
    KeyType.NUMBER: frozenset({"Numeric"}),
    KeyType.DATE: frozenset({"Date", "Numeric"}),
    KeyType.ADDRESS: frozenset({"IpAddress", "NotIpAddress"}),
}
"""Key type -> operator families that can answer for it."""
_ESCAPE = re.compile(r"\$\{[^}]*+\}")


def for_all_values_single(source: Source) -> Iterator[Hit]:
    for condition in _unguarded(source):
        if condition.key in _SINGLE_VALUED:
            yield (
                f"{shown(condition.condition.key)} has one value, and ForAllValues: also holds if it is missing; "
                f"write {_plain(condition)} without it.",
                (condition.spot,),
            )


def for_all_values_unguarded(source: Source) -> Iterator[Hit]:
    for condition in _unguarded(source):
        if condition.key not in _SINGLE_VALUED:
            key = shown(condition.condition.key)
            yield (
                f"ForAllValues: also holds for a request without {key}; "
                f'add the condition "Null" on {key} with the value "false".',
                (condition.spot,),
            )


def mfa_bool(source: Source) -> Iterator[Hit]:
    for placed, condition in _all(source):
        written = condition.condition
        if placed.allows or written.if_exists:
            continue
        present = condition.key == _MFA and written.operator == "Bool" and "false" in map(str.lower, written.values)
        if present or (condition.key == _MFA_AGE and written.operator.startswith("NumericGreaterThan")):
            yield (
                "Requests signed with a long-term access key lack this key, so the Deny misses them; "
                f"write {written.written}IfExists.",
                (condition.spot,),
            )


def mfa_if_exists(source: Source) -> Iterator[Hit]:
    for placed, condition in _all(source):
        if placed.allows and condition.condition.if_exists and condition.key in (_MFA, _MFA_AGE):
            yield (
                "Requests signed with a long-term access key lack this key, so the Allow takes them without MFA; "
                f"write {_plain(condition)} without IfExists.",
                (condition.spot,),
            )


def wildcard_without_like(source: Source) -> Iterator[Hit]:
    for _, condition in _all(source):
        operator = condition.condition.operator
        if operator.startswith("String") and not operator.endswith("Like"):
            better = "StringNotLike" if condition.negated else "StringLike"
            for spot in condition.values:
                if "*" in _ESCAPE.sub("", spot.text):
                    yield f"{operator} takes the * of {shown(spot.text)} literally; write {better}.", (spot,)


def like_without_wildcard(source: Source) -> Iterator[Hit]:
    for _, condition in _all(source):
        operator = condition.condition.operator
        if operator in ("StringLike", "StringNotLike") and not any(map(_has_wildcard, condition.condition.values)):
            better = operator.replace("Like", "Equals")
            yield f"No value of this {operator} has a wildcard; write {better}.", (condition.spot,)


def empty_condition(source: Source) -> Iterator[Hit]:
    for placed in source.statements:
        if "Condition" in placed.elements and not placed.conditions:
            yield (
                "The Condition is empty and limits nothing; remove it or say what it asks.",
                (placed.elements["Condition"],),
            )


def empty_value(source: Source) -> Iterator[Hit]:
    for _, condition in _all(source):
        for spot in condition.values:
            if not spot.text.strip():
                yield (
                    f"A blank value of {shown(condition.condition.key)} equals no usual value; "
                    'write the value that is meant, or "Null" to ask whether the key is there.',
                    (spot,),
                )


def redundant_value(source: Source) -> Iterator[Hit]:
    patterns = Patterns(fold=False)
    for _, condition in _all(source):
        spots = condition.values
        if condition.condition.operator in ("StringLike", "StringNotLike"):
            for place, other in patterns.redundant([spot.text for spot in spots]):
                yield (
                    f"{shown(spots[other].text)} already takes in {shown(spots[place].text)}; remove the latter.",
                    (spots[place], spots[other]),
                )
            continue
        seen = set[str]()
        for spot in spots:
            if spot.text in seen:
                yield f"{shown(spot.text)} is listed twice; remove one.", (spot,)
            seen.add(spot.text)


def type_mismatch(source: Source) -> Iterator[Hit]:
    for _, condition in _all(source):
        type_ = _TYPES.get(condition.key)
        family = _FAMILY.match(condition.condition.operator)
        if type_ is not None and family is not None and family[0] not in _ACCEPTED[type_]:
            yield (
                f"{condition.condition.operator} cannot judge {shown(condition.condition.key)}; "
                f"write {type_.value} or another operator of its kind.",
                (condition.spot,),
            )


def source_ip_everywhere(source: Source) -> Iterator[Hit]:
    for placed, condition in _addresses(source):
        if condition.condition.operator == ("IpAddress" if placed.allows else "NotIpAddress"):
            for spot in condition.values:
                if network(spot.text)[2] == 0:
                    yield f"{shown(spot.text)} is every address, so nobody is kept out; name the networks.", (spot,)


def private_source_ip(source: Source) -> Iterator[Hit]:
    for _, condition in _addresses(source):
        for spot in condition.values:
            if _is_private(spot.text):
                yield (
                    f"{shown(spot.text)} is a private network: AWS never sees such an address, and this broker sees "
                    "it only of callers who connect from that network; write the address that callers come from.",
                    (spot,),
                )


def _all(source: Source) -> Iterator[tuple[PlacedStatement, PlacedCondition]]:
    for placed in source.statements:
        for condition in placed.conditions:
            yield placed, condition


def _addresses(source: Source) -> Iterator[tuple[PlacedStatement, PlacedCondition]]:
    for placed, condition in _all(source):
        if condition.key == _SOURCE_IP and condition.condition.operator in ("IpAddress", "NotIpAddress"):
            yield placed, condition


def _unguarded(source: Source) -> Iterator[PlacedCondition]:
    """``ForAllValues`` of Allow statements without another condition that the key is there."""
    for placed in source.statements:
        if placed.allows:
            demanded = {condition.key for condition in placed.conditions if condition.demands_key}
            for condition in placed.conditions:
                if condition.condition.quantifier is Quantifier.ALL and condition.key not in demanded:
                    yield condition


def _plain(condition: PlacedCondition) -> str:
    return condition.condition.operator


def _is_private(text: str) -> bool:
    """Whether the address or block lies in a private network; the block of all addresses is another rule's."""
    version, number, length = network(text)
    first = (number << (WIDTH[version] - length), length)
    block = ipaddress.IPv4Network(first) if version == 4 else ipaddress.IPv6Network(first)
    return length > 0 and block.is_private


def _has_wildcard(value: str) -> bool:
    return bool(re.search(r"[*?]", _ESCAPE.sub("", value)))
