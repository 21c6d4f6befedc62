"""Signed tree heads: C2SP tlog-checkpoint in a signed note, readable by people and by the tools of other logs.

A head is the text "origin, size, root hash, time", a line each; the note adds a blank line and a line for each
signature. Whoever has the verifier key (C2SP signed-note, ``NAME+KEYID+KEY``) can check one without anything else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from broker.audit.merkle import HASH_BYTES
from broker.domain.moment import iso_seconds

_ED25519 = b"\x01"
_ID_BYTES = 4
_MAX_NOTE = 64 * 1024
_SIGNATURE = re.compile("— ([^ +]+) ([A-Za-z0-9+/]+={0,2})")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


class NoteRefused(Exception):
    """A note or a key is malformed, or nobody whose key is known signed it."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a tree head says: these are all the events of ``origin`` until ``time``."""

    origin: str
    size: int
    root: bytes
    time: datetime


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key (32 bytes, Ed25519) and the name it signs under."""

    name: str
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """The hint that stands before each signature."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public_key).digest()[:_ID_BYTES]

    def text(self) -> str:
        """The verifier key as it is published."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(_ED25519 + self.public_key).decode()}"


def parse_verifiers(text: str) -> list[Verifier]:
    """Verifier keys, one a line; empty lines and those that begin with ``#`` do not count. Raises NoteRefused."""
    lines = (line.strip() for line in text.splitlines())
    found = [_parse_verifier(line) for line in lines if line and not line.startswith("#")]
    if not found:
        raise NoteRefused("there is no verifier key")
    return found


def _parse_verifier(line: str) -> Verifier:
    name, _, rest = line.partition("+")
    key_id, _, encoded = rest.partition("+")
    raw = _decode(encoded)
    if raw[:1] != _ED25519 or len(raw) != 33 or not name:
        raise NoteRefused("a verifier key is not NAME+KEYID+KEY with an Ed25519 key")
    verifier = Verifier(name, raw[1:])
    if verifier.key_id.hex() != key_id:
        raise NoteRefused("a verifier key's id is not that of the key")
    return verifier


def render_head(head: Head) -> str:
    """The text that is signed."""
    root = base64.b64encode(head.root).decode()
    return f"{head.origin}\n{head.size}\n{root}\ntime {iso_seconds(head.time)}\n"


def render_note(text: str, signatures: Iterable[tuple[Verifier, bytes]]) -> str:
    """``text`` with its signatures, which were made over it."""
    lines = [f"— {key.name} {base64.b64encode(key.key_id + raw).decode()}\n" for key, raw in signatures]
    return f"{text}\n{''.join(lines)}"


def open_head(note: str, verifiers: Sequence[Verifier]) -> Head:
    """The head in a note that one of ``verifiers`` signed. Raises NoteRefused."""
    if len(note) > _MAX_NOTE:
        raise NoteRefused("the note is too long")
    text, found, signatures = note.rpartition("\n\n")
    if not found:
        raise NoteRefused("the note has no signature")
    text += "\n"
    _verify(text, signatures, verifiers)
    return _parse_head(text)


def split_notes(text: str) -> list[str]:
    """The notes of an anchor file, in which each ends with a blank line."""
    notes: list[str] = []
    lines: list[str] = []
    for line in text.splitlines():
        if line or not lines or not lines[-1].startswith("— "):
            lines.append(line)
        if not line and lines and lines[-1].startswith("— "):
            notes.append("\n".join(lines) + "\n")
            lines = []
    if any(lines):
        notes.append("\n".join(lines) + "\n")
    return notes


def _verify(text: str, signatures: str, verifiers: Sequence[Verifier]) -> None:
    for line in signatures.splitlines():
        parts = _SIGNATURE.fullmatch(line)
        if parts is None:
            raise NoteRefused("a signature line is malformed")
        raw = _decode(parts[2])
        for verifier in verifiers:
            if (parts[1], raw[:_ID_BYTES]) != (verifier.name, verifier.key_id):
                continue
            try:
                Ed25519PublicKey.from_public_bytes(verifier.public_key).verify(raw[_ID_BYTES:], text.encode())
            except InvalidSignature:
                raise NoteRefused("the signature of a known key is not valid") from None
            return
    raise NoteRefused("no known key signed the note")


def _parse_head(text: str) -> Head:
    lines = text.splitlines()
    if len(lines) < 4 or not _SIZE.fullmatch(lines[1]) or not lines[3].startswith("time "):
        raise NoteRefused("the note is no tree head")
    root = _decode(lines[2])
    if len(root) != HASH_BYTES:
        raise NoteRefused("the root hash is not of 32 bytes")
    try:
        time = datetime.fromisoformat(lines[3].removeprefix("time ")).astimezone(UTC)
    except ValueError:
        raise NoteRefused("the head's time is none") from None
    return Head(lines[0], int(lines[1]), root, time)


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteRefused("the note is not base64 where it should be") from None
