"""What AWS's operations cannot say of a SAML provider: extension operations, named as AWS would.

Metadata that is published somewhere is fetched from there within a minute, and then regularly; who the provider is
cannot change by that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from broker.errors import ConfigurationError, InvalidInput, ValidationFailed
from broker.iam.registrations import SAML, authorized_provider, change_settings, changeable_provider
from broker.provider_files import check_authority
from broker.saml_providers import check_metadata_url, check_saml_settings
from broker.services import Caller, Services
from broker.store.saml_metadata_checks import MetadataCheck, list_checks, put_check


@dataclass(frozen=True, slots=True)
class SamlProviderSettings:
    """``GetSAMLProviderSettingsResponse``. Times are in seconds."""

    metadata_url: str | None
    metadata_certificate_authority: str | None
    metadata_problem: str | None
    entity_id: str
    assertion_consumer_service_urls: Sequence[str]
    clock_skew_seconds: int
    max_lifetime_seconds: int
    max_authentication_age_seconds: int
    replay: str
    reuse_seconds: int
    allow_unsolicited: bool
    force_authn: bool
    name_id_format: str | None
    request_binding: str
    sign_requests: bool
    allow_sha1: bool
    allow_rsa15: bool
    allow_cbc: bool


def get_saml_provider_settings(services: Services, caller: Caller, *, saml_provider_arn: str) -> SamlProviderSettings:
    """How the provider's messages are judged, how people are sent to it, where its metadata comes from."""
    found = authorized_provider(services, caller, "iam:GetSAMLProviderSettings", SAML, saml_provider_arn)
    settings = found.record.settings
    with services.database.read() as connection:
        check = list_checks(connection).get(saml_provider_arn, MetadataCheck(saml_provider_arn))
    return SamlProviderSettings(
        settings["metadata_url"] or None,
        settings["metadata_ca"],
        check.problem or None,
        settings["audiences"][0],
        settings["acs_urls"],
        settings["clock_skew_seconds"],
        settings["max_lifetime_seconds"],
        settings["max_authentication_age_seconds"],
        settings["replay"],
        settings["reuse_seconds"],
        settings["idp_initiated"],
        settings["force_authn"],
        settings["name_id_format"] or None,
        settings["request_binding"],
        settings["sign_requests"],
        settings["allow_sha1"],
        settings["allow_rsa_1_5"],
        settings["allow_cbc"],
    )


def update_saml_provider_settings(
    services: Services,
    caller: Caller,
    *,
    saml_provider_arn: str,
    metadata_url: str | None = None,
    metadata_certificate_authority: str | None = None,
    clock_skew_seconds: int | None = None,
    max_lifetime_seconds: int | None = None,
    max_authentication_age_seconds: int | None = None,
    replay: str | None = None,
    reuse_seconds: int | None = None,
    allow_unsolicited: bool | None = None,
    force_authn: bool | None = None,
    name_id_format: str | None = None,
    request_binding: str | None = None,
    sign_requests: bool | None = None,
    allow_sha1: bool | None = None,
    allow_rsa15: bool | None = None,
    allow_cbc: bool | None = None,
) -> None:
    """Change those that are given; an empty text is taken away. Raises InvalidInput."""
    provider = authorized_provider(services, caller, "iam:UpdateSAMLProviderSettings", SAML, saml_provider_arn)
    given: dict[str, Any] = {
        "metadata_url": metadata_url,
        "clock_skew_seconds": clock_skew_seconds,
        "max_lifetime_seconds": max_lifetime_seconds,
        "max_authentication_age_seconds": max_authentication_age_seconds,
        "replay": replay,
        "reuse_seconds": reuse_seconds,
        "idp_initiated": allow_unsolicited,
        "force_authn": force_authn,
        "name_id_format": name_id_format,
        "request_binding": request_binding,
        "sign_requests": sign_requests,
        "allow_sha1": allow_sha1,
        "allow_rsa_1_5": allow_rsa15,
        "allow_cbc": allow_cbc,
    }
    changed = {name: value for name, value in given.items() if value is not None}
    if metadata_certificate_authority is not None:
        changed["metadata_ca"] = _authority(metadata_certificate_authority)
    with services.database.change() as connection:
        record = changeable_provider(connection, SAML, provider).record
        settings = {**record.settings, **changed}
        try:
            if metadata_url:
                check_metadata_url(metadata_url, allow_http_loopback=services.settings.fetch.allow_http_loopback)
            check_saml_settings(settings)
        except ValidationFailed as error:
            raise InvalidInput(f"{error.message[:1].upper()}{error.message[1:]}") from None
        if metadata_url is not None or metadata_certificate_authority is not None:
            put_check(connection, MetadataCheck(record.arn))  # it is due at once
        change_settings(connection, caller, replace(record, settings=settings))


def _authority(text: str) -> str | None:
    if not text:
        return None
    try:
        check_authority(text)
    except ConfigurationError as error:
        raise InvalidInput(f"MetadataCertificateAuthority {error.message}") from None
    return text
