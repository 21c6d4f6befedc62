"""The condition keys that the caller of a simulation makes up (IAM ``ContextEntry``), checked by their types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from broker.errors import ValidationFailed
from broker.policy import values as read

MAX_ENTRIES = 256
MAX_VALUES = 1_000
MAX_VALUE_CHARACTERS = 4_096

_READERS: Mapping[str, Callable[[str], object]] = {
    "string": str,
    "numeric": read.number,
    "boolean": read.boolean,
    "ip": read.network,
    "binary": read.binary,
    "date": read.moment,
}
_LIST = "List"


class ContextEntry(Protocol):
    """As the codec makes it; what was not sent is not there."""

    context_key_name: str
    context_key_values: Sequence[str]
    context_key_type: str


def parse_context(entries: Sequence[ContextEntry]) -> dict[str, tuple[str, ...]]:
    """Key -> values, with the keys as written. Raises ValidationFailed for a doubled or nameless key, a value that is
    not of its type, several values of a type that is no list, and too many or too long values."""
    if len(entries) > MAX_ENTRIES:
        raise ValidationFailed(f"ContextEntries has more than {MAX_ENTRIES} entries")
    context: dict[str, tuple[str, ...]] = {}
    seen: set[str] = set()
    for number, entry in enumerate(entries, start=1):
        name, values = _parse(entry, f"ContextEntries.{number}")
        if name.lower() in seen:
            raise ValidationFailed(f"ContextEntries names {name} more than once")
        seen.add(name.lower())
        context[name] = values
    if sum(map(len, context.values())) > MAX_VALUES:
        raise ValidationFailed(f"ContextEntries has more than {MAX_VALUES} values")
    return context


def _parse(entry: ContextEntry, place: str) -> tuple[str, tuple[str, ...]]:
    name: str | None = getattr(entry, "context_key_name", None)
    kind: str | None = getattr(entry, "context_key_type", None)
    values: Sequence[str] | None = getattr(entry, "context_key_values", None)
    if name is None or kind is None or values is None:
        raise ValidationFailed(f"{place} must have ContextKeyName, ContextKeyType and ContextKeyValues")
    if not kind.endswith(_LIST) and len(values) != 1:
        raise ValidationFailed(f"{place} ({name}) has {len(values)} values, and {kind} takes exactly one")
    reader = _READERS[kind.removesuffix(_LIST)]
    for value in values:
        if len(value) > MAX_VALUE_CHARACTERS:
            raise ValidationFailed(f"{place} ({name}) has a value of more than {MAX_VALUE_CHARACTERS} characters")
        try:
            reader(value)
        except ValueError as error:
            raise ValidationFailed(f"{place} ({name}) is not of the type {kind}: {error}") from None
    return name, tuple(values)
