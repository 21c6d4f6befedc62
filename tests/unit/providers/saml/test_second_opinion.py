"""python3-saml judges the vectors too: every difference from it is explained here.

It is used at its strictest; what it takes and we refuse are the checks that no setting of it has.
"""

from __future__ import annotations

import base64
import warnings
from functools import cache
from unittest.mock import patch

from onelogin.saml2.response import OneLogin_Saml2_Response
from onelogin.saml2.settings import OneLogin_Saml2_Settings
from onelogin.saml2.utils import OneLogin_Saml2_Utils
from realm import saml_forge as forge
from test_saml_vectors import REFUSED, build, load

STRICTER_THAN_IT = {
    "SAML-04": "ds:Object and attributes of the reference beside what was signed: harmless, and of no use",
    "SAML-07": "a parameter of HMAC on another method",
    "SAML-08": "MD5, which is none of its deprecated algorithms",
    "SAML-09": "an element inside of the enveloped-signature transform",
    "SAML-10": "a relative namespace behind a character reference",
    "SAML-13": "texts and numbers of values within the bounds of libxml2",
    "SAML-14": "encodings that libxml2 guesses, processing instructions, odd ids, elements that nobody reads",
    "SAML-15": "base64 with characters that Python skips",
    "SAML-20": "several audience restrictions are alternatives to it, none is enough",
    "SAML-21": "prefixes and parts of URLs, and their absence",
    "SAML-22": "several confirmations, NotBefore, no end",
    "SAML-24": "the age of IssueInstant, lifetimes, five minutes of skew",
    "SAML-25": "AuthnInstant",
    "SAML-26": "an empty issuer, its Format",
    "SAML-27": "blank and long names",
    "SAML-40": "the version of the assertion",
    "SAML-50": "RSA 1.5 and CBC; an hour-old assertion, within its skew",
}
"""Rows of which it takes some responses that we refuse. None is about wrapping, stripping, keys or entities."""
LOOSER_THAN_IT = {
    "advice": "its schema has no element x",
    "second-statement": "its schema wants statements in order, and an AuthnContext",
    "oaep-sha1": "its schema does not know XML Encryption 1.1",
    "oaep-sha256": "its schema does not know XML Encryption 1.1",
    "oaep-sha512": "its schema does not know XML Encryption 1.1",
    "encrypted-key-beside": "it looks for the key inside of the data alone",
    "skew-confirmation": "it has no skew for confirmations",
}


@cache
def strictest():
    certificate = forge.certificate_text("idp")
    return OneLogin_Saml2_Settings(
        {
            "strict": True,
            "sp": {
                "entityId": forge.AUDIENCE,
                "assertionConsumerService": {"url": forge.ACS},
                "privateKey": forge.private_pem("sp"),
                "x509cert": forge.certificate_pem("sp"),
            },
            "idp": {
                "entityId": forge.ENTITY_ID,
                "singleSignOnService": {"url": "https://idp.example/sso"},
                "x509cert": certificate,
            },
            "security": {
                "rejectDeprecatedAlgorithm": True,
                "wantNameId": True,
                "wantAttributeStatement": True,
                "allowRepeatAttributeName": False,
                "requestedAuthnContext": False,
            },
        }
    )


def taken(text):
    """Whether python3-saml takes it; whatever it raises is a refusal."""
    request = {"https": "on", "http_host": "broker.example", "script_name": "/saml/acs", "server_port": "443"}
    moment = int(forge.NOW.timestamp())
    with warnings.catch_warnings(), patch.object(OneLogin_Saml2_Utils, "now", staticmethod(lambda: moment)):
        warnings.simplefilter("ignore")
        try:
            base64.b64decode(text)
            return bool(OneLogin_Saml2_Response(strictest(), text).is_valid(request))
        except Exception:  # noqa: BLE001  # it raises for much that is only refused elsewhere
            return False


def simple(case):
    """It knows one provider with one key."""
    return "rules" not in case and "keys" not in case and "metadata" not in case


def dangerous(case):
    """What it would work on for seconds."""
    return "transform-x" in case["name"] or "bomb" in case["name"]


def test_what_it_takes_and_we_refuse_is_known():
    cases = [case for case in load(*REFUSED) if simple(case) and not dangerous(case)]
    found = {case["name"].partition("/")[0] for case in cases if taken(build(case))}
    assert found == set(STRICTER_THAN_IT)


def test_it_takes_what_we_take():
    refused = {case["name"] for case in load("accepted") if simple(case) and not taken(build(case))}
    assert refused == set(LOOSER_THAN_IT)
