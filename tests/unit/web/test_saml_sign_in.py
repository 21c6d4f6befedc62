"""Sign-in at a SAML provider and single logout, page by page: who may arrive, with what, how often."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

import pytest
from person import ACCOUNT, BASE, Browser, Pages, make_services, role, trust
from realm import saml_forge as forge
from realm.saml_forge import AWS, Draft
from realm.saml_messages import Form, Logout, Sent, signed_query
from werkzeug.test import TestResponse

from broker.domain.arn import saml_provider_arn
from providers.saml.metadata import parse_metadata
from providers.saml.xmlsig import load_key, verify_bytes, verify_signature

ENTITY = f"{BASE}/saml/{ACCOUNT}/realm"
ACS, SLO = f"{ENTITY}/acs", f"{ENTITY}/slo"
PATH = f"/saml/{ACCOUNT}/realm"
REALM = saml_provider_arn(ACCOUNT, "realm")
NAMES = ("realm", "open", "careful")
CROSS_SITE = {"Origin": "https://idp.example", "Sec-Fetch-Site": "cross-site"}


def declared() -> str:
    lines = []
    for name, more in (
        ("realm", ""),
        ("open", "idp_initiated = true"),
        ("careful", 'force_authn = true\nrequest_binding = "POST"\nname_id_format = "persistent"'),
    ):
        lines.append(f'[[identity_provider]]\nkind = "saml"\nname = "{name}"\nmetadata_file = "idp.xml"\n{more}')
    federated = trust({"Federated": [saml_provider_arn(ACCOUNT, one) for one in NAMES]}, "sts:AssumeRoleWithSAML")
    lines += [f"[[role]]\nname = \"{name}\"\ntrust_policy = '{federated}'" for name in ("writers", "readers")]
    return "\n".join(lines)


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    (tmp_path / "idp.xml").write_text(forge.metadata())
    services = make_services(tmp_path, declared())
    yield Pages(services)
    services.usage.close()
    services.audit.close()
    services.database.close()


@pytest.fixture
def browser(pages: Pages) -> Browser:
    return pages.browser()


def begin(browser: Browser, name: str = "realm", next_path: str = "") -> Sent:
    """What our request to the provider says."""
    answer = browser.get(f"/saml/{ACCOUNT}/{name}/login{f'?next={quote(next_path)}' if next_path else ''}")
    if answer.status_code == 303:
        return Sent.redirected(answer.headers["Location"])
    assert answer.status_code == 200, answer.text
    return Sent.posted(answer.text)


def response(sent: Sent | None = None, name: str = "realm", *, which: str = "assertion", **fields: Any) -> str:
    """The provider's answer, by default of alice to this request."""
    entity = f"{BASE}/saml/{ACCOUNT}/{name}"
    roles = [f"{role(one)},{saml_provider_arn(ACCOUNT, name)}" for one in ("writers", "readers")]
    made: dict[str, Any] = {
        "now": datetime.now(UTC),
        "assertion_id": f"_{uuid.uuid4().hex}",
        "destination": f"{entity}/acs",
        "recipient": f"{entity}/acs",
        "audiences": [[entity]],
        "in_response_to": None if sent is None else sent.id,
        "attributes": {f"{AWS}Role": roles, f"{AWS}RoleSessionName": ["alice"]},
    }
    signer = fields.pop("signer", None)
    return forge.pack(forge.signed(Draft(**(made | fields)), which, signer))


def arrive(browser: Browser, text: str | list[str], name: str = "realm", relay_state: str = "") -> TestResponse:
    """The provider's page has the browser send its form to us."""
    form: dict[str, Any] = {"SAMLResponse": text} | ({"RelayState": relay_state} if relay_state else {})
    return browser.client.post(f"/saml/{ACCOUNT}/{name}/acs", base_url=BASE, data=form, headers=CROSS_SITE)


