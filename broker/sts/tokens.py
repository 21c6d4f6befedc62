"""Tokens for relying parties: a JWT that says who the caller is, to whoever trusts the account's issuer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from broker.authorization import authorize, request_tag_context
from broker.credentials.signer import SigningAlgorithm
from broker.domain.secret import Secret
from broker.domain.session import Tag
from broker.errors import (
    OutboundFederationDisabled,
    SessionDurationEscalation,
    TokenTooLarge,
    ValidationFailed,
)
from broker.identifiers import new_uuid
from broker.services import Caller, Identity, Services
from broker.session_requests import parse_tags

DEFAULT_SECONDS = 300
MAX_PAYLOAD_BYTES = 5_120
"""Keeps the token below 8,000 characters, as common servers take them in a header. AWS does not publish its limit."""

NAMESPACE = "https://sts.amazonaws.com/"
"""The claim that holds what OpenID Connect has no claims for."""


@dataclass(frozen=True, slots=True)
class WebIdentityToken:
    """STS ``GetWebIdentityTokenResponse``; ``token_id`` and ``key_id`` are for the audit record alone."""

    web_identity_token: Secret
    expiration: datetime
    token_id: str
    key_id: str


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What the caller asks for, checked."""

    audience: tuple[str, ...]
    algorithm: SigningAlgorithm
    seconds: int
    tags: Mapping[str, str]

    def actions(self) -> tuple[str, ...]:
        """The permissions it needs (IAM User Guide, "Controlling access with IAM policies" of outbound federation)."""
        tagging = ("sts:TagGetWebIdentityToken",) if self.tags else ()
        return ("sts:GetWebIdentityToken", *tagging)

    def context(self) -> dict[str, tuple[str, ...]]:
        """Its condition keys. The duration is there even if it is the default: a limit on it must hold then too."""
        return {
            **request_tag_context(self.tags, self.tags),
            "sts:IdentityTokenAudience": self.audience,
            "sts:SigningAlgorithm": (self.algorithm.value,),
            "sts:DurationSeconds": (str(self.seconds),),
        }


def get_web_identity_token(
    services: Services,
    caller: Caller,
    *,
    audience: Sequence[str],
    signing_algorithm: str,
    duration_seconds: int | None = None,
    tags: Sequence[Tag] = (),
) -> WebIdentityToken:
    """A signed statement of the caller's identity for ``audience`` (AWS STS GetWebIdentityToken).

    1. parameters; 2. the caller's own policies; 3. does the account issue tokens; 4. would it outlive the caller's
    session; 5. the claims, signed with the account's newest key.
    """
    request = TokenRequest(
        tuple(audience),
        _parse_algorithm(signing_algorithm),
        DEFAULT_SECONDS if duration_seconds is None else duration_seconds,
        parse_tags(tags, ()),
    )
    verified = caller.authenticated().principal
    resource = f"arn:aws:sts::{verified.account}:self"  # the caller itself (Service Authorization Reference, AWS STS)
    for action in request.actions():
        identity = authorize(services, caller, action, resource, request.context())

    account = identity.principal.account
    if not services.signing.is_enabled(account):
        raise OutboundFederationDisabled("Outbound web identity federation is not enabled for this account.")

    issued_at = caller.now.replace(microsecond=0)
    expires_at = issued_at + timedelta(seconds=request.seconds)
    if identity.session is not None and expires_at > identity.session.expires_at:
        raise SessionDurationEscalation("The requested token would be valid for longer than the session of its caller.")

    claims = token_claims(
        identity,
        request,
        issuer=services.settings.issuer_url(account),
        issued_at=issued_at,
        region=caller.record.region,
    )
    size = len(json.dumps(claims, separators=(",", ":")).encode())
    if size > MAX_PAYLOAD_BYTES:
        raise TokenTooLarge(f"The token's claims take {size} bytes, the limit is {MAX_PAYLOAD_BYTES}: pass fewer tags.")
    key = services.signing.signing_key(account, request.algorithm, caller.now)
    return WebIdentityToken(Secret(key.sign(claims)), expires_at, str(claims["jti"]), key.kid)


def token_claims(
    identity: Identity, request: TokenRequest, *, issuer: str, issued_at: datetime, region: str
) -> dict[str, object]:
    """The token's claims (IAM User Guide, "Understanding token claims"); what is not known is left out."""
    moment = int(issued_at.timestamp())
    return {
        "iss": issuer,
        "sub": _subject(identity),
        "aud": request.audience[0] if len(request.audience) == 1 else list(request.audience),
        "iat": moment,
        "exp": moment + request.seconds,
        "jti": new_uuid(),
        NAMESPACE: {name: value for name, value in _details(identity, request, region).items() if value},
    }


def _details(identity: Identity, request: TokenRequest, region: str) -> dict[str, object]:
    session = identity.session
    return {
        "aws_account": identity.principal.account,
        "source_region": region,
        "principal_id": _subject(identity),
        "original_session_exp": f"{session.expires_at.astimezone(UTC).isoformat()[:19]}Z" if session else None,
        "federated_provider": session.provider if session else None,
        "source_identity": session.source_identity if session else None,
        "principal_tags": dict(identity.tags),
        "request_tags": dict(request.tags),
    }


def _subject(identity: Identity) -> str:
    """The role behind a session, or the user: names that stay, unlike a session's."""
    return identity.principal.role_arn or identity.principal.arn


def _parse_algorithm(text: str) -> SigningAlgorithm:
    """Raises ValidationFailed."""
    try:
        return SigningAlgorithm(text)
    except ValueError:
        raise ValidationFailed("SigningAlgorithm must be RS256 or ES384.") from None
