"""Provider ARN -> live identity provider, kept as long as its registration stays the same."""

from __future__ import annotations

from collections.abc import Callable

from broker.store.identity_providers import ProviderRecord
from providers.base import IdentityProvider

ProviderFactory = Callable[[ProviderRecord], IdentityProvider]

_MAX_PROVIDERS = 1_024


class ProviderPool:
    """Builds each registered provider once."""

    def __init__(self, factories: dict[str, ProviderFactory]) -> None:
        self._factories = factories
        self._live: dict[str, tuple[ProviderRecord, IdentityProvider]] = {}

    def get(self, record: ProviderRecord) -> IdentityProvider:
        """The provider of this registration, built anew if the registration has changed."""
        known = self._live.get(record.arn)
        if known is not None and (known[0] is record or known[0] == record):
            return known[1]
        if len(self._live) >= _MAX_PROVIDERS:
            self._live.clear()
        provider = self._factories[record.kind](record)
        self._live[record.arn] = (record, provider)
        return provider
