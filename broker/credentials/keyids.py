"""Access key ids and unique ids, shaped as AWS's.

An access key id is four letters and 16 base32 characters; the first six decoded bytes carry the account number
(reference: withsecure, "AWS account id from an access key id"), so that ``GetAccessKeyInfo`` needs no database.
The other 39 bits are random: the id is a name, never a secret, and what must be unguessable comes from elsewhere.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from functools import lru_cache

from broker.credentials.mac import hmac_sha256
from broker.errors import ValidationFailed
from broker.identifiers import random_bytes

LONG_TERM, TEMPORARY = "AKIA", "ASIA"
USER_ID, ROLE_ID, GROUP_ID, POLICY_ID, INSTANCE_PROFILE_ID = "AIDA", "AROA", "AGPA", "ANPA", "AIPA"

_TOP_BIT = 1 << 47
_ACCOUNT_MASK = 0x7FFFFFFFFF80
_ENTROPY_MASK = (1 << 39) - 1
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_BASE32_PAIRS = tuple(first + second for first in _BASE32 for second in _BASE32)


def new_access_key_id(prefix: str, account: str) -> str:
    """A fresh id of ``prefix`` (``AKIA`` or ``ASIA``) that names ``account`` (12 digits)."""
    return _encode(prefix, account, random_bytes(5))


def derived_access_key_id(account: str, key: bytes, handle: str) -> str:
    """The long-term id of a configured access key: the same on every node and at every start."""
    return _encode(LONG_TERM, account, hmac_sha256(key, handle.encode())[:5])


def _encode(prefix: str, account: str, entropy: bytes) -> str:
    """The account takes the first eight characters and one bit of the next."""
    head, bit = _account_characters(account)
    number = bit << 39 | int.from_bytes(entropy, "big") & _ENTROPY_MASK
    return prefix + head + "".join([_BASE32_PAIRS[number >> shift & 0x3FF] for shift in (30, 20, 10, 0)])


@lru_cache(maxsize=256)
def _account_characters(account: str) -> tuple[str, int]:
    number = _TOP_BIT >> 7 | int(account)
    return "".join([_BASE32_PAIRS[number >> shift & 0x3FF] for shift in (31, 21, 11, 1)]), number & 1


def account_of(access_key_id: str) -> str:
    """The 12-digit account number in an access key id. Raises ValidationFailed if it holds none."""
    try:
        raw = base64.b32decode(access_key_id[4:20])
    except (binascii.Error, ValueError) as error:
        raise ValidationFailed("Invalid Access Key Id.") from error
    account = (int.from_bytes(raw[:6], "big") & _ACCOUNT_MASK) >> 7
    if len(access_key_id) != 20 or account > 999_999_999_999:
        raise ValidationFailed("Invalid Access Key Id.")
    return f"{account:012d}"


def new_unique_id(prefix: str) -> str:
    """A unique id such as ``AROA`` and 17 base32 characters (IAM User Guide, "Unique identifiers")."""
    return prefix + "".join(secrets.choice(_BASE32) for _ in range(17))


def new_secret_access_key() -> str:
    """40 characters of 240 random bits."""
    return base64.b64encode(os.urandom(30)).decode("ascii")
