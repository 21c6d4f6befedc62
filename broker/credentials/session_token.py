"""The session token: opaque to clients, and all that a node needs to know of a session.

Layout, in base64: version (1 byte) | key id (4) | salt (16) | AES-256-GCM of the session (see ``sealing``).
The access key id is bound as the seal's purpose: a token opens only beside the id it was issued with. The secret
access key is derived from the same key, the id and the salt, so that any node verifies a request with no database.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from dataclasses import dataclass

import msgspec

from broker.credentials.mac import lasting_hmac_sha256
from broker.credentials.sealing import OVERHEAD_BYTES, SALT_BYTES, SealBroken, seal, unseal
from broker.domain.session import Session
from broker.identifiers import unique_salt

VERSION = 2
MAX_TOKEN_CHARACTERS = 8_000
"""Below nginx's default buffer for one header line (8 KiB)."""

_HEAD = 1 + 4
_MAX_SESSION_BYTES = 64 * 1024
_COMPRESS_FROM_BYTES = 1_024
_PLAIN, _DEFLATED = b"\x00", b"\x01"


class TokenInvalid(Exception):
    """Not a token of ours, changed, or issued with another access key id."""


class SessionTooLarge(Exception):
    """The session does not fit into a token."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Session).decode


@dataclass(frozen=True, slots=True)
class TokenKey:
    """One key of the ring; ``key_id`` is public and only chooses among the ring's keys."""

    key_id: int
    material: bytes


def seal_session(key: TokenKey, access_key_id: str, session: Session) -> tuple[str, str]:
    """The session token and the secret access key that goes with it. Raises SessionTooLarge."""
    salt = unique_salt()
    head = bytes((VERSION,)) + key.key_id.to_bytes(4, "big")
    sealed = seal(key.material, _pack(session), purpose=_purpose(head, access_key_id), salt=salt)
    token = base64.b64encode(head + sealed).decode("ascii")
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise SessionTooLarge
    return token, _secret(key, access_key_id, salt)


class UnverifiedToken(msgspec.Struct, frozen=True):
    """A token cut into its parts, nothing of it believed yet."""

    unverified_key_id: int
    head: bytes
    sealed: bytes


def parse_token(text: str) -> UnverifiedToken:
    """Cut a token into its parts. Raises TokenInvalid."""
    if len(text) > MAX_TOKEN_CHARACTERS:
        raise TokenInvalid("too long")
    try:
        raw = binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError):
        raise TokenInvalid("not base64") from None
    if len(raw) <= _HEAD + OVERHEAD_BYTES or raw[0] != VERSION:
        raise TokenInvalid("unknown version")
    if base64.b64encode(raw).decode("ascii") != text:
        raise TokenInvalid("not canonical base64")
    return UnverifiedToken(int.from_bytes(raw[1:_HEAD], "big"), raw[:_HEAD], raw[_HEAD:])


def open_token(key: TokenKey, access_key_id: str, token: UnverifiedToken) -> tuple[Session, str]:
    """The session and the secret access key of ``access_key_id``. Raises TokenInvalid."""
    try:
        packed = unseal(key.material, token.sealed, purpose=_purpose(token.head, access_key_id))
    except (SealBroken, UnicodeEncodeError):
        raise TokenInvalid("not authentic") from None
    return _unpack(packed), _secret(key, access_key_id, token.sealed[:SALT_BYTES])


def _purpose(head: bytes, access_key_id: str) -> bytes:
    return b"session-token\x00" + head + access_key_id.encode("ascii")


def _secret(key: TokenKey, access_key_id: str, salt: bytes) -> str:
    message = b"accredit-secret-access-key\x00" + salt + access_key_id.encode("ascii")
    return base64.b64encode(lasting_hmac_sha256(key.material, message)[:30]).decode("ascii")


def _pack(session: Session) -> bytes:
    packed = _encode(session)
    if len(packed) > _MAX_SESSION_BYTES:
        raise SessionTooLarge
    return _PLAIN + packed if len(packed) < _COMPRESS_FROM_BYTES else _DEFLATED + zlib.compress(packed, 6)


def _unpack(packed: bytes) -> Session:
    body = packed[1:]
    try:
        if packed[:1] == _DEFLATED:
            body = zlib.decompressobj().decompress(body, _MAX_SESSION_BYTES)
        return _decode(body)
    except (zlib.error, msgspec.DecodeError):
        raise TokenInvalid("not readable") from None
