"""Provider ARN -> live identity provider, kept as long as its registration stays the same."""

from __future__ import annotations

from broker.store.identity_providers import ProviderRecord
from providers.base import IdentityProvider
from providers.fetch import Fetcher
from providers.registry import FACTORIES, Surroundings

_MAX_PROVIDERS = 1_024


class ProviderPool:
    """Builds each registered provider once."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._live: dict[str, tuple[ProviderRecord, IdentityProvider]] = {}

    @property
    def fetcher(self) -> Fetcher:
        """How providers are reached."""
        return self._surroundings.fetcher

    def get(self, record: ProviderRecord) -> IdentityProvider:
        """The provider of this registration, built anew if the registration has changed."""
        known = self._live.get(record.arn)
        if known is not None and (known[0] is record or known[0] == record):
            return known[1]
        if len(self._live) >= _MAX_PROVIDERS:
            self._live.clear()
        provider = FACTORIES[record.kind](record.arn, record.settings, self._surroundings)
        self._live[record.arn] = (record, provider)
        return provider
