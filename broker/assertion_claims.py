"""An assertion is redeemed once for each role, on all nodes together, until it expires (SAML Profiles 4.1.4.5).

So a client with several roles in one assertion can fetch each of them, and nobody who captured it can fetch one again.
A provider's registration may be stricter, once at all, or looser, again for the same role within a window.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from broker.errors import AssertionReplayed
from broker.store.assertion_claims import claim
from broker.store.engine import Database
from broker.store.identity_providers import ProviderRecord
from providers.base import ExternalIdentity

_MARGIN_SECONDS = 120
"""A claim outlives its assertion: clocks of nodes differ, and the skew that is allowed may be raised meanwhile."""


class AssertionClaims:
    """Who claims first has it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, record: ProviderRecord, identity: ExternalIdentity, role_arn: str, now: datetime) -> bool:
        """Redeem the assertion for this role; whether it was used again, as the provider's registration allows.

        Raises AssertionReplayed.
        """
        once = record.settings["replay"] == "once" or identity.one_time
        names = (record.arn, identity.assertion_id or "", "" if once else role_arn)
        claim_id = hashlib.sha256("\x00".join(names).encode()).hexdigest()
        moment = int(now.timestamp())
        with self._database.write() as connection:
            before = claim(
                connection,
                claim_id,
                now=moment,
                expires_at=int(identity.expires_at.timestamp()) + _MARGIN_SECONDS,
            )
        if before is None:
            return False
        if record.settings["replay"] == "window" and not once and moment - before < record.settings["reuse_seconds"]:
            return True
        raise AssertionReplayed("Response has already been redeemed", detail="the assertion was used before")
