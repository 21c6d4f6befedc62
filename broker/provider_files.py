"""The files of an identity provider's registration: can they be used at all? Asked before they are stored."""

from __future__ import annotations

import ssl

from broker.errors import ConfigurationError
from providers.errors import ProviderError
from providers.oidc.jwks import parse_jwks


def check_jwks(text: str) -> None:
    """Raises ConfigurationError if no key of the set could verify anything."""
    try:
        keys = parse_jwks(text.encode())
    except ProviderError as error:
        raise ConfigurationError(f"is no JWKS: {error.detail or error.message}") from None
    if not keys:
        raise ConfigurationError("has no key that can verify signatures")


def check_authority(text: str) -> None:
    """Raises ConfigurationError if TLS could not trust this PEM."""
    try:
        if not text.strip() or not ssl.create_default_context(cadata=text).cert_store_stats()["x509"]:
            raise ConfigurationError("has no certificate")
    except (ssl.SSLError, TypeError, ValueError) as error:  # TypeError: PEM is ASCII
        raise ConfigurationError(f"is no PEM certificate: {error}") from None
