"""A security key in software: makes a key pair, and signs what an authenticator signs (W3C Web Authentication, 6)."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class SoftKey:
    """``origin`` and ``party`` are what the browser would put in; tests change them."""

    def __init__(self, origin: str, party: str) -> None:
        self.origin, self.party = origin, party
        self.credential_id = secrets.token_bytes(32)
        self.counter = 0
        self.flags = PRESENT | VERIFIED
        self._private = ec.generate_private_key(ec.SECP256R1())

    def create(self, options: dict[str, Any], **more: Any) -> str:
        """The answer to ``navigator.credentials.create``."""
        numbers = self._private.public_key().public_numbers()
        public = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})
        attested = bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id + public
        attestation = {"fmt": "none", "attStmt": {}, "authData": self._data(ATTESTED) + attested} | more
        response = {
            "clientDataJSON": text(self._client("webauthn.create", options)),
            "attestationObject": text(cbor2.dumps(attestation)),
            "transports": ["usb", "made-up"],
        }
        return self._answer(response)

    def get(self, options: dict[str, Any]) -> str:
        """The answer to ``navigator.credentials.get``."""
        self.counter += 1
        data, client = self._data(0), self._client("webauthn.get", options)
        signature = self._private.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        response = {
            "clientDataJSON": text(client),
            "authenticatorData": text(data),
            "signature": text(signature),
        }
        return self._answer(response)

    def _data(self, more: int) -> bytes:
        return (
            hashlib.sha256(self.party.encode()).digest() + bytes([self.flags | more]) + self.counter.to_bytes(4, "big")
        )

    def _client(self, kind: str, options: dict[str, Any]) -> bytes:
        return json.dumps({"type": kind, "challenge": options["challenge"], "origin": self.origin}).encode()

    def _answer(self, response: dict[str, Any]) -> str:
        named = text(self.credential_id)
        return json.dumps({"id": named, "rawId": named, "type": "public-key", "response": response})
