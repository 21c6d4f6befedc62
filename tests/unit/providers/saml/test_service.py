"""What we send to identity providers: texts that a template must not take for markup, addresses of all kinds."""

from __future__ import annotations

import pytest
from realm import saml_forge as forge
from realm.saml_messages import Sent

from providers.errors import MalformedEvidence
from providers.saml.bindings import REDIRECT
from providers.saml.metadata import parse_metadata
from providers.saml.service import ServiceProvider

METADATA = parse_metadata(forge.metadata())


def service(entity_id="https://broker.example/saml", host="broker.example"):
    return ServiceProvider(
        entity_id,
        (f"https://{host}/acs",),
        f"https://{host}/slo",
        forge.certificate_pem("sp"),
        forge.private_pem("sp"),
    )


def test_texts_stay_texts():
    name = 'https://broker.example/?a=1&b="<saml:x/>"'
    sent = Sent.redirected(service(name).ask_for_sign_in(METADATA, "relay&state=").address)
    assert (sent.text("saml:Issuer"), sent.relay_state) == (name, "relay&state=")
    made = service().ask_for_logout(METADATA, "a<b>&c", {"NameQualifier": '"<&'}, "</samlp:SessionIndex>&", "r")
    sent = Sent.redirected(made.address)
    assert (sent.text("saml:NameID"), sent.text("samlp:SessionIndex")) == ("a<b>&c", "</samlp:SessionIndex>&")
    assert len(sent.root) == 3
    made = service().answer_logout(METADATA, '_x" Evil="y', REDIRECT, "r", done=True)
    assert Sent.redirected(made.address).root.get("InResponseTo") == '_x" Evil="y'


@pytest.mark.parametrize("host", ["broker", "localhost:8400", "127.0.0.1:8400", "a-b.example:1", "broker.internal"])
def test_hosts_of_all_kinds(host):
    assert service(host=host).ask_for_sign_in(METADATA, "r").address.startswith("https://idp.example/sso?SAMLRequest=")
    assert f"https://{host}/acs".encode() in service(host=host).metadata()


def test_a_provider_that_takes_neither_binding():
    text = forge.metadata().replace("HTTP-Redirect", "HTTP-Artifact").replace("HTTP-POST", "SOAP")
    with pytest.raises(MalformedEvidence):
        service().ask_for_sign_in(parse_metadata(text), "r")
