"""The encoded message of a denial: why, for those who may know it (AWS STS DecodeAuthorizationMessage).

Sealed under the key ring, so that any node opens it and nobody else. Every message has the same length and none is
compressed: what a caller sends stands beside what the policy says, and a length would tell one from the other.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import datetime

from broker.credentials.keyring import KeyRing
from broker.credentials.sealing import SealBroken, seal, unseal
from broker.errors import InvalidAuthorizationMessage

_VERSION = 1
_HEAD = 1 + 4
_PLAINTEXT_BYTES = 4_096
LIMIT_BYTES = _PLAINTEXT_BYTES - len("123456789012\n")
"""The longest explanation, as compact JSON in ASCII."""

_PURPOSE = b"authorization-message\x00"
_INVALID = "The encoded authorization message is not valid."


def encode_message(ring: KeyRing, account: str, explanation: Mapping[str, object], now: datetime) -> str:
    """A message that principals of ``account`` may have decoded. ``explanation`` has ``LIMIT_BYTES`` at most."""
    key = ring.sealing_key(now)
    head = bytes((_VERSION,)) + key.key_id.to_bytes(4, "big")
    plaintext = f"{account}\n{json.dumps(explanation, separators=(',', ':'))}".encode("ascii")
    padded = plaintext.ljust(_PLAINTEXT_BYTES)
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
    account, _, explanation = padded.decode("ascii").rstrip().partition("\n")
    return account, explanation
