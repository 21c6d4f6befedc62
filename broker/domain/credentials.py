"""The credentials that are handed out."""

from __future__ import annotations

from datetime import datetime

import msgspec

from broker.domain.secret import Secret


class Credentials(msgspec.Struct, frozen=True):
    """Temporary credentials (STS ``Credentials``); ``expiration`` is aware UTC."""

    access_key_id: str
    secret_access_key: Secret
    session_token: Secret
    expiration: datetime
