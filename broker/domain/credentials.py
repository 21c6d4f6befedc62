"""The credentials that are handed out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from broker.domain.secret import Secret


@dataclass(frozen=True, slots=True)
class Credentials:
    """Temporary credentials (STS ``Credentials``); ``expiration`` is aware UTC."""

    access_key_id: str
    secret_access_key: Secret
    session_token: Secret
    expiration: datetime
