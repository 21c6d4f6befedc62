"""What nobody has here: empty lists for those who may look, and a clear word about the rest."""

from __future__ import annotations

from typing import Any

import pytest
from realm.server import BrokerServer, Keys, refused

OF_A_USER = {
    "list_ssh_public_keys": "SSHPublicKeys",
    "list_signing_certificates": "Certificates",
    "list_service_specific_credentials": "ServiceSpecificCredentials",
}
OF_THE_ACCOUNT = {
    "list_server_certificates": "ServerCertificateMetadataList",
    "list_delegation_requests": "DelegationRequests",
}


@pytest.fixture(scope="module")
def iam(broker: BrokerServer) -> Any:
    return broker.client(broker.root, service="iam")


@pytest.mark.parametrize(("call", "member"), {**OF_A_USER, **OF_THE_ACCOUNT}.items())
def test_there_are_none(iam: Any, broker: BrokerServer, users: dict[str, Keys], call: str, member: str) -> None:
    named = {"UserName": "ci"} if call in OF_A_USER else {}
    answer = getattr(iam, call)(**named)
    assert answer[member] == []
    assert answer.get("IsTruncated", answer.get("isTruncated")) is False
    with refused("ValidationError", message="Invalid Marker."):
        getattr(iam, call)(**named, Marker="none of ours")
    with refused("AccessDenied", status=403):
        getattr(broker.client(users["nobody"], service="iam"), call)(**named)


@pytest.mark.parametrize("call", OF_A_USER)
def test_none_of_somebody_who_does_not_exist(iam: Any, call: str) -> None:
    with refused("NoSuchEntity", status=404):
        getattr(iam, call)(UserName="does-not-exist")
    with refused("ValidationError", message="Must specify userName"):
        getattr(iam, call)()


def test_none_of_all_users(iam: Any, broker: BrokerServer, users: dict[str, Keys]) -> None:
    assert iam.list_service_specific_credentials(AllUsers=True)["ServiceSpecificCredentials"] == []
    with refused("AccessDenied", message="user/*"):
        broker.client(users["nobody"], service="iam").list_service_specific_credentials(AllUsers=True)


def test_there_is_no_organization(iam: Any, broker: BrokerServer, users: dict[str, Keys]) -> None:
    with refused("OrganizationNotFoundException", status=400):
        iam.list_organizations_features()
    with refused("AccessDenied", status=403):
        broker.client(users["nobody"], service="iam").list_organizations_features()


def test_what_would_make_one_is_refused_by_name(iam: Any) -> None:
    with refused("UnsupportedOperation", status=400, message="UploadSSHPublicKey"):
        iam.upload_ssh_public_key(UserName="ci", SSHPublicKeyBody="x")
    with refused("UnsupportedOperation", status=400, message="EnableOrganizationsRootSessions"):
        iam.enable_organizations_root_sessions()