def sign_in(browser: Browser, name: str = "realm", **fields: Any) -> TestResponse:
    sent = begin(browser, name)
    answer = arrive(browser, response(sent, name, **fields), name, sent.relay_state)
    assert answer.status_code == 303, answer.text
    return answer


def signed_in(browser: Browser) -> bool:
    return browser.get("/portal").status_code == 200


def refused(pages: Pages, answer: TestResponse, reason: str) -> None:
    """A plain page with a reference, no session, and one event that says exactly why."""
    assert answer.status_code == 403, answer.text
    (event,) = pages.events("ConsoleLogin")
    why = event["additionalEventData"]["reason"]
    assert reason in why
    assert event["requestID"] in answer.text
    assert why not in answer.text
    assert event["recipientAccountId"] == ACCOUNT
    assert "__Host-accredit=" not in answer.headers.get("Set-Cookie", "")


# --- our metadata -----------------------------------------------------------------------------------------------------


def service_keys(browser: Browser, name: str = "realm") -> list[Any]:
    from lxml import etree

    answer = browser.get(f"/saml/{ACCOUNT}/{name}/metadata")
    assert answer.content_type == "application/samlmetadata+xml"
    root = etree.fromstring(answer.data)
    texts = root.xpath("//*[local-name()='KeyDescriptor'][@use='signing']//*[local-name()='X509Certificate']/text()")
    return [load_key(base64.b64decode(text), "ours") for text in texts]


def test_the_metadata(browser: Browser) -> None:
    from lxml import etree
    from onelogin.saml2.settings import OneLogin_Saml2_Settings

    answer = browser.get(f"{PATH}/metadata")
    root = etree.fromstring(answer.data)
    assert root.get("entityID") == ENTITY
    found = [one for one in root[-1] if one.get("Location")]
    places = {(one.tag.rpartition("}")[2], one.get("Binding").rpartition("-")[2], one.get("Location")) for one in found}
    assert places == {
        ("AssertionConsumerService", "POST", ACS),
        ("SingleLogoutService", "Redirect", SLO),
        ("SingleLogoutService", "POST", SLO),
    }
    assert root[-1].get("AuthnRequestsSigned") == "true"
    verify_signature(root, service_keys(browser))
    checker = OneLogin_Saml2_Settings({"strict": True, "sp": {"entityId": "x", "assertionConsumerService": {
        "url": "https://x.example"}}}, sp_validation_only=True)  # fmt: skip
    assert checker.validate_metadata(answer.data) == []


def test_each_provider_has_a_key_of_its_own_that_stays(pages: Pages, browser: Browser) -> None:
    first, other = browser.get(f"{PATH}/metadata").text, browser.get(f"/saml/{ACCOUNT}/open/metadata").text
    certificate = first.partition("X509Certificate>")[2].partition("<")[0].replace("\n", "")
    assert certificate in browser.get(f"{PATH}/metadata").text.replace("\n", "")
    assert certificate not in other.replace("\n", "")


@pytest.mark.parametrize("path", [f"/saml/{ACCOUNT}/nobody", "/saml/999999999999/realm", f"/saml/{ACCOUNT}/a%00b",
                                  "/saml/x/realm", f"/saml/{ACCOUNT}/{'a' * 129}"])  # fmt: skip
def test_no_such_provider(browser: Browser, path: str) -> None:
    for page in ("metadata", "login", "slo"):
        assert browser.get(f"{path}/{page}").status_code == 404
    assert browser.client.post(f"{path}/acs", base_url=BASE).status_code == 404


# --- the way there ----------------------------------------------------------------------------------------------------


def test_the_request(browser: Browser) -> None:
    sent = begin(browser)
    assert sent.address == "https://idp.example/sso"
    assert sent.root.get("AssertionConsumerServiceURL") == ACS
    assert sent.root.get("Destination") == "https://idp.example/sso"
    assert sent.text("saml:Issuer") == ENTITY
    assert (sent.root.get("ForceAuthn"), sent.root.find("samlp:NameIDPolicy", {"samlp": forge.SAMLP})) == (None, None)
    query = sent.values["query"]
    signed, _, _ = query.partition("&Signature=")
    value = base64.b64decode(sent.values["Signature"])
    assert verify_bytes(signed.encode(), sent.values["SigAlg"], value, service_keys(browser)) == "ours"


