"""Who asks for something, and who a policy can name."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class PrincipalKind(StrEnum):
    """The values are the ``userIdentity.type`` words of CloudTrail's record format."""

    ROOT = "Root"
    USER = "IAMUser"
    ROLE_SESSION = "AssumedRole"
    FEDERATED_USER = "FederatedUser"
    WEB_IDENTITY = "WebIdentityUser"
    SAML_IDENTITY = "SAMLUser"
    LDAP_IDENTITY = "LDAPUser"
    """Ours: AWS has no directories."""
    ANONYMOUS = "Unknown"


EXTERNAL = frozenset({PrincipalKind.WEB_IDENTITY, PrincipalKind.SAML_IDENTITY, PrincipalKind.LDAP_IDENTITY})
"""The identities of providers."""


class Principal(msgspec.Struct, frozen=True):
    """The requester as policies see it.

    ``arn``: the user's, root's, role *session's* or federated user's ARN; for an external identity
    (``EXTERNAL``) the ARN of its identity provider. ``unique_id``: the value of ``aws:userid`` (``AIDA…``,
    ``AROA…:session``, ``ACCOUNT:name``, the account id for root; the subject for an external identity).
    ``role_arn`` and ``role_id`` are set for role sessions alone and name the role behind the session.
    """

    kind: PrincipalKind
    account: str
    arn: str
    unique_id: str
    user_name: str | None = None
    role_arn: str | None = None
    role_id: str | None = None
