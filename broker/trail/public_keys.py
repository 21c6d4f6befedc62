"""The public keys that digest files are verified with.

CloudTrail API Reference, "ListPublicKeys".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from broker.authorization import authorize
from broker.credentials.audit_ring import DIGESTS, public_key
from broker.errors import InvalidNextToken, InvalidTimeRange
from broker.services import Caller, Services
from broker.store.audit_keys import list_audit_keys

_VALID = timedelta(days=365)
"""How long from now on the key that signs today is said to be good."""


@dataclass(frozen=True, slots=True)
class DigestKey:
    """CloudTrail ``PublicKey``: PKCS#1 in DER, and its fingerprint, which digest files name."""

    value: bytes
    validity_start_time: datetime
    validity_end_time: datetime
    fingerprint: str


@dataclass(frozen=True, slots=True)
class DigestKeys:
    """CloudTrail ``ListPublicKeysResponse``."""

    public_key_list: tuple[DigestKey, ...]
    next_token: str | None = None


def list_public_keys(
    services: Services,
    caller: Caller,
    *,
    start_time: datetime | None = None,
    end_time: datetime | None = None,
    next_token: str | None = None,
) -> DigestKeys:
    """The keys of digest files of some time, without times that of now (CloudTrail ListPublicKeys).

    Raises AccessDenied, InvalidTimeRange, InvalidNextToken.
    """
    authorize(services, caller, "cloudtrail:ListPublicKeys", "*")
    start, end = start_time or caller.now, end_time or caller.now
    if start > end:
        raise InvalidTimeRange("The start time is after the end time.")
    if next_token is not None:
        raise InvalidNextToken("There is one page.")
    with services.database.read() as connection:
        rows = [row for row in list_audit_keys(connection) if row.algorithm == DIGESTS]
    keys, until = [], caller.now + _VALID
    for row in rows:
        since = datetime.fromtimestamp(row.active_from, UTC)
        keys.append(DigestKey(public_key(row).raw, since, until, row.id))
        until = since
    return DigestKeys(tuple(key for key in keys if key.validity_start_time <= end and key.validity_end_time >= start))