def test_the_request_by_a_form(browser: Browser) -> None:
    answer = browser.get(f"/saml/{ACCOUNT}/careful/login")
    sent = Sent.posted(answer.text)
    assert sent.address == "https://idp.example/sso-post"
    assert sent.root.get("ForceAuthn") == "true"
    policy = sent.root.find("samlp:NameIDPolicy", {"samlp": forge.SAMLP})
    assert policy.get("Format").endswith(":persistent")
    verify_signature(sent.root, service_keys(browser, "careful"))
    assert "form-action 'self' https://idp.example https:" in answer.headers["Content-Security-Policy"]


def test_each_request_is_another(browser: Browser) -> None:
    first, second = begin(browser), begin(browser)
    assert first.id != second.id
    assert first.relay_state != second.relay_state
    assert len(first.relay_state) == 43


# --- the way back -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["assertion", "response", "both"])
@pytest.mark.parametrize("name", ["realm", "careful"])
def test_a_sign_in(pages: Pages, browser: Browser, which: str, name: str) -> None:
    answer = sign_in(browser, name, which=which)
    assert answer.headers["Location"] == "/portal"
    page = browser.get("/portal")
    assert "writers" in page.text
    assert "readers" in page.text
    (event,) = pages.events("ConsoleLogin")
    assert event["userIdentity"]["type"] == "SAMLUser"
    assert event["responseElements"] == {"ConsoleLogin": "Success"}
    assert event["requestParameters"]["sAMLAssertionID"].startswith("_")


def test_credentials_of_a_role(pages: Pages, browser: Browser) -> None:
    sign_in(browser)
    browser.get(f"/portal/role?arn={quote(role('writers'))}")
    answer = browser.post("/portal/credentials", role_arn=role("writers"), duration_seconds="3600")
    assert "assumed-role/writers/alice" in answer.text
    (event,) = pages.events("AssumeRoleWithSAML")
    assert event["userIdentity"]["userName"] == forge.SUBJECT


def test_where_somebody_was_going(browser: Browser) -> None:
    sent = begin(browser, next_path=f"/portal/role?arn={role('writers')}")
    answer = arrive(browser, response(sent), relay_state=sent.relay_state)
    assert answer.headers["Location"] == f"/portal/role?arn={role('writers')}"


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)",
                                  "\\\\evil.example", "/\tevil", "evil"])  # fmt: skip
def test_nobody_is_led_elsewhere(browser: Browser, path: str) -> None:
    sent = begin(browser, next_path=path)
    assert arrive(browser, response(sent), relay_state=sent.relay_state).headers["Location"] == "/portal"
    assert arrive(browser, response(name="open"), "open", path).headers["Location"] == "/portal"


def test_tabs_do_not_disturb_each_other(browser: Browser) -> None:
    first, second = begin(browser), begin(browser)
    assert arrive(browser, response(first), relay_state=first.relay_state).status_code == 303
    assert arrive(browser, response(second), relay_state=second.relay_state).status_code == 303


# --- who may not arrive -----------------------------------------------------------------------------------------------


def test_an_answer_in_another_browser(pages: Pages, browser: Browser) -> None:
    """Login CSRF: a response that was made for the attacker's browser, sent by the victim's."""
    sent = begin(browser)
    refused(pages, arrive(pages.browser(), response(sent), relay_state=sent.relay_state), "no request of this browser")


def test_an_answer_to_nothing(pages: Pages, browser: Browser) -> None:
    begin(browser)
    text = response(in_response_to="_made-up")
    refused(pages, arrive(browser, text), "no request of this browser")


def test_nobody_asked(pages: Pages, browser: Browser) -> None:
    begin(browser)
    refused(pages, arrive(browser, response()), "does not allow IdP-initiated")


