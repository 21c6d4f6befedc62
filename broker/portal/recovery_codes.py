"""Recovery codes: ten for each user, each good once in the place of a second factor that is lost."""

from __future__ import annotations

import secrets
from datetime import datetime

from broker.credentials.mac import lasting_hmac_sha256
from broker.domain.role import User
from broker.errors import AccessDenied, Throttled
from broker.services import Services
from broker.store.passkeys import use_recovery_code
from broker.store.password_attempts import Bucket, give_back_attempt, take_attempt

COUNT = 10
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without letters and digits that look alike."""
_LENGTH = 10
"""Almost 50 bits: beyond guessing at the rate that is allowed."""
_ATTEMPTS = Bucket(5, 180)


def new_codes() -> list[str]:
    return ["".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH)) for _ in range(COUNT)]


def shown(code: str) -> str:
    """As people read it: ``abcde-fghjk``."""
    return f"{code[: _LENGTH // 2]}-{code[_LENGTH // 2 :]}"


def code_digest(services: Services, user: User, code: str) -> str:
    """As the store has it: nobody who reads the store alone can try codes."""
    text = code.lower().replace("-", "").replace(" ", "")
    message = f"recovery-code\x00{user.user_id}\x00{text}".encode("utf-8", "replace")
    return lasting_hmac_sha256(services.master_key, message).hex()


def use_code(services: Services, user: User, code: str, now: datetime) -> None:
    """Use the code up. Raises AccessDenied if the user has no such code, Throttled after five that were none."""
    subject = f"recovery:{user.user_id}"
    with services.database.write() as connection:
        if not take_attempt(connection, {subject: _ATTEMPTS}, int(now.timestamp())):
            raise Throttled("Too many attempts. Please try again later.")
    with services.database.write() as connection:
        right = use_recovery_code(connection, user.user_id, code_digest(services, user, code[:64]))
        if right:
            give_back_attempt(connection, [subject])
    if not right:
        raise AccessDenied("This is none of your recovery codes.", detail="wrong or used recovery code")
