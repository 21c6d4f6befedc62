"""Outbound federation: whether an account's principals may have tokens for relying parties, and under which issuer."""

from __future__ import annotations

from dataclasses import dataclass

from broker.authorization import authorize
from broker.credentials.signing_ring import new_signing_keys
from broker.errors import FeatureDisabled, FeatureEnabled
from broker.iam.changes import record_change
from broker.services import Caller, Services
from broker.store.outbound_federation import OutboundFederation, find_outbound_federation, put_outbound_federation
from broker.store.signing_keys import list_signing_keys


@dataclass(frozen=True, slots=True)
class EnabledFederation:
    """IAM ``EnableOutboundWebIdentityFederationResponse``."""

    issuer_identifier: str


@dataclass(frozen=True, slots=True)
class FederationInfo:
    """IAM ``GetOutboundWebIdentityFederationInfoResponse``."""

    issuer_identifier: str
    jwt_vending_enabled: bool


def enable_outbound_web_identity_federation(services: Services, caller: Caller) -> EnabledFederation:
    """Let the account issue tokens (AWS IAM EnableOutboundWebIdentityFederation). Raises FeatureEnabled.

    The first time it makes the account's keys. Later the issuer and the keys are those of before.
    """
    account = authorize(services, caller, "iam:EnableOutboundWebIdentityFederation", "*").principal.account
    if services.signing.is_enabled(account):
        raise _enabled()
    keys = new_signing_keys()  # before the transaction: whoever wants to write waits for it
    moment = int(caller.now.timestamp())
    answer = EnabledFederation(services.settings.issuer_url(account))
    with services.database.change() as connection:
        known = find_outbound_federation(connection, account)
        if known is not None and known.enabled:
            raise _enabled()
        put_outbound_federation(connection, OutboundFederation(account, True, moment))
        if not list_signing_keys(connection, account):
            services.signing.add(connection, account, keys, now=caller.now, publish_seconds=0)
        record_change(connection, caller, answer)
    return answer


def disable_outbound_web_identity_federation(services: Services, caller: Caller) -> None:
    """Let the account issue no more tokens (AWS IAM DisableOutboundWebIdentityFederation). Raises FeatureDisabled.

    Those that it issued are good until they expire, for which the keys stay published.
    """
    account = authorize(services, caller, "iam:DisableOutboundWebIdentityFederation", "*").principal.account
    with services.database.change() as connection:
        known = find_outbound_federation(connection, account)
        if known is None or not known.enabled:
            raise _disabled()
        put_outbound_federation(connection, OutboundFederation(account, False, int(caller.now.timestamp())))
        record_change(connection, caller)


def get_outbound_web_identity_federation_info(services: Services, caller: Caller) -> FederationInfo:
    """The account's issuer (AWS IAM GetOutboundWebIdentityFederationInfo). Raises FeatureDisabled."""
    account = authorize(services, caller, "iam:GetOutboundWebIdentityFederationInfo", "*").principal.account
    if not services.signing.is_enabled(account):
        raise _disabled()
    return FederationInfo(services.settings.issuer_url(account), jwt_vending_enabled=True)


def _enabled() -> FeatureEnabled:
    return FeatureEnabled("Outbound web identity federation is already enabled for your account.")


def _disabled() -> FeatureDisabled:
    return FeatureDisabled("Outbound web identity federation is not enabled for your account.")