def test_nobody_asked_and_that_is_allowed(browser: Browser) -> None:
    answer = arrive(browser, response(name="open"), "open", "/portal/sessions")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/portal/sessions")


def test_an_answer_to_another_providers_request(pages: Pages, browser: Browser) -> None:
    sent = begin(browser, "open")
    refused(pages, arrive(browser, response(sent), relay_state=sent.relay_state), "no request of this browser")


def test_another_relay_state(pages: Pages, browser: Browser) -> None:
    sent, other = begin(browser), begin(browser)
    refused(pages, arrive(browser, response(sent), relay_state=other.relay_state), "RelayState is another one")


def test_no_relay_state(pages: Pages, browser: Browser) -> None:
    refused(pages, arrive(browser, response(begin(browser))), "RelayState is another one")


def test_the_confirmation_is_what_counts(pages: Pages, browser: Browser) -> None:
    """The response around a signed assertion is not signed: what it says of a request proves nothing."""
    sent = begin(browser)
    text = base64.b64decode(response()).decode()
    text = text.replace('Version="2.0"', f'Version="2.0" InResponseTo="{sent.id}"', 1)
    refused(pages, arrive(browser, forge.pack(text), relay_state=sent.relay_state), "InResponseTo")


def test_the_same_answer_twice(pages: Pages, browser: Browser) -> None:
    sent = begin(browser)
    text = response(sent)
    kept = {name: cookie.value for name, cookie in _cookies(browser).items()}
    assert arrive(browser, text, relay_state=sent.relay_state).status_code == 303
    again = pages.browser()
    for name, value in kept.items():
        again.client.set_cookie(name, value, domain="portal.example", secure=True)
    answer = arrive(again, text, relay_state=sent.relay_state)
    assert answer.status_code == 403
    assert "used already" in answer.text
    answer = arrive(again, response(sent), relay_state=sent.relay_state)  # another assertion for the same request
    assert answer.status_code == 403
    assert [event.get("errorCode") for event in pages.events("ConsoleLogin")] == [None] + ["InvalidIdentityToken"] * 2


def _cookies(browser: Browser) -> dict[str, Any]:
    return {cookie.key: cookie for cookie in browser.client._cookies.values()}


def test_a_sign_in_uses_the_assertion_up(pages: Pages, browser: Browser) -> None:
    """Nobody who saw it on its way can have credentials for it."""
    from broker.audit.event import CallRecord, render
    from broker.domain.secret import Secret
    from broker.errors import AssertionReplayed
    from broker.services import Caller
    from broker.sts.saml import assume_role_with_saml

    sent = begin(browser)
    text = response(sent)
    assert arrive(browser, text, relay_state=sent.relay_state).status_code == 303
    now = datetime.now(UTC)
    caller = Caller(now, CallRecord("id", now))
    assume_role_with_saml(
        pages.services, caller, role_arn=role("writers"), principal_arn=REALM, saml_assertion=Secret(text)
    )
    assert isinstance(pages.services.audit.issued(caller.record, render(caller.record)), AssertionReplayed)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"signer": forge.Signer(key="evil")}, "signature"),
        ({"destination": f"{BASE}/saml/{ACCOUNT}/open/acs"}, "Destination"),
        ({"recipient": f"{BASE}/saml/{ACCOUNT}/open/acs"}, "Recipient"),
        ({"recipient": f"{ACS}/"}, "Recipient"),
        ({"audiences": [["https://other.example"]]}, "Audience"),
        ({"issuer": "https://evil.example"}, "Issuer"),
        ({"confirmation_end": "2020-01-01T00:00:00Z"}, "NotOnOrAfter of the confirmation"),
        ({"session_end": "2020-01-01T00:00:00Z"}, "SessionNotOnOrAfter"),
        ({"status": "urn:oasis:names:tc:SAML:2.0:status:Responder"}, "Status"),
        ({"xml_name_id": ""}, "NameID"),
    ],
)
def test_responses_that_are_refused(pages: Pages, browser: Browser, fields: dict[str, Any], reason: str) -> None:
    sent = begin(browser)
    refused(pages, arrive(browser, response(sent, **fields), relay_state=sent.relay_state), reason)
    assert not signed_in(browser)


