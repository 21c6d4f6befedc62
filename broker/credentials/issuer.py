"""Issues temporary credentials: what was decided, sealed into a session token."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from datetime import datetime

from broker.credentials.keyids import TEMPORARY, new_access_key_id
from broker.credentials.keyring import KeyRing
from broker.credentials.session_token import SessionTooLarge, seal_session
from broker.domain.credentials import Credentials
from broker.domain.secret import Secret
from broker.domain.session import Session
from broker.errors import PackedPolicyTooLarge

PACKED_LIMIT_BYTES = 4_096
"""What session policies and tags may take of the token, compressed: 100 % of ``PackedPolicySize``."""


def packed_policy_size(policy: str | None, policy_arns: tuple[str, ...], tags: Mapping[str, str]) -> int | None:
    """The percentage that session policies and tags take of their room in the token; None if there are none.

    AWS does not publish its measure; ours is the size after compression. Raises PackedPolicyTooLarge over 100.
    """
    if policy is None and not policy_arns and not tags:
        return None
    text = "\x00".join([policy or "", *policy_arns, *(f"{key}={value}" for key, value in tags.items())])
    percent = math.ceil(100 * len(zlib.compress(text.encode(), 6)) / PACKED_LIMIT_BYTES)
    if percent > 100:
        raise PackedPolicyTooLarge(
            "The total packed size of the session policies and session tags combined was too large:"
            f" {percent}% of the limit."
        )
    return percent


class CredentialIssuer:
    """Mints credentials with the ring's newest key."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def issue(self, session: Session, *, now: datetime) -> Credentials:
        """Credentials for ``session``. Raises PackedPolicyTooLarge if it does not fit into a token."""
        access_key_id = new_access_key_id(TEMPORARY, session.account)
        try:
            token, secret = seal_session(self._ring.sealing_key(now), access_key_id, session)
        except SessionTooLarge:
            raise PackedPolicyTooLarge("The session does not fit into a session token.") from None
        return Credentials(access_key_id, Secret(secret), Secret(token), session.expires_at)
