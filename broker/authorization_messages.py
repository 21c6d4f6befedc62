"""The encoded message of a denial: why, for those who may know it (AWS STS DecodeAuthorizationMessage).

Sealed under the key ring, so that any node opens it and nobody else; in steps of a fixed size, so that its length does
not tell a role that exists from one that does not.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from datetime import datetime

from broker.credentials.keyring import KeyRing
from broker.credentials.sealing import SealBroken, seal, unseal
from broker.errors import InvalidAuthorizationMessage

MAX_CHARACTERS = 10_240
"""The longest that ``EncodedMessage`` takes."""

_VERSION = 1
_HEAD = 1 + 4
_STEP_BYTES = 1_536
_MOST_BYTES = 4 * _STEP_BYTES
_PURPOSE = b"authorization-message\x00"
_INVALID = "The encoded authorization message is not valid."


def fits(explanation: Mapping[str, object]) -> bool:
    """Whether an explanation is small enough for a message."""
    return len(_pack("0" * 12, explanation)) <= _MOST_BYTES


def encode_message(ring: KeyRing, account: str, explanation: Mapping[str, object], now: datetime) -> str:
    """A message that principals of ``account`` may have decoded; at most ``MAX_CHARACTERS`` if it ``fits``."""
    key = ring.sealing_key(now)
    head = bytes((_VERSION,)) + key.key_id.to_bytes(4, "big")
    packed = _pack(account, explanation)
    padded = packed + bytes(-len(packed) % _STEP_BYTES)
    return base64.urlsafe_b64encode(head + seal(key.material, padded, purpose=_PURPOSE + head)).decode("ascii")


def decode_message(ring: KeyRing, text: str) -> tuple[str, str]:
    """The account whose principals may read it, and the explanation as JSON. Raises InvalidAuthorizationMessage."""
    try:
        raw = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidAuthorizationMessage(_INVALID, detail="not base64") from None
    key = ring.find(int.from_bytes(raw[1:_HEAD], "big")) if raw[:1] == bytes((_VERSION,)) else None
    if key is None:
        raise InvalidAuthorizationMessage(_INVALID, detail="unknown version or key")
    try:
        padded = unseal(key.material, raw[_HEAD:], purpose=_PURPOSE + raw[:_HEAD])
    except SealBroken:
        raise InvalidAuthorizationMessage(_INVALID, detail="not authentic") from None
    account, _, explanation = zlib.decompressobj().decompress(padded).decode("ascii").partition("\n")
    return account, explanation


def _pack(account: str, explanation: Mapping[str, object]) -> bytes:
    return zlib.compress(f"{account}\n{json.dumps(explanation, separators=(',', ':'))}".encode("ascii"))
