"""The JSON vectors of tests/vectors/saml: each named after its row of the attack list, each citing its rule.

A case changes one good response: ``draft`` sets its pieces, ``times`` those that are times relative to the clock,
``sign`` says what is signed and ``signer`` how, ``encrypt`` and ``encrypt_name_id`` how something is encrypted.
``edit_before`` and ``cut_before`` change the text before it is signed, ``edit`` afterwards. ``rules`` are settings of
the provider, ``keys`` its signing keys. ``forge`` names a function of ``forgeries.py`` instead. ``detail`` is what the
step says that refuses it.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from forgeries import FORGERIES
from realm import saml_forge as forge
from realm.saml_forge import Draft, Encryptor, Signer
from saml_provider import authenticate, find_provider

from providers import errors
from providers.errors import ProviderError

VECTORS = Path(__file__).parents[3] / "vectors" / "saml"
REFUSED = ("wrapping", "signatures", "documents", "assertions", "encryption")
ROWS = {"SAML-01", "SAML-02", "SAML-03", "SAML-04", "SAML-05", "SAML-06", "SAML-07", "SAML-08", "SAML-09", "SAML-10"}
ROWS |= {"SAML-11", "SAML-13", "SAML-14", "SAML-15", "SAML-20", "SAML-21", "SAML-22", "SAML-23", "SAML-24", "SAML-25"}
ROWS |= {"SAML-26", "SAML-27", "SAML-40", "SAML-50", "SAML-61"}
"""SAML-12 is about what is accepted, and how it is read; SAML-16, 30 and 31 are the token service's."""
BUDGET_SECONDS = 0.1


def load(*names):
    cases = [case for name in names for case in json.loads((VECTORS / f"{name}.json").read_text())["cases"]]
    assert all(case["rule"] for case in cases)
    return cases


def parameters(*names):
    return [pytest.param(case, id=case["name"]) for case in load(*names)]


def build(case):
    """The text of the form's field."""
    if "forge" in case:
        return FORGERIES[case["forge"]]()
    fields = case.get("draft", {}) | {name: forge.instant(offset) for name, offset in case.get("times", {}).items()}
    draft = Draft(**fields)
    signer = dict(case.get("signer", {}))
    if signer.get("key_info") == "@renewed":
        signer["key_info"] = forge.key_info("idp", "renewed")
    signer = Signer(**signer)
    which = case.get("sign", "assertion")
    if "encrypt_name_id" in case:
        name_id = f'<saml:NameID xmlns:saml="{forge.SAML}" Format="{forge.EMAIL}">{forge.SUBJECT}</saml:NameID>'
        name_id = case.get("plain_name_id", name_id)
        beside = case.get("beside_name_id", "")
        draft.xml_name_id = beside + Encryptor(**case["encrypt_name_id"]).encrypt(name_id, "EncryptedID")
    if "encrypt" in case:
        xml = forge.encrypted(draft, which, signer, Encryptor(**case["encrypt"]))
    else:
        xml = draft.response()
        for before, after in case.get("edit_before", ()):
            assert before in xml
            xml = xml.replace(before, after)
        if "cut_before" in case:
            start, end = case["cut_before"]
            xml = xml[: xml.index(start)] + xml[xml.index(end) + len(end) :]
        if which in ("assertion", "both"):
            xml = signer.sign(xml, draft.assertion_id)
        if which in ("response", "both"):
            xml = signer.sign(xml, draft.response_id)
    for before, after in case.get("edit", ()):
        assert before in xml
        xml = xml.replace(before, after)
    text = forge.pack(case.get("prolog", "") + xml)
    return "\r\n".join(re.findall(f".{{1,{case['wrap']}}}", text)) if "wrap" in case else text


def settings(case):
    found = {"keys": case.get("keys"), "described": case.get("metadata")}
    return {name: value for name, value in found.items() if value is not None} | case.get("rules", {})


@pytest.mark.parametrize("case", parameters(*REFUSED))
def test_refused(case):
    text, provider = build(case), find_provider(**settings(case))
    began = time.process_time()
    with pytest.raises(ProviderError) as refusal:
        authenticate(text, provider)
    assert time.process_time() - began < BUDGET_SECONDS
    assert type(refusal.value) is getattr(errors, case["expect"]), refusal.value.detail
    assert case["detail"] in refusal.value.detail
    assert len(refusal.value.message) < 100
    assert len(refusal.value.detail) <= 600


@pytest.mark.parametrize("case", parameters("accepted"))
def test_accepted(case):
    identity = authenticate(build(case), find_provider(**settings(case)))
    expected = case.get("identity", {})
    assert identity.issuer == forge.ENTITY_ID
    assert identity.provider == forge.PROVIDER
    assert identity.audience[:2] == (forge.ACS, forge.AUDIENCE) or len(identity.audience) > 2
    assert identity.assertion_id == "_assertion1"
    assert identity.subject == expected.get("subject", identity.subject)
    assert identity.subject_format == expected.get("subject_format", identity.subject_format)
    assert identity.one_time is expected.get("one_time", False)
    assert len(identity.warnings) == expected.get("warnings", 0)
    if "session_ends_in" in expected:
        assert (identity.session_ends_at - forge.NOW).total_seconds() == expected["session_ends_in"]
    for name, values in expected.get("attributes", {}).items():
        assert identity.attributes[name] == tuple(values)


def test_refusals_outnumber_acceptances_and_every_row_has_vectors():
    refused, accepted = load(*REFUSED), load("accepted")
    assert len(refused) >= 300
    assert len(refused) > 4 * len(accepted)
    assert {case["name"].partition("/")[0] for case in refused} == ROWS
    names = [case["name"] for case in (*refused, *accepted)]
    assert len(names) == len(set(names))


def test_every_forgery_has_its_vector():
    assert {case.get("forge") for case in load(*REFUSED)} >= set(FORGERIES)


def test_whatever_is_wrong_with_signature_or_encryption_the_message_is_one():
    messages = set()
    for case in load("signatures", "encryption"):
        if case["expect"] == "SignatureInvalid":
            with pytest.raises(ProviderError) as refusal:
                authenticate(build(case), find_provider(**settings(case)))
            messages.add(refusal.value.message)
    assert messages == {"Response signature invalid"}


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ({"not_on_or_after": forge.instant(-61)}, "Response has expired"),
        ({"assertion_issued": forge.instant(-361)}, "Token must be redeemed within 5 minutes of issuance"),
    ],
)
def test_expired_responses_get_awss_sentences(times, message):
    with pytest.raises(errors.Expired) as refusal:
        authenticate(forge.pack(forge.signed(Draft(**times))))
    assert refusal.value.message == message


def test_another_issuer_gets_awss_sentence():
    with pytest.raises(ProviderError) as refusal:
        authenticate(forge.pack(forge.signed(Draft(issuer="https://evil.example"))))
    assert refusal.value.message == "Issuer not present in specified provider"
