"""Secrets of identity providers: sealed under the master key, each bound to the provider that it is of."""

from __future__ import annotations

import base64

from broker.credentials.sealing import seal, unseal
from broker.domain.secret import Secret

_BIND_PASSWORD, _CLIENT_SECRET = b"ldap-bind-password", b"oidc-client-secret"


def seal_bind_password(master_key: bytes, provider_arn: str, password: Secret) -> str:
    """The password of a directory's service account, as a record keeps it."""
    return _seal(master_key, _BIND_PASSWORD, provider_arn, password)


def unseal_bind_password(master_key: bytes, provider_arn: str, sealed: str) -> Secret:
    """The password. Raises SealBroken if what is stored was changed, or is another provider's."""
    return _unseal(master_key, _BIND_PASSWORD, provider_arn, sealed)


def seal_client_secret(master_key: bytes, provider_arn: str, secret: Secret) -> str:
    """Our secret at an OpenID Connect provider, as a record keeps it."""
    return _seal(master_key, _CLIENT_SECRET, provider_arn, secret)


def unseal_client_secret(master_key: bytes, provider_arn: str, sealed: str) -> Secret:
    """The secret. Raises SealBroken."""
    return _unseal(master_key, _CLIENT_SECRET, provider_arn, sealed)


def _seal(master_key: bytes, kind: bytes, provider_arn: str, secret: Secret) -> str:
    sealed = seal(master_key, secret.reveal().encode(), purpose=kind + b"\x00" + provider_arn.encode())
    return base64.b64encode(sealed).decode("ascii")


def _unseal(master_key: bytes, kind: bytes, provider_arn: str, sealed: str) -> Secret:
    purpose = kind + b"\x00" + provider_arn.encode()
    return Secret(unseal(master_key, base64.b64decode(sealed), purpose=purpose).decode())
