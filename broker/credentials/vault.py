"""Secrets in the store that are not credentials of ours: sealed under the master key, each bound to what it is for."""

from __future__ import annotations

import base64

from broker.credentials.sealing import seal, unseal
from broker.domain.secret import Secret


class Vault:
    """Seals and opens. ``purpose`` names the secret and whose it is: sealed for one, it opens for no other."""

    def __init__(self, master_key: bytes) -> None:
        self._master_key = master_key

    def seal(self, secret: Secret, purpose: str) -> str:
        """The sealed secret as base64, to be stored in JSON."""
        sealed = seal(self._master_key, secret.reveal().encode(), purpose=_bytes(purpose))
        return base64.b64encode(sealed).decode("ascii")

    def unseal(self, sealed: str, purpose: str) -> Secret:
        """The secret. Raises SealBroken if what is stored was changed, or sealed for another purpose."""
        return Secret(unseal(self._master_key, base64.b64decode(sealed), purpose=_bytes(purpose)).decode())


def _bytes(purpose: str) -> bytes:
    return b"vault\x00" + purpose.encode()
