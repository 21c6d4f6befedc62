"""AssumeRoleWithLDAPIdentity: a directory login becomes role credentials.

The wire is MinIO's (its STS guide, "AssumeRoleWithLDAPIdentity"): user name, password, duration and policy; role and
provider are ours, and left out where there is no choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from broker.domain.credentials import Credentials
from broker.domain.secret import Secret
from broker.domain.session import PolicyDescriptor, Tag
from broker.errors import InvalidIdentity, ValidationFailed
from broker.ldap.identity import ACTION, kept_keys, ldap_context, ldap_principal, read_asked_session
from broker.services import Caller, Services
from broker.session_requests import SessionRequest, parse_tags
from broker.store.identity_providers import ProviderRecord
from broker.sts.federation import Federated, federate, is_let_in, not_authorized
from broker.sts.role_sessions import AssumedRoleUser, check_session_policy, parse_role_arn
from providers.base import ExternalIdentity, LdapBind

_IN_URL = "user name and password came in the URL, where logs keep them"


class AssumedRoleWithLdapIdentity(msgspec.Struct, frozen=True):
    """``AssumeRoleWithLDAPIdentityResponse``."""

    credentials: Credentials
    assumed_role_user: AssumedRoleUser
    packed_policy_size: int | None
    subject: str
    subject_dn: str
    provider: str
    source_identity: str | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a caller asks of the session, besides what the directory's attributes make of it."""

    policy: str | None = None
    policy_arns: tuple[str, ...] = ()
    duration_seconds: int | None = None
    tags: Sequence[Tag] = ()
    transitive_tag_keys: Sequence[str] = ()


def assume_role_with_ldap_identity(
    services: Services,
    caller: Caller,
    *,
    ldap_username: str,
    ldap_password: Secret,
    role_arn: str | None = None,
    provider_arn: str | None = None,
    duration_seconds: int | None = None,
    policy: str | None = None,
    policy_arns: Sequence[PolicyDescriptor] = (),
    tags: Sequence[Tag] = (),
    transitive_tag_keys: Sequence[str] = (),
) -> AssumedRoleWithLdapIdentity:
    """Exchange a user name and a password for role credentials.

    1. parameters; 2. the provider; 3. secrets may not come in the URL, unless it says so; 4. the directory is asked;
    5. the role, the trust policy, and the session.
    """
    if role_arn is not None:
        parse_role_arn(role_arn)  # 1
    wanted = Wanted(policy, check_session_policy(policy, policy_arns), duration_seconds, tags, transitive_tag_keys)
    record = choose_provider(services, provider_arn, role_arn)  # 2
    if caller.in_url:  # 3
        if not record.settings["allow_query_login"]:
            raise ValidationFailed("Parameters must be sent in the body of a POST request, not in the URL.")
        caller.record.warnings.append(_IN_URL)
    evidence = LdapBind(ldap_username, ldap_password.reveal())
    identity = services.providers.get(record).authenticate(evidence, now=caller.now)  # 4
    return issue_for(services, caller, record, identity, role_arn, wanted)  # 5


def choose_provider(services: Services, provider_arn: str | None, role_arn: str | None) -> ProviderRecord:
    """The provider that is named, or the only one there is: of the role's account, else at all.

    Raises InvalidIdentity, ValidationFailed.
    """
    if provider_arn is not None:
        record = services.catalog.provider(provider_arn)
        if record is None or record.kind != "ldap":
            raise InvalidIdentity("Specified provider doesn't exist.")
        return record
    account = None if role_arn is None else parse_role_arn(role_arn).account
    found = services.catalog.ldap_providers(account)
    view = None if role_arn is None else services.catalog.role(role_arn)
    if len(found) > 1 and view is not None:
        found = tuple(one for one in found if f'"{one.arn}"' in view.role.trust_policy)
    if not found:
        raise InvalidIdentity("No LDAP provider found in your account")
    if len(found) > 1:
        raise ValidationFailed("ProviderArn must be given: there are several LDAP providers.")
    return found[0]


def issue_for(
    services: Services,
    caller: Caller,
    record: ProviderRecord,
    identity: ExternalIdentity,
    role_arn: str | None,
    wanted: Wanted,
) -> AssumedRoleWithLdapIdentity:
    """Credentials for somebody who has logged in, however that was. Raises what ``federate`` raises."""
    principal = ldap_principal(record, identity)
    caller.record.identify(principal)
    caller.record.warnings += identity.warnings
    federated = federated_ldap(record, identity)
    request = ldap_session(record, identity, wanted)
    role = role_arn or only_role(services, caller, record, federated, request)
    issued = federate(services, caller, role, federated, request)
    services.subjects.note(record, identity, caller.now)  # before anything is handed out
    (dn,) = identity.attributes["dn"]
    return AssumedRoleWithLdapIdentity(
        issued.credentials,
        issued.assumed_role_user,
        issued.packed_policy_size,
        identity.subject,
        dn,
        record.arn,
        request.source_identity,
    )


def roles_letting_in(
    services: Services, caller: Caller, record: ProviderRecord, federated: Federated, request: SessionRequest
) -> list[str]:
    """The roles of the provider's account whose trust policies let the identity in, by their ARNs."""
    named = services.catalog.roles_naming(record.account, record.arn)
    views = (services.catalog.role(arn) for arn in named)
    return [view.role.arn for view in views if view is not None and is_let_in(caller, view, federated, request)]


def only_role(
    services: Services, caller: Caller, record: ProviderRecord, federated: Federated, request: SessionRequest
) -> str:
    """The one role that lets the identity in. Raises AccessDenied, ValidationFailed naming the choice."""
    found = roles_letting_in(services, caller, record, federated, request)
    if not found:
        raise not_authorized(services, caller, ACTION, record.account, "no role's trust policy lets the identity in")
    if len(found) > 1:
        raise ValidationFailed(f"RoleArn must be given. You may assume: {', '.join(found)}"[:2_000])
    return found[0]


def federated_ldap(record: ProviderRecord, identity: ExternalIdentity) -> Federated:
    """The identity on its way into a role."""
    principal = ldap_principal(record, identity)
    return Federated(ACTION, principal, identity.subject, ldap_context(identity), kept_keys(identity))


def ldap_session(record: ProviderRecord, identity: ExternalIdentity, wanted: Wanted = Wanted()) -> SessionRequest:
    """The session that the directory's attributes and the caller ask for.

    Raises ValidationFailed for a tag that the directory gives already: nobody may say otherwise.
    """
    asked = read_asked_session(record, identity)
    tags = [*(Tag(key, value) for key, value in asked.tags.items()), *wanted.tags]
    return SessionRequest(
        session_name=asked.session_name,
        tags=parse_tags(tags, wanted.transitive_tag_keys),
        transitive_tag_keys=tuple(wanted.transitive_tag_keys),
        source_identity=asked.source_identity,
        policy=wanted.policy,
        policy_arns=wanted.policy_arns,
        duration_seconds=wanted.duration_seconds,
    )
