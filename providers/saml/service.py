"""What we say to an identity provider as its service provider: metadata, AuthnRequest, LogoutRequest, LogoutResponse.

python3-saml writes them (SAML Core 3.4, 3.7; Metadata 2.4.4). It puts texts into templates as they are: whatever goes
there is escaped before.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from xml.sax.saxutils import escape

import xmlsec
from lxml import etree
from onelogin.saml2.authn_request import OneLogin_Saml2_Authn_Request
from onelogin.saml2.errors import OneLogin_Saml2_Error
from onelogin.saml2.logout_request import OneLogin_Saml2_Logout_Request
from onelogin.saml2.logout_response import OneLogin_Saml2_Logout_Response
from onelogin.saml2.metadata import OneLogin_Saml2_Metadata
from onelogin.saml2.settings import OneLogin_Saml2_Settings
from onelogin.saml2.utils import OneLogin_Saml2_Utils

from providers.errors import MalformedEvidence
from providers.saml.bindings import POST, REDIRECT, MessageField, OutgoingMessage, redirect
from providers.saml.document import MESSAGE, parse_again
from providers.saml.metadata import Endpoint, IdpMetadata
from providers.saml.names import MD, NAME_FORMATS, SUCCESS, UNSPECIFIED

REQUESTER = "urn:oasis:names:tc:SAML:2.0:status:Requester"


@dataclass(frozen=True, slots=True)
class RequestRules:
    """How people are sent to the provider. ``name_format``: the NameID that is asked for, one of ``NAME_FORMATS``, or
    "" for whatever the provider chooses. ``binding``: the one that is preferred if the provider takes both."""

    force_authn: bool = False
    name_format: str = ""
    binding: str = REDIRECT
    sign: bool = True


@dataclass(frozen=True)
class ServiceProvider:
    """What we are towards one identity provider. ``private_key`` and ``certificate`` are PEM."""

    entity_id: str
    acs_urls: tuple[str, ...]
    logout_url: str
    certificate: str
    private_key: str = field(repr=False)
    rules: RequestRules = field(default_factory=RequestRules)

    @cached_property
    def signing_key(self) -> xmlsec.Key:
        return xmlsec.Key.from_memory(self.private_key, xmlsec.constants.KeyDataFormatPem)

    # --- messages -----------------------------------------------------------------------------------------------------

    def ask_for_sign_in(self, idp: IdpMetadata, relay_state: str) -> OutgoingMessage:
        """An AuthnRequest. Raises MalformedEvidence if the provider's metadata names no place for it."""
        endpoint = choose_endpoint(idp.single_sign_on, self.rules.binding, "single sign-on")
        settings = self._settings(idp, endpoint.location)
        asked = OneLogin_Saml2_Authn_Request(
            settings, force_authn=self.rules.force_authn, set_nameid_policy=bool(self.rules.name_format)
        )
        signs = self.rules.sign or idp.wants_signed_requests
        return self._sent(endpoint, "SAMLRequest", asked.get_id(), asked.get_xml(), relay_state, signs)

    def ask_for_logout(
        self, idp: IdpMetadata, subject: str, known_as: Mapping[str, str], session_index: str | None, relay_state: str
    ) -> OutgoingMessage:
        """A LogoutRequest; ``known_as`` are the NameID's attributes. Raises MalformedEvidence."""
        endpoint = choose_endpoint(idp.single_logout, self.rules.binding, "single logout")
        asked = OneLogin_Saml2_Logout_Request(
            self._settings(idp, endpoint.location),
            name_id=subject,
            session_index=None if session_index is None else escape(session_index),
            nq=known_as.get("NameQualifier"),
            name_id_format=known_as.get("Format"),
            spnq=known_as.get("SPNameQualifier"),
        )
        return self._sent(endpoint, "SAMLRequest", asked.id, asked.get_xml(), relay_state, True)

    def answer_logout(
        self, idp: IdpMetadata, request_id: str, binding: str, relay_state: str, *, done: bool
    ) -> OutgoingMessage:
        """A LogoutResponse, by the binding that the request came with if the provider takes it. Raises
        MalformedEvidence."""
        endpoint = choose_endpoint(idp.single_logout, binding, "single logout")
        endpoint = replace(endpoint, location=endpoint.response_location or endpoint.location)
        answer = OneLogin_Saml2_Logout_Response(self._settings(idp, endpoint.location))
        answer.build(escape(request_id, {'"': "&quot;"}), SUCCESS if done else REQUESTER)
        return self._sent(endpoint, "SAMLResponse", answer.id, answer.get_xml(), relay_state, True)

    def metadata(self) -> bytes:
        """Our own metadata, signed; one key for signatures and encryption."""
        sp = self._described()
        text = OneLogin_Saml2_Metadata.builder(sp, authnsign=self.rules.sign, valid_until="", cache_duration="P1D")
        text = OneLogin_Saml2_Metadata.add_x509_key_descriptors(text, self.certificate)
        root = parse_again(text.encode() if isinstance(text, str) else text)
        self._complete(root[0])
        signed = OneLogin_Saml2_Metadata.sign_metadata(etree.tostring(root), self.private_key, self.certificate)
        return signed if isinstance(signed, bytes) else str(signed).encode()

    # --- parts --------------------------------------------------------------------------------------------------------

    def _complete(self, role: Any) -> None:
        """What the library's template has no room for: logout by a form, and more places to deliver to."""
        logout = role.find(f"{MD}SingleLogoutService")
        also = etree.Element(logout.tag, Binding=POST, Location=self.logout_url)
        logout.addnext(also)
        delivered = role.find(f"{MD}AssertionConsumerService")
        for index, url in reversed(list(enumerate(self.acs_urls[1:], 2))):
            delivered.addnext(etree.Element(delivered.tag, Binding=POST, Location=url, index=str(index)))

    def _sent(
        self, endpoint: Endpoint, name: MessageField, message_id: str, xml: str, relay_state: str, signs: bool
    ) -> OutgoingMessage:
        text = "\n".join(line for line in xml.splitlines() if line.strip())
        if endpoint.binding == REDIRECT:
            key = self.signing_key if signs else None
            address = redirect(endpoint.location, name, text.encode(), relay_state, key)
            return OutgoingMessage(message_id, REDIRECT, address)
        signed = OneLogin_Saml2_Utils.add_sign(text, self.private_key, self.certificate) if signs else text.encode()
        fields = {name: base64.b64encode(signed).decode()} | ({"RelayState": relay_state} if relay_state else {})
        return OutgoingMessage(message_id, POST, endpoint.location, fields)

    def _described(self) -> dict[str, Any]:
        return {
            "entityId": _attribute(self.entity_id),
            "assertionConsumerService": {"url": _attribute(self.acs_urls[0]), "binding": POST},
            "singleLogoutService": {"url": _attribute(self.logout_url), "binding": REDIRECT},
            "NameIDFormat": NAME_FORMATS.get(self.rules.name_format, UNSPECIFIED),
        }

    def _settings(self, idp: IdpMetadata, location: str) -> OneLogin_Saml2_Settings:
        place = {"url": _attribute(location), "responseUrl": _attribute(location)}
        told = {
            "strict": False,  # nothing is judged by it
            "sp": self._described(),
            "idp": {
                "entityId": _attribute(idp.entity_id),
                "singleSignOnService": place,
                "singleLogoutService": place,
                "x509cert": base64.b64encode(idp.certificates[0].der).decode(),
            },
            "security": {"requestedAuthnContext": False, "allowSingleLabelDomains": True},
        }
        try:
            return OneLogin_Saml2_Settings(told, sp_validation_only=True)
        except OneLogin_Saml2_Error as error:  # it has rules of its own about URLs
            raise MalformedEvidence(MESSAGE, detail=f"our own addresses: {str(error)[:200]}") from None


def choose_endpoint(endpoints: tuple[Endpoint, ...], preferred: str, what: str) -> Endpoint:
    """The endpoint of the preferred binding, else of the other one. Raises MalformedEvidence."""
    usable = {one.binding: one for one in reversed(endpoints) if one.binding in (REDIRECT, POST)}
    if not usable:
        raise MalformedEvidence(MESSAGE, detail=f"metadata: no endpoint for {what} by Redirect or POST")
    return usable.get(preferred) or next(iter(usable.values()))


def _attribute(text: str) -> str:
    return escape(text, {'"': "&quot;"})
