"""An assertion is redeemed once for each role, on all nodes together, until it expires (SAML Profiles 4.1.4.5).

So a client with several roles in one assertion can fetch each of them, and nobody who captured it can fetch one again.
A provider's registration may be stricter, once at all, or looser, again for the same role within a window. Whoever
signs in to the pages with an assertion uses it up.

The claim is written in the transaction that makes the audit record of what is issued durable: neither is there without
the other (``broker/audit/log.py``).
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from broker.store.assertion_claims import Claim
from broker.store.identity_providers import ProviderRecord
from providers.base import ExternalIdentity

_MARGIN_SECONDS = 120
"""A claim outlives its assertion: clocks of nodes differ, and the skew that is allowed may be raised meanwhile."""


def role_claim(record: ProviderRecord, identity: ExternalIdentity, role_arn: str, now: datetime) -> Claim:
    """The use of an assertion for a role."""
    replay = record.settings["replay"]
    once = replay == "once" or identity.one_time
    again = record.settings["reuse_seconds"] if replay == "window" and not once else 0
    return _claim(record, identity, "" if once else role_arn, now, again)


def whole_claim(record: ProviderRecord, identity: ExternalIdentity, now: datetime) -> Claim:
    """The use of an assertion for everything: nothing can be had for it any more."""
    return _claim(record, identity, "", now, 0)


def _claim(record: ProviderRecord, identity: ExternalIdentity, use: str, now: datetime, again: int) -> Claim:
    ends = int(identity.expires_at.timestamp()) + _MARGIN_SECONDS
    return Claim(_id(record, identity, use), _id(record, identity, ""), int(now.timestamp()), ends, again)


def _id(record: ProviderRecord, identity: ExternalIdentity, use: str) -> str:
    names = (record.arn, identity.assertion_id or "", use)
    return hashlib.sha256("\x00".join(names).encode()).hexdigest()
