"""The condition keys of a SAML identity (IAM User Guide, "available keys for SAML-based AWS STS federation").

``saml:aud iss sub sub_type namequalifier doc`` say who it is; besides, every attribute is a key under its own name, and
those of AWS's table under the name that it has there. What leads to one key are that key's values together.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from broker.domain.arn import Arn
from broker.domain.principal import Principal, PrincipalKind
from broker.store.identity_providers import ProviderRecord
from providers.base import ExternalIdentity

Context = dict[str, tuple[str, ...]]

ACTION = "sts:AssumeRoleWithSAML"

_NAME_FORMAT = "urn:oasis:names:tc:SAML:2.0:nameid-format:"
_EDU_PERSON, _EDU_ORG = "urn:oid:1.3.6.1.4.1.5923.1.1.1.", "urn:oid:1.3.6.1.4.1.5923.1.2.1."
_CLAIMS = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
_X500: Mapping[str, str] = {
    "2.5.4.3": "commonName",
    "2.5.4.4": "surname",
    "2.5.4.41": "name",
    "2.5.4.42": "givenName",
    "2.5.4.45": "x500UniqueIdentifier",
    "0.9.2342.19200300.100.1.1": "uid",
    "0.9.2342.19200300.100.1.3": "mail",
    "0.9.2342.19200300.100.1.45": "organizationStatus",
}
NAMES: Mapping[str, tuple[str, ...]] = {
    f"{_EDU_PERSON}1": ("edupersonaffiliation",),
    f"{_EDU_PERSON}2": ("edupersonnickname",),
    f"{_EDU_PERSON}3": ("edupersonorgdn",),
    f"{_EDU_PERSON}4": ("edupersonorgunitdn",),
    f"{_EDU_PERSON}5": ("edupersonprimaryaffiliation",),
    f"{_EDU_PERSON}6": ("edupersonprincipalname",),
    f"{_EDU_PERSON}7": ("edupersonentitlement",),
    f"{_EDU_PERSON}8": ("edupersonprimaryorgunitdn",),
    f"{_EDU_PERSON}9": ("edupersonscopedaffiliation",),
    f"{_EDU_PERSON}10": ("edupersontargetedid",),
    f"{_EDU_PERSON}11": ("edupersonassurance",),
    f"{_EDU_ORG}2": ("eduorghomepageuri",),
    f"{_EDU_ORG}3": ("eduorgidentityauthnpolicyuri",),
    f"{_EDU_ORG}4": ("eduorglegalname",),
    f"{_EDU_ORG}5": ("eduorgsuperioruri",),
    f"{_EDU_ORG}6": ("eduorgwhitepagesuri",),
    f"{_CLAIMS}name": ("name",),
    f"{_CLAIMS}givenname": ("givenName",),
    f"{_CLAIMS}surname": ("surname",),
    f"{_CLAIMS}emailaddress": ("mail",),
    "http://schemas.xmlsoap.org/claims/CommonName": ("commonName",),
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/primarygroupsid": ("uid", "primaryGroupSID"),
    **{oid: (name,) for oid, name in _X500.items()},
    **{f"urn:oid:{oid}": (name,) for oid, name in _X500.items()},
    "urn:oid:2.5.4.3": ("cn",),
}
"""Attribute -> keys, from AWS's table of the attributes that it maps."""
_OWN = frozenset({"aud", "iss", "sub", "sub_type", "namequalifier", "doc"})
"""No attribute may stand for these."""


@dataclass(frozen=True, slots=True)
class SamlSubject:
    """The answer's fields about the subject (STS ``AssumeRoleWithSAMLResponse``)."""

    subject: str
    subject_type: str
    issuer: str
    audience: str
    name_qualifier: str


def describe_subject(identity: ExternalIdentity, account: str, provider_name: str) -> SamlSubject:
    """``SubjectType`` is the NameID's format without SAML 2.0's prefix, ``Audience`` the Recipient, ``NameQualifier`` a
    digest of issuer, account and provider."""
    return SamlSubject(
        identity.subject,
        (identity.subject_format or "").removeprefix(_NAME_FORMAT),
        identity.issuer,
        identity.audience[0],
        _name_qualifier(identity.issuer, account, provider_name),
    )


def _name_qualifier(issuer: str, account: str, provider_name: str) -> str:
    digest = hashlib.sha1(f"{issuer}{account}/{provider_name}".encode(), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def saml_context(
    subject: SamlSubject, account: str, provider_name: str, attributes: Mapping[str, tuple[str, ...]]
) -> Context:
    """All keys."""
    context: Context = {}
    spelled: dict[str, str] = {}
    for name, values in attributes.items():
        for key in dict.fromkeys((name, *NAMES.get(name, ()))):
            if key.lower() not in _OWN:
                known = spelled.setdefault(key.lower(), f"saml:{key}")
                context[known] = tuple(dict.fromkeys(context.get(known, ()) + values))
    return {
        **context,
        **kept_keys(subject),
        "saml:aud": (subject.audience,),
        "saml:iss": (subject.issuer,),
        "saml:doc": (f"{account}/{provider_name}",),
    }


def kept_keys(subject: SamlSubject) -> Context:
    """Those that stay for the session's life."""
    return {
        "saml:sub": (subject.subject,),
        "saml:sub_type": (subject.subject_type,),
        "saml:namequalifier": (subject.name_qualifier,),
    }


def saml_principal(record: ProviderRecord, subject: SamlSubject) -> Principal:
    """CloudTrail names it by qualifier and subject (AWS CloudTrail User Guide, "userIdentity element")."""
    unique_id = f"{subject.name_qualifier}:{subject.subject}"
    return Principal(PrincipalKind.SAML_IDENTITY, record.account, record.arn, unique_id, user_name=subject.subject)


def subject_principal(record: ProviderRecord, subject: str) -> Principal:
    """The same, of whom no more is known than the provider's name for them."""
    qualifier = _name_qualifier(record.issuer, record.account, Arn.parse(record.arn).name)
    return saml_principal(record, SamlSubject(subject, "", record.issuer, "", qualifier))
