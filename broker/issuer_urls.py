"""The URL of an OpenID Connect issuer: what may be registered, over the wire or in the configuration file.

It is what tokens say in ``iss``, letter by letter (IAM User Guide, "Create an OpenID Connect identity provider in IAM":
"The URL is case-sensitive"), and without its scheme it is the name of the provider and of its condition keys.
"""

from __future__ import annotations

import re

from broker.errors import ValidationFailed

_ISSUER = re.compile(
    r"https?://(?P<name>(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?"
    r"(?:/[A-Za-z0-9._~%!&'()+,;=:@/-]*)?)"
)
"""No query, fragment, user or white space; and nothing that means more than itself in a policy: ``* ? $ { }``."""
_RESERVED = frozenset({"aws", "sts", "iam", "saml", "ldap"})


def check_issuer(url: str, *, allow_http_loopback: bool) -> None:
    """Raises ValidationFailed. Nothing is fetched: what ``http`` may reach is ``providers.fetch``'s to decide."""
    found = _ISSUER.fullmatch(url)
    if found is None:
        raise ValidationFailed(
            "Invalid Open ID Connect Provider URL: it needs https:// and a host, and has no query, fragment or user"
        )
    if found["name"].partition(":")[0].lower() in _RESERVED:
        raise ValidationFailed(
            "Invalid Open ID Connect Provider URL: its condition keys would be mistaken for the broker's own"
        )
    if url.startswith("http://") and not allow_http_loopback:
        raise ValidationFailed("Invalid Open ID Connect Provider URL: http needs fetch.allow_http_loopback")
