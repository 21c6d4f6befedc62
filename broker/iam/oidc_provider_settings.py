"""What AWS's operations cannot say of an OpenID Connect provider: extension operations, named as AWS would.

An uploaded JWKS is for issuers that cannot be reached: nothing is fetched then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from broker.errors import ConfigurationError, InvalidInput
from broker.iam.oidc_providers import update_settings
from broker.iam.registrations import OIDC, authorized_provider
from broker.provider_files import check_authority, check_jwks
from broker.services import Caller, Services


@dataclass(frozen=True, slots=True)
class OidcProviderSettings:
    """``GetOpenIDConnectProviderSettingsResponse``. Times are in seconds."""

    jwks_document: str | None
    certificate_authority: str | None
    leeway_seconds: int
    max_lifetime_seconds: int
    allow_several_audiences: bool


def get_open_id_connect_provider_settings(
    services: Services, caller: Caller, *, open_id_connect_provider_arn: str
) -> OidcProviderSettings:
    """How the provider's tokens are judged."""
    action = "iam:GetOpenIDConnectProviderSettings"
    settings = authorized_provider(services, caller, action, OIDC, open_id_connect_provider_arn).record.settings
    return OidcProviderSettings(
        settings["jwks"],
        settings["ca"],
        settings["leeway_seconds"],
        settings["max_lifetime_seconds"],
        settings["allow_several_audiences"],
    )


def update_open_id_connect_provider_settings(
    services: Services,
    caller: Caller,
    *,
    open_id_connect_provider_arn: str,
    jwks_document: str | None = None,
    certificate_authority: str | None = None,
    leeway_seconds: int | None = None,
    max_lifetime_seconds: int | None = None,
    allow_several_audiences: bool | None = None,
) -> None:
    """Change those that are given; an empty document is taken away. Raises InvalidInput."""
    changed: dict[str, Any] = {
        "leeway_seconds": leeway_seconds,
        "max_lifetime_seconds": max_lifetime_seconds,
        "allow_several_audiences": allow_several_audiences,
    }
    changed = {name: value for name, value in changed.items() if value is not None}
    if jwks_document is not None:
        changed["jwks"] = usable("JWKSDocument", jwks_document, check_jwks)
    if certificate_authority is not None:
        changed["ca"] = usable("CertificateAuthority", certificate_authority, check_authority)
    action = "iam:UpdateOpenIDConnectProviderSettings"
    update_settings(services, caller, action, open_id_connect_provider_arn, lambda _: changed)


def usable(name: str, text: str, check: Callable[[str], None]) -> str | None:
    """The document, if ``check`` has nothing against it; None for an empty one. Raises InvalidInput."""
    if not text:
        return None
    try:
        check(text)
    except ConfigurationError as error:
        raise InvalidInput(f"{name} {error.message}") from None
    return text