@pytest.mark.parametrize("text", ["", "!!!", "PHg+", forge.pack("<x/>"), "A" * 200_000])
def test_what_is_no_response(pages: Pages, browser: Browser, text: str) -> None:
    refused(pages, arrive(browser, text), "")


def test_two_responses(pages: Pages, browser: Browser) -> None:
    sent = begin(browser)
    refused(pages, arrive(browser, [response(sent), response(sent)], relay_state=sent.relay_state), "2 responses")


def test_a_cookie_that_was_changed(pages: Pages, browser: Browser) -> None:
    sent = begin(browser)
    (name,) = [name for name in _cookies(browser) if name.startswith("__Host-accredit-saml-")]
    value = _cookies(browser)[name].value
    for changed in (value[:-2] + ("AA" if value[-2:] != "AA" else "BB"), "", "é", "A" * 3_000):
        browser.client.set_cookie(name, changed, domain="portal.example", secure=True)
        answer = arrive(browser, response(sent), relay_state=sent.relay_state)
        assert answer.status_code == 403


def test_the_cookie_of_a_request(browser: Browser) -> None:
    answer = browser.get(f"{PATH}/login")
    (cookie,) = [one for one in answer.headers.getlist("Set-Cookie") if one.startswith("__Host-accredit-saml-")]
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=None", "Max-Age=600"} <= set(cookie.split("; "))
    assert "Domain" not in cookie


def test_only_a_form_brings_a_response(browser: Browser) -> None:
    assert browser.get(f"{PATH}/acs?SAMLResponse=x").status_code == 405


# --- single logout ----------------------------------------------------------------------------------------------------

INDEX = '<saml:AuthnStatement AuthnInstant="{}" SessionIndex="{}"><saml:AuthnContext><saml:AuthnContextClassRef>x</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>'  # noqa: E501


def statement(index: str) -> str:
    return INDEX.format(forge.instant(-10, datetime.now(UTC)), escape(index))


def logout(browser: Browser, message: Logout, *, by: str = "query", **more: str) -> TestResponse:
    if by == "query":
        return browser.get(f"{PATH}/slo?{message.query(**more)}")
    return browser.client.post(f"{PATH}/slo", base_url=BASE, data=message.form(**more), headers=CROSS_SITE)


@pytest.mark.parametrize("by", ["query", "form"])
def test_the_provider_ends_a_session(pages: Pages, browser: Browser, by: str) -> None:
    sign_in(browser)
    answer = logout(pages.browser(), Logout(SLO), by=by, relay_state="theirs")
    sent = Sent.redirected(answer.headers["Location"]) if by == "query" else Sent.posted(answer.text)
    assert sent.address == "https://idp.example/slo-" + ("done" if by == "query" else "post")
    assert (sent.root.get("InResponseTo"), sent.relay_state) == ("_logout1", "theirs")
    assert sent.root.find("samlp:Status/samlp:StatusCode", {"samlp": forge.SAMLP}).get("Value") == forge.SUCCESS
    assert not signed_in(browser)
    (event,) = pages.events("Logout")
    assert event["responseElements"] == {"Logout": "Success", "SessionsEnded": 1}
    assert event["userIdentity"]["userName"] == forge.SUBJECT


def test_the_session_of_one_index(pages: Pages) -> None:
    browsers = {index: pages.browser() for index in ("one", "two", "three")}
    for index, each in browsers.items():
        sign_in(each, xml_authn=statement(index))
    logout(pages.browser(), Logout(SLO, indexes=("one", "three")))
    assert {index: signed_in(each) for index, each in browsers.items()} == {"one": False, "two": True, "three": False}


