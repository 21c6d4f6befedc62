"""TOTP codes (RFC 6238) of users' devices: each code counts once, and guessing is slowed down."""

from __future__ import annotations

import binascii
import hmac
from datetime import datetime

import pyotp
from sqlalchemy import Connection

from broker.credentials.sealing import seal, unseal
from broker.domain.principal import Principal
from broker.domain.secret import Secret
from broker.errors import AccessDenied
from broker.store.engine import Database
from broker.store.mfa_devices import MfaDevice, accept_step, count_failure, find_mfa_device

STEP_SECONDS = 30
_DRIFT_STEPS = 1
"""A device's clock may be one step off, either way (RFC 6238, 5.2)."""
_PAIR_STEPS = 3
"""The first of two codes may be so many steps old: the second had to be waited for."""
_ISSUER = "Accredit"
_FREE_FAILURES = 5
_PAUSE_SECONDS = 60
"""After five wrong codes in a row each further one costs this pause: three codes of a million are right at a time."""

_FAILED = (
    "MultiFactorAuthentication failed, unable to validate MFA code."
    " Please verify your MFA serial number is valid and associated with this user."
)
_WRONG = "MultiFactorAuthentication failed with invalid MFA one time pass code."


class MfaVerifier:
    """Checks codes against the devices in the store."""

    def __init__(self, database: Database, master_key: bytes) -> None:
        self._database = database
        self._master_key = master_key

    def verify(self, principal: Principal, serial_number: str | None, token_code: Secret | None, now: datetime) -> None:
        """Return if ``token_code`` is the present code of the principal's own device, and was not used before.

        Raises AccessDenied, as AWS answers a wrong, missing or repeated code.
        """
        if serial_number is None or token_code is None:
            raise AccessDenied(_FAILED, detail="a serial number and a code are needed together")
        with self._database.read() as connection:
            device = find_mfa_device(connection, serial_number)
        if device is None or not _belongs(device, principal):
            raise AccessDenied(_FAILED, detail="no such device of this user")
        with self._database.write() as connection:  # in turn: attempts made at once are counted each
            problem = self._judge(connection, serial_number, token_code.reveal(), int(now.timestamp()))
        if problem is not None:
            raise AccessDenied(_WRONG, detail=problem)

    def _judge(self, connection: Connection, serial_number: str, code: str, moment: int) -> str | None:
        """Use the code up, or count the failure; what is wrong with it."""
        device = find_mfa_device(connection, serial_number)
        if device is None:
            return "the device is gone"
        if device.failures >= _FREE_FAILURES and moment < device.failed_at + _PAUSE_SECONDS:
            return "too many wrong codes: none is looked at for a minute"
        step = _matching_step(open_seed(self._master_key, device), code, moment)
        if step is None:
            count_failure(connection, serial_number, moment)
            return "wrong code"
        return None if accept_step(connection, serial_number, step) else "the code was used before"


def consecutive_steps(seed: str, first: Secret, second: Secret, moment: int) -> tuple[int, int] | None:
    """The time steps of two codes that follow each other, lately: what shows that somebody has the device at hand."""
    now = moment // STEP_SECONDS
    totp, found = pyotp.TOTP(seed, interval=STEP_SECONDS), None
    for step in range(now - _PAIR_STEPS, now + 1):
        codes = totp.generate_otp(step) + totp.generate_otp(step + 1)
        if hmac.compare_digest(codes.encode(), (first.reveal() + second.reveal()).encode("utf-8", "replace")):
            found = (step, step + 1)
    return found


def new_seed() -> str:
    """A seed of 320 random bits, in base32, as long as AWS's."""
    return pyotp.random_base32(64)


def provisioning_uri(seed: str, device: str, account: str) -> str:
    """What authenticator applications read: ``otpauth://totp/…``."""
    return pyotp.TOTP(seed, interval=STEP_SECONDS).provisioning_uri(name=f"{device}@{account}", issuer_name=_ISSUER)


def seal_seed(master_key: bytes, serial_number: str, seed: str) -> bytes:
    """A device's seed (base32) as it is stored."""
    return seal(master_key, seed.encode("ascii"), purpose=_purpose(serial_number))


def open_seed(master_key: bytes, device: MfaDevice) -> str:
    return unseal(master_key, device.sealed_seed, purpose=_purpose(device.serial_number)).decode("ascii")


def is_seed(text: str) -> bool:
    """Whether ``text`` is base32 of at least 80 bits, as authenticator applications take it."""
    try:
        return len(pyotp.TOTP(text).byte_secret()) >= 10
    except (binascii.Error, ValueError):
        return False


def _belongs(device: MfaDevice, principal: Principal) -> bool:
    owner = device.user_id or device.account
    return device.enabled_at is not None and device.account == principal.account and owner == principal.unique_id


def _matching_step(seed: str, code: str, moment: int) -> int | None:
    """The time step of which ``code`` is the code; every candidate is compared."""
    now, found = moment // STEP_SECONDS, None
    totp = pyotp.TOTP(seed, interval=STEP_SECONDS)
    for step in range(now - _DRIFT_STEPS, now + _DRIFT_STEPS + 1):
        if hmac.compare_digest(totp.generate_otp(step).encode(), code.encode("utf-8", "replace")):
            found = step
    return found


def _purpose(serial_number: str) -> bytes:
    return b"mfa-device\x00" + serial_number.encode()
