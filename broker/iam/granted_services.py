"""Which services, and which of their actions, policies allow at all: whatever the resources and conditions.

IAM User Guide, "Refine permissions using last accessed information": a report lists what the policies allow, so that
what was never used can be taken away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from broker.policy.catalogue import ACTIONS
from broker.policy.compile import CompiledStatement, compile_policy
from broker.policy.document import Effect, PolicyKind

SERVICE_NAMES: Mapping[str, str] = {
    "access-analyzer": "AWS IAM Access Analyzer",
    "iam": "AWS Identity and Access Management",
    "signin": "AWS Signin",
    "sts": "AWS Security Token Service",
}
"""Of the services that we serve; others are called by their namespaces."""
_KNOWN: Mapping[str, frozenset[str]] = {**ACTIONS, "access-analyzer": frozenset({"ValidatePolicy"})}


class Granted:
    """What some policy documents allow."""

    def __init__(self, documents: Iterable[str]) -> None:
        self._allows: list[CompiledStatement] = [
            one
            for document in documents
            for one in compile_policy(document, PolicyKind.IDENTITY).statements
            if one.statement.effect is Effect.ALLOW
        ]

    def services(self) -> list[str]:
        """The namespaces, sorted: those that a statement names, and all that we know where it says ``*``."""
        named = {
            action.partition(":")[0].lower()
            for one in self._allows
            if not one.statement.not_action
            for action in one.statement.actions
            if action != "*"
        }
        return sorted(named | {service for service in _KNOWN if self.actions(service)})

    def actions(self, service: str) -> list[str]:
        """The actions that are known of a service and allowed, sorted."""
        return sorted(
            action
            for action in _KNOWN.get(service, ())
            if any(one.matches_action(f"{service}:{action}".lower()) for one in self._allows)
        )