def test_sessions_of_others_go_on(pages: Pages, browser: Browser) -> None:
    sign_in(browser)
    logout(pages.browser(), Logout(SLO, subject="bob@realm.example"))
    assert signed_in(browser)


BAD: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "another key": ({}, {"key": "evil"}, "not made with a key"),
    "another issuer": ({"issuer": "https://evil.example"}, {}, "issuer"),
    "another destination": ({"destination": f"{BASE}/saml/{ACCOUNT}/open/slo"}, {}, "Destination"),
    "no destination": ({"destination": ""}, {}, "Destination"),
    "old": ({"issued": "2020-01-01T00:00:00Z"}, {}, "IssueInstant"),
    "of the future": ({"issued": "2999-01-01T00:00:00Z"}, {}, "future"),
    "past its end": ({"not_on_or_after": "2020-01-01T00:00:00Z"}, {}, "NotOnOrAfter"),
    "version 1.1": ({"version": "1.1"}, {}, "Version"),
    "nobody": ({"name_id": "<samlp:SessionIndex>x</samlp:SessionIndex>"}, {}, "nobody"),
    "two names": ({"name_id": "<saml:NameID>a</saml:NameID><saml:NameID>b</saml:NameID>"}, {}, "2 elements NameID"),
    "many sessions": ({"indexes": tuple("abcdefghijklmnopqrstuvwxyz")}, {}, "sessions"),
}


@pytest.mark.parametrize("by", ["query", "form"])
@pytest.mark.parametrize("case", BAD)
def test_logout_requests_that_are_refused(pages: Pages, browser: Browser, case: str, by: str) -> None:
    sign_in(browser)
    fields, more, reason = BAD[case]
    answer = logout(browser, Logout(**({"destination": SLO} | fields)), by=by, **more)
    assert 400 <= answer.status_code < 500
    assert signed_in(browser)
    (event,) = pages.events("Logout")
    assert reason in event["additionalEventData"]["reason"]
    assert event["requestID"] in answer.text


def test_a_logout_request_counts_once(pages: Pages, browser: Browser) -> None:
    message = Logout(SLO)
    assert logout(browser, message).status_code == 303
    sign_in(browser)
    assert logout(browser, message).status_code == 400
    assert signed_in(browser)


def _bomb() -> str:
    import zlib

    packed = zlib.compressobj(9, wbits=-15)
    data = b"".join(packed.compress(b" " * 1_000_000) for _ in range(10)) + packed.flush()
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    "query",
    [
        "",
        "SAMLRequest=x",
        f"SAMLRequest={quote(forge.pack(Logout(SLO).xml()), safe='')}",
        Logout(SLO).query().partition("&SigAlg")[0],
        Logout(SLO).query() + "&RelayState=late",
        Logout(SLO).query() + "&x=y",
        Logout(SLO).query().replace("SAMLRequest", "SAMLResponse"),
        Logout(SLO).query().replace("Signature=", "Signature=AAAA"),
        Logout(SLO).query(algorithm="http://www.w3.org/2000/09/xmldsig#rsa-sha1"),
        "SAMLRequest=a&" + Logout(SLO).query(),
        signed_query([("SAMLRequest", _bomb())]),
        signed_query([("SAMLRequest", forge.pack(Logout(SLO).xml()))]),
        signed_query([("SAMLRequest", "%%%")]),
        Logout(SLO).query() + "%00",
        "x" * 20_000,
    ],
    ids=range(15),
)
def test_queries_that_are_no_signed_message(pages: Pages, browser: Browser, query: str) -> None:
    sign_in(browser)
    assert 400 <= browser.get(f"{PATH}/slo?{query}").status_code < 500
    assert signed_in(browser)


