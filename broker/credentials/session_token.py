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
from datetime import UTC, datetime

import msgspec

from broker.credentials.mac import lasting_hmac_sha256
from broker.credentials.sealing import OVERHEAD_BYTES, SALT_BYTES, SealBroken, seal, unseal
from broker.domain.session import Session, SessionKind
from broker.identifiers import unique_salt

VERSION = 1
MAX_TOKEN_CHARACTERS = 8_000
"""Below nginx's default buffer for one header line (8 KiB)."""

_HEAD = 1 + 4
_MAX_SESSION_BYTES = 64 * 1024
_COMPRESS_FROM_BYTES = 1_024
_KINDS = {kind.value: kind for kind in SessionKind}
_PLAIN, _DEFLATED = b"\x00", b"\x01"


class TokenInvalid(Exception):
    """Not a token of ours, changed, or issued with another access key id."""


class SessionTooLarge(Exception):
    """The session does not fit into a token."""


class _Claims(msgspec.Struct, array_like=True, frozen=True):
    """The wire order; fields are only ever appended, a change of meaning is a new VERSION."""

    account: str
    owner_arn: str
    owner_id: str
    session_name: str
    issued_at: int
    expires_at: int
    chained: bool
    tags: dict[str, str]
    transitive_tag_keys: tuple[str, ...]
    source_identity: str | None
    session_policy: str | None
    session_policy_arns: tuple[str, ...]
    provider: str | None
    federation: dict[str, tuple[str, ...]]
    mfa_authenticated_at: int | None
    kind: str
    ancestors: tuple[str, ...]
    subject: tuple[str, str] | None
    chain_started_at: int | None
    source_account: str | None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Claims).decode


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


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
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
    packed = _encode(
        _Claims(
            session.account,
            session.owner_arn,
            session.owner_id,
            session.session_name,
            int(session.issued_at.timestamp()),
            int(session.expires_at.timestamp()),
            session.chained,
            dict(session.tags),
            session.transitive_tag_keys,
            session.source_identity,
            session.session_policy,
            session.session_policy_arns,
            session.provider,
            dict(session.federation),
            int(session.mfa_authenticated_at.timestamp()) if session.mfa_authenticated_at else None,
            session.kind.value,
            session.ancestors,
            session.subject,
            int(session.chain_started_at.timestamp()) if session.chain_started_at else None,
            session.source_account,
        )
    )
    if len(packed) > _MAX_SESSION_BYTES:
        raise SessionTooLarge
    return _PLAIN + packed if len(packed) < _COMPRESS_FROM_BYTES else _DEFLATED + zlib.compress(packed, 6)


def _unpack(packed: bytes) -> Session:
    body = packed[1:]
    try:
        if packed[:1] == _DEFLATED:
            body = zlib.decompressobj().decompress(body, _MAX_SESSION_BYTES)
        claims = _decode(body)
    except (zlib.error, msgspec.DecodeError):
        raise TokenInvalid("not readable") from None
    mfa = claims.mfa_authenticated_at
    return Session(
        claims.account,
        claims.owner_arn,
        claims.owner_id,
        claims.session_name,
        datetime.fromtimestamp(claims.issued_at, UTC),
        datetime.fromtimestamp(claims.expires_at, UTC),
        claims.chained,
        claims.tags,
        claims.transitive_tag_keys,
        claims.source_identity,
        claims.session_policy,
        claims.session_policy_arns,
        claims.provider,
        claims.federation,
        datetime.fromtimestamp(mfa, UTC) if mfa is not None else None,
        _KINDS[claims.kind],
        claims.ancestors,
        claims.subject,
        datetime.fromtimestamp(claims.chain_started_at, UTC) if claims.chain_started_at is not None else None,
        claims.source_account,
    )
