"""What relying parties read of an account's issuer: the discovery document and the public keys.

OpenID Connect Discovery 1.0, 4; RFC 7517, 5. Both come from memory, and are there for as long as any token of the
account can live.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from flask import Blueprint, Response, abort, request

from broker.credentials.signer import SigningAlgorithm
from broker.domain.arn import ACCOUNT_ID
from broker.services import Services
from broker.settings import ISSUER_PATH

_KEYS_PATH = "/.well-known/jwks.json"
_CLAIMS = ("iss", "sub", "aud", "iat", "exp", "jti")


def issuer_pages(services: Services) -> Blueprint:
    pages = Blueprint("issuer", __name__, url_prefix=f"{ISSUER_PATH}/<account>")
    max_age = services.settings.keys.publish_before_use_seconds // 2
    """Seconds: a key has then been read by all who cache for that long well before it signs."""

    @pages.get("/.well-known/openid-configuration")
    def configuration(account: str) -> Response:
        """The discovery document."""
        _published(services, account)
        return _document(discovery_document(services.settings.issuer_url(account)), max_age)

    @pages.get(_KEYS_PATH)
    def keys(account: str) -> Response:
        """The JWK set."""
        return _document({"keys": [dict(key) for key in _published(services, account)]}, max_age)

    return pages


def discovery_document(issuer: str) -> dict[str, object]:
    """The issuer's metadata; there is no authorization endpoint, for tokens are asked for at STS."""
    return {
        "issuer": issuer,
        "jwks_uri": f"{issuer}{_KEYS_PATH}",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [algorithm.value for algorithm in SigningAlgorithm],
        "claims_supported": list(_CLAIMS),
    }


def _published(services: Services, account: str) -> list[Mapping[str, str]]:
    """The account's public keys; 404 for one that issues no tokens, just as for one that does not exist."""
    if not ACCOUNT_ID.fullmatch(account):
        abort(404)  # PostgreSQL refuses some texts that people may send
    keys = services.signing.published_keys(account, datetime.now(UTC))
    if keys is None:
        abort(404)
    return keys


def _document(body: Mapping[str, object], max_age: int) -> Response:
    response = Response(json.dumps(body), mimetype="application/json")
    response.cache_control.public = True
    response.cache_control.max_age = max_age
    response.add_etag()
    response.make_conditional(request)  # 304 if it has not changed; in place
    return response
