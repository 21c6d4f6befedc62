"""What consoles, Terraform and audit tools look for and nobody has here: the honest answer is an empty list.

Server and signing certificates, SSH keys and service-specific credentials are of other services; delegation requests
and organizations do not exist. What would make one is refused by name, as an operation that is not served.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from broker.authorization import authorize
from broker.domain.arn import user_arn
from broker.errors import OrganizationMissing
from broker.iam.named import account_of_caller, authorized_entity, user_or_caller
from broker.iam.pages import page_within
from broker.services import Caller, Services

_NOTHING: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EmptyList:
    """IAM ``List…Response`` of the operations below, each by its own member. Of them all the list is empty."""

    server_certificate_metadata_list: Sequence[str] = ()
    ssh_public_keys: Sequence[str] = ()
    certificates: Sequence[str] = ()
    service_specific_credentials: Sequence[str] = ()
    delegation_requests: Sequence[str] = ()
    is_truncated: bool = False


def list_server_certificates(
    services: Services,
    caller: Caller,
    *,
    path_prefix: str = "/",
    marker: str | None = None,
    max_items: int | None = None,
) -> EmptyList:
    """No server certificates (AWS IAM ListServerCertificates)."""
    resource = f"arn:aws:iam::{account_of_caller(caller)}:server-certificate{path_prefix}"
    authorize(services, caller, "iam:ListServerCertificates", resource)
    return _empty(marker, max_items)


def list_ssh_public_keys(
    services: Services,
    caller: Caller,
    *,
    user_name: str | None = None,
    marker: str | None = None,
    max_items: int | None = None,
) -> EmptyList:
    """No SSH keys of a user (AWS IAM ListSSHPublicKeys). Raises NotFound."""
    authorized_entity(services, caller, "iam:ListSSHPublicKeys", "user", user_or_caller(caller, user_name))
    return _empty(marker, max_items)


def list_signing_certificates(
    services: Services,
    caller: Caller,
    *,
    user_name: str | None = None,
    marker: str | None = None,
    max_items: int | None = None,
) -> EmptyList:
    """No signing certificates of a user (AWS IAM ListSigningCertificates). Raises NotFound."""
    authorized_entity(services, caller, "iam:ListSigningCertificates", "user", user_or_caller(caller, user_name))
    return _empty(marker, max_items)


def list_service_specific_credentials(
    services: Services,
    caller: Caller,
    *,
    user_name: str | None = None,
    service_name: str | None = None,
    all_users: bool = False,
    marker: str | None = None,
    max_items: int | None = None,
) -> EmptyList:
    """No service-specific credentials of a user or of all (AWS IAM ListServiceSpecificCredentials). Raises NotFound."""
    action = "iam:ListServiceSpecificCredentials"
    if all_users:
        authorize(services, caller, action, user_arn(account_of_caller(caller), "/", "*"))
    else:
        authorized_entity(services, caller, action, "user", user_or_caller(caller, user_name))
    return _empty(marker, max_items)


def list_delegation_requests(
    services: Services,
    caller: Caller,
    *,
    owner_id: str | None = None,
    marker: str | None = None,
    max_items: int | None = None,
) -> EmptyList:
    """No delegation requests (AWS IAM ListDelegationRequests)."""
    authorize(services, caller, "iam:ListDelegationRequests", "*")
    return _empty(marker, max_items)


def list_organizations_features(services: Services, caller: Caller) -> None:
    """No account has an organization (AWS IAM ListOrganizationsFeatures). Raises OrganizationMissing."""
    authorize(services, caller, "iam:ListOrganizationsFeatures", "*")
    raise OrganizationMissing("Your account is not a member of an organization.")


def _empty(marker: str | None, max_items: int | None) -> EmptyList:
    page_within(_NOTHING, str, marker, max_items)  # a marker that none of our pages had is refused
    return EmptyList()
