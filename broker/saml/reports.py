"""A SAML response looked at for somebody who wants to know what becomes of it, and why. Nothing is redeemed or issued.

The simulator of trust policies and ``accredit saml check`` ask here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from broker.catalog import RoleView
from broker.domain.arn import Arn
from broker.domain.principal import Principal
from broker.errors import BrokerError, InvalidIdentity
from broker.policy.context import principal_context, request_context
from broker.policy.evaluate import AccessRequest, PolicySet, evaluate
from broker.policy.explain import explain
from broker.saml.attributes import ROLE, AskedSession, parse_role_pair, read_asked_session
from broker.saml.keys import ACTION, Context, SamlSubject, describe_subject, saml_context, saml_principal
from broker.services import Services
from broker.session_requests import SessionRequest, role_context
from broker.store.identity_providers import ProviderRecord, find_saml_providers
from providers.base import ExternalIdentity, SamlResponse
from providers.saml.provider import Inspection, SamlProvider
from providers.saml.response import presented_issuer


@dataclass(frozen=True, slots=True)
class MappedRole:
    """A value of the attribute Role, and whether it lets the subject in; ``reason`` says why not."""

    value: str
    allowed: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SamlReport:
    """All that is known of a response that a registered provider was asked about.

    ``identity`` and what follows are None if the response cannot be read; believe them only if the inspection found no
    problem. ``asked`` is None if what the assertion asks of the session is refused: then ``asked_problem`` says why.
    """

    record: ProviderRecord
    inspection: Inspection
    identity: ExternalIdentity | None = None
    subject: SamlSubject | None = None
    principal: Principal | None = None
    keys: Context | None = None
    asked: AskedSession | None = None
    asked_problem: str = ""


def choose_provider(
    services: Services, account: str, response: SamlResponse, provider_arn: str | None
) -> ProviderRecord:
    """The provider of this ARN, or the one that the account registered for the issuer that the response names.

    Raises InvalidIdentity, MalformedEvidence.
    """
    if provider_arn is not None:
        record = services.catalog.provider(provider_arn)
        if record is None or record.kind != "saml" or record.account != account:
            raise InvalidIdentity("Specified provider doesn't exist.")
        return record
    issuer = presented_issuer(response)
    with services.database.read() as connection:
        found = find_saml_providers(connection, account, issuer)
    if len(found) != 1:
        raise InvalidIdentity(
            f"{len(found) or 'No'} SAML providers of this account have the response's issuer {issuer[:256]}: name one"
        )
    return found[0]


def report(services: Services, record: ProviderRecord, response: SamlResponse, now: datetime) -> SamlReport:
    """Ask the provider."""
    provider = services.providers.get(record)
    assert isinstance(provider, SamlProvider)  # of kind "saml"
    inspection = provider.inspect(response, now=now)
    if inspection.opened is None:
        return SamlReport(record, inspection)
    identity = provider.identity(inspection.opened)
    name = Arn.parse(record.arn).name
    subject = describe_subject(identity, record.account, name)
    keys = saml_context(subject, record.account, name, identity.attributes)
    principal = saml_principal(record, subject)
    try:
        asked = read_asked_session(identity.attributes)
    except BrokerError as error:
        return SamlReport(record, inspection, identity, subject, principal, keys, None, error.message)
    return SamlReport(record, inspection, identity, subject, principal, keys, asked)


def mapped_roles(services: Services, found: SamlReport, now: datetime) -> list[MappedRole]:
    """Every value of the attribute Role: would this provider's subject get into the role now?"""
    if found.identity is None:
        return []
    return [_map_role(services, found, value, now) for value in found.identity.attributes.get(ROLE, ())]


def _map_role(services: Services, found: SamlReport, value: str, now: datetime) -> MappedRole:
    pair = parse_role_pair(value)
    if pair is None:
        return MappedRole(value, False, "no pair of a role's and a provider's ARN")
    if pair.provider_arn != found.record.arn:
        return MappedRole(value, False, f"the pair is for another provider; this one is {found.record.arn}")
    view = services.catalog.role(pair.role_arn)
    if view is None:
        return MappedRole(value, False, "the role does not exist")
    if found.asked is None:
        return MappedRole(value, False, found.asked_problem)
    return _ask(found, view, value, found.asked, now)


def _ask(found: SamlReport, view: RoleView, value: str, asked: AskedSession, now: datetime) -> MappedRole:
    """The trust policy, as STS would; what only a real request has (address, TLS) is missing."""
    assert found.principal is not None
    assert found.keys is not None
    request = SessionRequest(
        asked.session_name, asked.tags, asked.transitive_tag_keys, source_identity=asked.source_identity
    )
    context = {
        **request_context(now, None, None, True),
        **principal_context(found.principal),
        **found.keys,
        **request.context(),
        **role_context(view, {}),
        "aws:FederatedProvider": (found.record.arn,),
    }
    policies = PolicySet(resource=view.trust, resource_is_trust=True)
    for action in (ACTION, *request.extra_actions()):
        access = AccessRequest(found.principal, action, view.role.arn, view.role.account, context)
        if not evaluate(access, policies).allowed:
            trace = explain(access, policies)
            miss = trace.nearest_miss
            sentence = trace.decision.sentence() if miss is None else miss.sentence()
            return MappedRole(value, False, f"{action}: {sentence}")
    return MappedRole(value, True)
