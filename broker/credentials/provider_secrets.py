"""Secrets of identity providers: sealed under the master key, each bound to the provider that it is of."""

from __future__ import annotations

import base64

from broker.credentials.sealing import seal, unseal
from broker.domain.secret import Secret


def seal_bind_password(master_key: bytes, provider_arn: str, password: Secret) -> str:
    """The password of a directory's service account, as a record keeps it."""
    sealed = seal(master_key, password.reveal().encode(), purpose=_purpose(provider_arn))
    return base64.b64encode(sealed).decode("ascii")


def unseal_bind_password(master_key: bytes, provider_arn: str, sealed: str) -> Secret:
    """The password. Raises SealBroken if what is stored was changed, or is another provider's."""
    return Secret(unseal(master_key, base64.b64decode(sealed), purpose=_purpose(provider_arn)).decode())


def _purpose(provider_arn: str) -> bytes:
    return b"ldap-bind-password\x00" + provider_arn.encode()
