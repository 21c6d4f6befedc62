"""Policy documents that a caller passes to be simulated, each under the name that answers use for it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from broker.errors import MalformedPolicy
from broker.policy.compile import CompiledPolicy, compile_document
from broker.policy.document import PolicyKind, parse_policy
from broker.policy.evaluate import PolicySource


def compile_inputs(parameter: str, documents: Sequence[str], kind: PolicyKind) -> tuple[PolicySource, ...]:
    """The documents of a list as ``PolicyInputList.1`` and so on. Raises MalformedPolicy, naming the one."""
    return tuple(
        compile_input(f"{parameter}.{number}", document, kind) for number, document in enumerate(documents, start=1)
    )


def compile_input(name: str, document: str, kind: PolicyKind) -> PolicySource:
    """One document under ``name``. Raises MalformedPolicy."""
    try:
        return PolicySource(name, _compile(document, kind))
    except MalformedPolicy as error:
        raise MalformedPolicy(f"{name}: {error.message}") from None


@lru_cache(maxsize=64)
def _compile(document: str, kind: PolicyKind) -> CompiledPolicy:
    """Callers choose these texts: they have a cache of their own, so that they cannot push out the store's."""
    return compile_document(parse_policy(document, kind))
