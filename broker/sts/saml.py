"""AssumeRoleWithSAML: a SAML response becomes role credentials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from broker.domain.arn import Arn
from broker.domain.credentials import Credentials
from broker.domain.secret import Secret
from broker.domain.session import PolicyDescriptor
from broker.errors import InvalidIdentity
from broker.saml.attributes import AskedSession, RolePair, read_asked_session, read_role_pairs
from broker.saml.keys import ACTION, describe_subject, kept_keys, saml_context, saml_principal
from broker.services import Caller, Services
from broker.session_requests import SessionRequest
from broker.store.identity_providers import ProviderRecord
from broker.sts.federation import Federated, federate, not_authorized
from broker.sts.role_sessions import AssumedRoleUser, check_session_policy, parse_role_arn
from providers.base import ExternalIdentity
from providers.errors import SubjectMissing
from providers.saml.response import parse_saml_response


@dataclass(frozen=True, slots=True)
class AssumedRoleWithSaml:
    """STS ``AssumeRoleWithSAMLResponse``."""

    credentials: Credentials
    assumed_role_user: AssumedRoleUser
    packed_policy_size: int | None
    subject: str
    subject_type: str
    issuer: str
    audience: str
    name_qualifier: str
    source_identity: str | None
    session_token_size: int
    session_token_utilization: int


def assume_role_with_saml(
    services: Services,
    caller: Caller,
    *,
    role_arn: str,
    principal_arn: str,
    saml_assertion: Secret,
    policy_arns: Sequence[PolicyDescriptor] = (),
    policy: str | None = None,
    duration_seconds: int | None = None,
) -> AssumedRoleWithSaml:
    """Exchange a SAML response for role credentials (AWS STS AssumeRoleWithSAML).

    1. parameters; 2. the provider that they name; 3. the response verified; 4. the provider lets its subject choose the
    role; 5. what the assertion asks of the session; 6. the trust policy, and the session made; 7. the assertion is
    redeemed: only now, so that a mistake costs nobody the sign-in, and before anything is handed out.
    """
    arn = parse_role_arn(role_arn)  # 1
    arns = check_session_policy(policy, policy_arns)
    record = find_saml_provider(services, principal_arn)  # 2
    name = Arn.parse(record.arn).name
    response = parse_saml_response(saml_assertion.reveal())  # 3
    try:
        identity = services.providers.get(record).authenticate(response, now=caller.now)
    except SubjectMissing as error:
        raise not_authorized(services, caller, ACTION, record.account, error.detail) from None
    subject = describe_subject(identity, record.account, name)
    principal = saml_principal(record, subject)
    caller.record.identify(principal)
    caller.record.identity_provider = subject.name_qualifier
    caller.record.warnings += identity.warnings
    if RolePair(str(arn), record.arn) not in read_role_pairs(identity.attributes):  # 4
        raise not_authorized(
            services, caller, ACTION, record.account, "the assertion does not name this role and provider"
        )
    asked = read_asked_session(identity.attributes)  # 5
    _record_asked(caller, identity, asked)
    request = saml_session(asked, duration_seconds)
    request = msgspec.structs.replace(request, policy=policy, policy_arns=arns)
    federated = federated_saml(record, identity, asked, caller.now)  # 6
    issued = federate(services, caller, str(arn), federated, request)
    if services.claims.claim(record, identity, str(arn), caller.now):  # 7
        caller.record.warnings.append("the assertion was used again, within the provider's re-use window")
    return AssumedRoleWithSaml(
        issued.credentials,
        issued.assumed_role_user,
        issued.packed_policy_size,
        subject.subject,
        subject.subject_type,
        subject.issuer,
        subject.audience,
        subject.name_qualifier,
        request.source_identity,
        issued.session_token_size,
        issued.session_token_utilization,
    )


def federated_saml(record: ProviderRecord, identity: ExternalIdentity, asked: AskedSession, now: datetime) -> Federated:
    """The identity on its way into a role."""
    name = Arn.parse(record.arn).name
    subject = describe_subject(identity, record.account, name)
    return Federated(
        ACTION,
        saml_principal(record, subject),
        subject.subject,
        saml_context(subject, record.account, name, identity.attributes),
        kept_keys(subject),
        session_limit(identity, asked, now),
    )


def saml_session(asked: AskedSession, duration_seconds: int | None) -> SessionRequest:
    """The session that the assertion asks for."""
    return SessionRequest(
        session_name=asked.session_name,
        tags=asked.tags,
        transitive_tag_keys=asked.transitive_tag_keys,
        source_identity=asked.source_identity,
        duration_seconds=duration_seconds,
    )


def find_saml_provider(services: Services, arn: str) -> ProviderRecord:
    """The SAML provider of this ARN. Raises InvalidIdentity."""
    record = services.catalog.provider(arn)
    if record is None or record.kind != "saml":
        raise InvalidIdentity("Specified provider doesn't exist.")
    return record


def session_limit(identity: ExternalIdentity, asked: AskedSession, now: datetime) -> datetime | None:
    """The earlier of SessionNotOnOrAfter and what the attribute SessionDuration allows; both only shorten."""
    ends = [identity.session_ends_at] if identity.session_ends_at is not None else []
    if asked.longest_seconds is not None:
        ends.append(now + timedelta(seconds=asked.longest_seconds))
    return min(ends, default=None)


def _record_asked(caller: Caller, identity: ExternalIdentity, asked: AskedSession) -> None:
    """As CloudTrail shows what came with the assertion among the parameters."""
    found = {
        "sAMLAssertionID": identity.assertion_id,
        "roleSessionName": asked.session_name,
        "principalTags": dict(asked.tags) or None,
        "transitiveTagKeys": list(asked.transitive_tag_keys) or None,
        "sourceIdentity": asked.source_identity,
    }
    shown = {name: value for name, value in found.items() if value is not None}
    caller.record.parameters = {**(caller.record.parameters or {}), **shown}
