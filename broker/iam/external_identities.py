"""The external identity that a trust policy simulation is about: of a pasted token, or made up.

A pasted token is most often old. It is verified by the provider that the account registered for its issuer, and by
nobody else: nothing is fetched for an issuer that is not registered. If that fails, its claims are taken as they stand,
and the answer says so.
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

_PROVIDER = ":oidc-provider/"
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

    ``verified``: its provider vouches for it now; else ``problem`` says why not, for the one who simulates. ``tags``
    and ``source_identity`` are those that the token asks of the session.
    """

    principal: Principal
    attributes: Attributes
    verified: bool = False
    problem: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    source_identity: str | None = None

    def context(self) -> dict[str, tuple[str, ...]]:
        """Every claim as a condition key of the issuer, and ``aws:FederatedProvider``."""
        prefix = self.principal.arn.partition(_PROVIDER)[2]
        keys = {f"{prefix}:{name}": values for name, values in self.attributes.items()}
        return {**keys, "aws:FederatedProvider": (self.principal.arn,)}


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
        _principal(account, arn, attributes),
        attributes,
        problem is None,
        problem,
        _asked_tags(attributes),
        next(iter(attributes.get(_SOURCE_IDENTITY, ())), None),
    )


def subject_of_attributes(provider: str, attributes: Sequence[Attribute]) -> ExternalSubject:
    """An identity that is made up, of an OpenID Connect provider's ARN. Raises ValidationFailed."""
    arn = Arn.parse(provider)
    if arn.service != "iam" or arn.kind != "oidc-provider" or not ACCOUNT_ID.fullmatch(arn.account) or not arn.name:
        raise ValidationFailed("ProviderArn must be the ARN of an OpenID Connect provider")
    found = _parse(attributes)
    problem = "The attributes are those of the request; no provider vouches for them"
    return ExternalSubject(_principal(arn.account, provider, found), found, problem=problem)


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


def _principal(account: str, arn: str, attributes: Attributes) -> Principal:
    subject = next(iter(attributes.get("sub", ())), "")
    return Principal(PrincipalKind.WEB_IDENTITY, account, arn, subject, user_name=subject)


def _asked_tags(attributes: Attributes) -> dict[str, str]:
    """The session tags that the token carries (IAM User Guide, "pass session tags using AssumeRoleWithWebIdentity")."""
    return {
        name.removeprefix(prefix): values[0]
        for name, values in attributes.items()
        for prefix in _TAGS
        if name.startswith(prefix) and values
    }
