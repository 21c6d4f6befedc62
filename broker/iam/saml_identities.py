"""Whom a pasted SAML response is about, for the simulation of a trust policy."""

from __future__ import annotations

from datetime import datetime

from broker.errors import ValidationFailed
from broker.iam.external_identities import SAML_ACTION, ExternalSubject
from broker.saml.reports import SamlReport, choose_provider, report
from broker.services import Services
from providers.errors import MalformedEvidence
from providers.saml.response import parse_saml_response


def subject_of_assertion(
    services: Services, account: str, text: str, provider_arn: str | None, now: datetime
) -> ExternalSubject:
    """The subject of a SAML response, as a form has it. Without ``provider_arn`` its issuer chooses the provider.

    Raises MalformedEvidence if it cannot be read, InvalidIdentity if no provider is registered for it.
    """
    response = parse_saml_response(text)
    record = choose_provider(services, account, response, provider_arn)
    found = report(services, record, response, now)
    problem = found.inspection.problem
    if found.keys is None or found.principal is None or found.identity is None:
        detail = "" if problem is None else problem.actual
        raise MalformedEvidence("The SAML response cannot be read", detail=detail)
    if found.asked is None:
        raise ValidationFailed(found.asked_problem)
    return ExternalSubject(
        SAML_ACTION,
        found.principal,
        found.keys,
        problem is None,
        _sentence(found),
        found.asked.tags,
        found.asked.source_identity,
        found.asked.session_name,
    )


def _sentence(found: SamlReport) -> str | None:
    """What STS would say, and which check it would say it for."""
    problem = found.inspection.problem
    return None if problem is None else f"{problem.message} ({problem.name})"