def test_a_form_without_a_signature(pages: Pages, browser: Browser) -> None:
    """Also not with a signature beside it, as the other binding has it, nor with somebody else's signed element."""
    sign_in(browser)
    xml = Logout(SLO).xml()
    unsigned = forge.pack(xml)
    assertion = forge.Signer().sign(Draft().assertion(), "_assertion1")
    inside = forge.pack(xml.replace("<saml:NameID", f"<samlp:Extensions>{assertion}</samlp:Extensions><saml:NameID"))
    for form in ({"SAMLRequest": unsigned}, {"SAMLRequest": unsigned, "Signature": "x"}, {"SAMLRequest": inside},
                 {"SAMLRequest": [unsigned, unsigned]}, {}):  # fmt: skip
        answer = browser.client.post(f"{PATH}/slo", base_url=BASE, data=form, headers=CROSS_SITE)
        assert 400 <= answer.status_code < 500
    assert signed_in(browser)


@pytest.mark.parametrize("name", ["realm", "careful"])
def test_we_end_the_session_and_the_provider_its_own(pages: Pages, browser: Browser, name: str) -> None:
    sign_in(browser, name, xml_authn=statement("s&<1>"))
    browser.get("/portal")
    page = browser.post("/sign-out")
    assert not signed_in(browser)
    sent = Sent.redirected(Form(page.text).link) if name == "realm" else Sent.posted(page.text)
    assert sent.address == "https://idp.example/slo" + ("" if name == "realm" else "-post")
    assert (sent.text("saml:NameID"), sent.text("samlp:SessionIndex")) == (forge.SUBJECT, "s&<1>")
    done = Logout(f"{BASE}/saml/{ACCOUNT}/{name}/slo", in_response_to=sent.id)
    address = f"/saml/{ACCOUNT}/{name}/slo?"
    assert browser.get(address + done.query(relay_state="other")).status_code == 403
    assert pages.browser().get(address + done.query(relay_state=sent.relay_state)).status_code == 403
    answer = browser.get(address + done.query(relay_state=sent.relay_state))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in")
    assert browser.get(address + done.query(relay_state=sent.relay_state)).status_code in (400, 403)


def test_an_encrypted_name(pages: Pages, browser: Browser) -> None:
    """To the key of our metadata, which opens assertions too."""
    certificate = service_certificate(browser)
    sign_in(browser)
    plain = f'<saml:NameID xmlns:saml="{forge.SAML}" Format="{forge.EMAIL}">{forge.SUBJECT}</saml:NameID>'
    encryptor = forge.Encryptor()
    hidden = _encrypted_for(certificate, encryptor, plain)
    assert logout(pages.browser(), Logout(SLO, name_id=hidden)).status_code == 303
    assert not signed_in(browser)


def service_certificate(browser: Browser) -> Any:
    from cryptography import x509

    text = browser.get(f"{PATH}/metadata").text.partition("X509Certificate>")[2].partition("<")[0]
    return x509.load_der_x509_certificate(base64.b64decode("".join(text.split())))


def _encrypted_for(certificate: Any, encryptor: forge.Encryptor, plain: str) -> str:
    from unittest.mock import patch

    class Held:
        def public_key(self) -> Any:
            return certificate.public_key()

    with patch.object(forge, "private_key", lambda _name: Held()):
        return encryptor.encrypt(plain, "EncryptedID")


def test_a_provider_without_logout(tmp_path: Path) -> None:
    text = forge.metadata()
    start, end = text.index("<md:SingleLogoutService"), text.index("<md:SingleSignOnService")
    (tmp_path / "idp.xml").write_text(text[:start] + text[end:])
    assert parse_metadata(text[:start] + text[end:]).single_logout == ()
    services = make_services(tmp_path, declared())
    try:
        browser = Pages(services).browser()
        sign_in(browser)
        browser.get("/portal")
        assert browser.post("/sign-out").headers["Location"] == "/sign-in"
    finally:
        services.usage.close()
        services.audit.close()
        services.database.close()


def test_events_hold_no_evidence(pages: Pages, browser: Browser) -> None:
    sent = begin(browser)
    text = response(sent)
    arrive(browser, text, relay_state=sent.relay_state)
    assert text[100:200] not in json.dumps(pages.events())
