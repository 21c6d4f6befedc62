"""AssumeRoleWithSAML over the wire, by boto3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from realm import saml_forge
from realm.saml_forge import Draft
from realm.server import ACCOUNT, BrokerServer, Keys, refused, request_id, serving
from realm.site import allow, role, role_arn, trust

PROVIDER = f"arn:aws:iam::{ACCOUNT}:saml-provider/realm"
SAML_ACTIONS = ["sts:AssumeRoleWithSAML", "sts:TagSession", "sts:SetSourceIdentity"]


def saml_provider(name: str = "realm", **settings: object) -> str:
    lines = ["[[identity_provider]]", 'kind = "saml"', f'name = "{name}"', 'metadata_file = "idp.xml"']
    return "\n".join([*lines, f'audiences = ["{saml_forge.AUDIENCE}"]', f'acs_urls = ["{saml_forge.ACS}"]']) + "\n"


@pytest.fixture(scope="module")
def server(make_broker: Callable[..., BrokerServer]) -> Iterator[BrokerServer]:
    made = make_broker(settings={"server.workers": 2})
    (made.directory / "idp.xml").write_text(saml_forge.metadata())
    made.add(saml_provider())
    made.add(role("Developer", trust({"Federated": PROVIDER}, SAML_ACTIONS), may=[allow("sts:*")]))
    with serving(made):
        yield made


def assume(server: BrokerServer, xml: str, name: str = "Developer", **more: Any) -> Any:
    return server.client().assume_role_with_saml(
        RoleArn=role_arn(name), PrincipalArn=PROVIDER, SAMLAssertion=saml_forge.pack(xml), **more
    )


def test_thin(server):
    import uuid

    draft = Draft(now=datetime.now(UTC), assertion_id=f"_{uuid.uuid4().hex}")
    xml = saml_forge.signed(draft)
    answer = assume(server, xml)
    print(answer)
    who = server.client(Keys.of(answer)).get_caller_identity()
    print(who, server.event(request_id(answer)))
    with refused("InvalidIdentityToken") as r:
        assume(server, xml)
    print(server.event(r.request_id))
