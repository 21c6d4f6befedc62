"""What we are towards a SAML provider that people sign in at: names, addresses, and a key of its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from broker.domain.arn import Arn
from broker.saml_providers import seal_private_key, unseal_private_key
from broker.services import Services
from broker.store.identity_providers import ProviderRecord, find_provider_by_arn, set_provider_settings
from providers.saml.bindings import POST, REDIRECT
from providers.saml.provider import SamlProvider
from providers.saml.service import RequestRules, ServiceProvider
from providers.saml.service_key import make_service_key

BINDINGS = {"Redirect": REDIRECT, "POST": POST}


def live_provider(services: Services, record: ProviderRecord) -> SamlProvider:
    """What verifies the provider's messages."""
    provider = services.providers.get(record)
    assert isinstance(provider, SamlProvider)  # of kind "saml"
    return provider


def service_provider(services: Services, record: ProviderRecord, now: datetime) -> ServiceProvider:
    """Us, as this provider knows us. The key is made when it is needed first."""
    settings = record.settings
    key = settings["service_key"] or _make_key(services, record, now)
    return ServiceProvider(
        entity_id=settings["audiences"][0],
        acs_urls=tuple(settings["acs_urls"]),
        logout_url=logout_url(services, record),
        certificate=key["certificate"],
        private_key=unseal_private_key(services.master_key, record.arn, key["sealed"]),
        rules=RequestRules(
            force_authn=settings["force_authn"],
            name_format=settings["name_id_format"],
            binding=BINDINGS[settings["request_binding"]],
            sign=settings["sign_requests"],
        ),
    )


def logout_url(services: Services, record: ProviderRecord) -> str:
    """Where the provider says that a session is over, or that it has ended one for us."""
    return f"{services.settings.saml_entity_id(record.account, Arn.parse(record.arn).name)}/slo"


def _make_key(services: Services, record: ProviderRecord, now: datetime) -> dict[str, str]:
    """The key of the provider, which somebody else may just have made."""
    private, certificate = make_service_key(Arn.parse(record.arn).name, now)
    made = {"sealed": seal_private_key(services.master_key, record.arn, private), "certificate": certificate}
    with services.database.change() as connection:
        current = find_provider_by_arn(connection, record.arn) or record
        if current.settings["service_key"]:
            return dict(current.settings["service_key"])
        set_provider_settings(connection, replace(current, settings={**current.settings, "service_key": made}))
    return made
