"""The external identity that a trust policy simulation is about: of pasted evidence, or made up.

Pasted evidence is most often old. It is verified by the provider that the account registered for its issuer, and by
nobody else: nothing is fetched for an issuer that is not registered. If that fails, what it says is taken as it stands,
and the answer says so. Nothing is redeemed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from broker.domain.arn import ACCOUNT_ID, Arn, oidc_provider_arn
from broker.domain.principal import Principal, PrincipalKind
from broker.errors import ValidationFailed
from broker.services import Services
from providers.errors import ProviderError
from providers.oidc.claims import flatten
from providers.oidc.provider import GOOGLE
from providers.oidc.token import parse_id_token

MAX_ATTRIBUTES = 256
MAX_ATTRIBUTE_VALUES = 1_000
MAX_VALUE_CHARACTERS = 4_096

WEB_ACTION = "sts:AssumeRoleWithWebIdentity"
SAML_ACTION = "sts:AssumeRoleWithSAML"
LDAP_ACTION = "sts:AssumeRoleWithLDAPIdentity"
_PROVIDER = ":oidc-provider/"
_KINDS = {
    "oidc-provider": (PrincipalKind.WEB_IDENTITY, WEB_ACTION),
    "saml-provider": (PrincipalKind.SAML_IDENTITY, SAML_ACTION),
    "ldap-provider": (PrincipalKind.LDAP_IDENTITY, LDAP_ACTION),
}
_TAGS = ("https://aws.amazon.com/tags.principal_tags.", "https://aws.amazon.com/tags/principal_tags/")
_SOURCE_IDENTITY = "https://aws.amazon.com/source_identity"

Attributes = Mapping[str, tuple[str, ...]]


class Attribute(Protocol):
    """As the codec makes it."""

    key: str
    values: Sequence[str]


@dataclass(frozen=True, slots=True)
class ExternalSubject:
    """An external identity as a trust policy sees it.

    ``keys`` are the condition keys that it brings. ``verified``: its provider vouches for it now; else ``problem`` says
    why not, for the one who simulates. ``tags``, ``source_identity`` and ``session_name`` are those that the evidence
    asks of the session.
    """

    action: str
    principal: Principal
    keys: Attributes
    verified: bool = False
    problem: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    source_identity: str | None = None
    session_name: str | None = None

    def context(self) -> dict[str, tuple[str, ...]]:
        """Its condition keys, and ``aws:FederatedProvider``."""
        return {**self.keys, "aws:FederatedProvider": (self.principal.arn,)}


def subject_of_token(services: Services, account: str, text: str, now: datetime) -> ExternalSubject:
    """Whom a pasted OpenID Connect token is about. Raises MalformedEvidence if it cannot be read."""
    token = parse_id_token(text)
    issuer = token.unverified_issuer
    attributes: dict[str, tuple[str, ...]] = flatten(token.unverified_claims)
    problem: str | None = "No provider of this account is registered for the token's issuer"
    record = services.catalog.identity_provider(account, issuer)
    if record is not None:
        try:
            attributes = dict(services.providers.get(record).authenticate(token, now=now).attributes)
            problem = None
        except ProviderError as error:
            problem = error.message
    if problem is not None and issuer == GOOGLE and "azp" in attributes:  # as its provider names them
        attributes |= {"aud": attributes["azp"], "oaud": attributes.get("aud", ())}
    arn = oidc_provider_arn(account, issuer) if record is None else record.arn
    return ExternalSubject(
        WEB_ACTION,
        _principal(PrincipalKind.WEB_IDENTITY, account, arn, attributes),
        _keys(arn, attributes),
        problem is None,
        problem,
        _asked_tags(attributes),
        next(iter(attributes.get(_SOURCE_IDENTITY, ())), None),
    )


def subject_of_attributes(provider: str, attributes: Sequence[Attribute]) -> ExternalSubject:
    """An identity that is made up, of a provider's ARN: claims of a token by their names, of a SAML or LDAP
    identity the condition keys without their prefix (``saml:``, ``ldap:``). Raises ValidationFailed."""
    arn = Arn.parse(provider)
    if arn.service != "iam" or arn.kind not in _KINDS or not ACCOUNT_ID.fullmatch(arn.account) or not arn.name:
        raise ValidationFailed("ProviderArn must be the ARN of an OpenID Connect, SAML or LDAP provider")
    kind, action = _KINDS[arn.kind]
    found = _parse(attributes)
    problem = "The attributes are those of the request; no provider vouches for them"
    principal = _principal(kind, arn.account, provider, found)
    return ExternalSubject(action, principal, _keys(provider, found), problem=problem)


def _keys(provider: str, attributes: Attributes) -> Attributes:
    """Every claim as a condition key of its issuer; those of SAML have one prefix."""
    prefix = provider.partition(_PROVIDER)[2] or ("ldap" if ":ldap-provider/" in provider else "saml")
    return {f"{prefix}:{name}": values for name, values in attributes.items()}


def _parse(attributes: Sequence[Attribute]) -> Attributes:
    found = {attribute.key: tuple(attribute.values) for attribute in attributes}
    if len(found) != len(attributes) or len({key.lower() for key in found}) != len(found):
        raise ValidationFailed("Attributes names a key more than once; case is no difference")
    values = [value for each in found.values() for value in each]
    if len(found) > MAX_ATTRIBUTES or len(values) > MAX_ATTRIBUTE_VALUES:
        raise ValidationFailed(f"Attributes has more than {MAX_ATTRIBUTES} keys or {MAX_ATTRIBUTE_VALUES} values")
    if any(len(value) > MAX_VALUE_CHARACTERS for value in values):
        raise ValidationFailed(f"Attributes has a value of more than {MAX_VALUE_CHARACTERS} characters")
    return found


def _principal(kind: PrincipalKind, account: str, arn: str, attributes: Attributes) -> Principal:
    subject = next(iter(attributes.get("sub", ())), "")
    return Principal(kind, account, arn, subject, user_name=subject)


def _asked_tags(attributes: Attributes) -> dict[str, str]:
    """The session tags that the token carries (IAM User Guide, "pass session tags using AssumeRoleWithWebIdentity")."""
    return {
        name.removeprefix(prefix): values[0]
        for name, values in attributes.items()
        for prefix in _TAGS
        if name.startswith(prefix) and values
    }
