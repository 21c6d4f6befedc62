"""A person's name and password become a user, or a refusal that tells nothing.

Guessing is slowed down in three ways, none of which locks anybody out for long: for a user from one address, for an
address whatever the user, and for a user from wherever (1,000 an hour at most). The last does not hold for addresses
from which the user came with the right password before, so that a stranger who guesses does not keep the user out.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from broker.domain.secret import Secret
from broker.errors import AccessDenied, BrokerError, Throttled
from broker.iam.password_policy import password_policy_of
from broker.services import Services
from broker.store.entities import Entity, find_entity_by_name
from broker.store.login_profiles import LoginProfile, find_login_profile, note_sign_in, renew_hash
from broker.store.password_attempts import (
    Bucket,
    give_back_attempt,
    is_known_address,
    remember_address,
    take_attempt,
)

USER_AT_ADDRESS = Bucket(5, 60)
ADDRESS = Bucket(50, 10)
USER = Bucket(100, 4)
"""100 at once and 900 an hour."""

NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
"""Other texts are nobody's name, and not every database takes them."""
_WRONG = "Your authentication information is incorrect. Please try again."
_TOO_MANY = "Too many attempts. Please try again later."


@dataclass(frozen=True, slots=True)
class SignIn:
    """Who gave the right password; ``change_required``: it is good for nothing but to choose another one."""

    user: Entity
    change_required: bool


def verify_password(
    services: Services, account: str, user_name: str, password: Secret, address: str, now: datetime
) -> SignIn:
    """The user of this name and password.

    Raises AccessDenied, and in the same time, for a wrong password, a user that does not exist or has no password, and
    one whose password has run out where only an administrator may renew it. Raises Throttled, Unavailable.

    1. Count the attempt before anything is looked at.
    2. Compare with the stored hash, or with that of nobody.
    3. Give the attempt back.
    4. Ask whether the password is still good.
    """
    moment = int(now.timestamp())
    with services.database.read() as connection:
        user = find_entity_by_name(connection, account, "user", user_name if NAME.fullmatch(user_name) else "")
        profile = find_login_profile(connection, "" if user is None else user.id)
        policy = password_policy_of(connection, account)
    subject = _unknown(account, user_name) if user is None else user.id
    prove_password(services, subject, profile, password, address, moment)  # 1, 2, 3
    if user is None or profile is None:
        raise AccessDenied(_WRONG, detail="nobody has a password to prove")
    expires_at = None if policy is None else policy.expires_at(profile.changed_at)  # 4
    expired = expires_at is not None and expires_at <= moment
    if expired and policy is not None and policy.hard_expiry:
        raise AccessDenied(_WRONG, detail="the password has expired, and an administrator has to set another one")
    with services.database.write() as connection:
        note_sign_in(connection, user.id, moment)
    return SignIn(user, change_required=expired or profile.reset_required)


def prove_password(
    services: Services, subject: str, profile: LoginProfile | None, password: Secret, address: str, moment: int
) -> None:
    """Return if ``password`` is that of ``profile``. Raises AccessDenied, Throttled, Unavailable.

    ``subject`` is the unique id of the user, or what stands for a name that is nobody's.
    """
    buckets = attempts_of(subject, address)
    here = next(iter(buckets))
    with services.database.write() as connection:
        if is_known_address(connection, here):
            del buckets[f"user:{subject}"]
        taken = take_attempt(connection, buckets, moment)
    if not taken:
        raise Throttled(_TOO_MANY, detail="the password was not looked at")
    try:
        right = services.passwords.matches(None if profile is None else profile.password_hash, password)
        renewed = services.passwords.renewed(profile.password_hash, password) if right and profile else None
    except BrokerError:
        with services.database.write() as connection:
            give_back_attempt(connection, buckets)
        raise
    if profile is None or not right:
        raise AccessDenied(_WRONG, detail="no such user, or no password" if profile is None else "wrong password")
    with services.database.write() as connection:
        _welcome(connection, buckets, here, moment)
        if renewed is not None:
            renew_hash(connection, profile, renewed)


def attempts_of(subject: str, address: str) -> dict[str, Bucket]:
    """What an attempt counts for: the subject from this address (the first of them), the address, the subject."""
    place = _place(address)
    return {f"user:{subject}@{place}": USER_AT_ADDRESS, f"address:{place}": ADDRESS, f"user:{subject}": USER}


def _welcome(connection: Connection, buckets: dict[str, Bucket], here: str, moment: int) -> None:
    give_back_attempt(connection, buckets)
    remember_address(connection, here, moment)


def _place(address: str) -> str:
    """What counts as one address: of IPv6 the network that a household or a machine gets."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    return str(found) if found.version == 4 else str(ipaddress.ip_network((found, 64), strict=False))


def _unknown(account: str, user_name: str) -> str:
    """Names that are nobody's are counted as users are, or their attempts would be told apart."""
    return f"{account}:{hashlib.sha256(user_name.lower().encode('utf-8', 'replace')).hexdigest()}"
