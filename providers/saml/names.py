"""The names of SAML 2.0, XML Signature and XML Encryption that are used, and the algorithms that are taken.

Elements are written as lxml does, ``{namespace}name``. What is not in these tables is refused.
"""

from __future__ import annotations

from collections.abc import Mapping

SAML = "{urn:oasis:names:tc:SAML:2.0:assertion}"
SAMLP = "{urn:oasis:names:tc:SAML:2.0:protocol}"
MD = "{urn:oasis:names:tc:SAML:2.0:metadata}"
DS = "{http://www.w3.org/2000/09/xmldsig#}"
XENC = "{http://www.w3.org/2001/04/xmlenc#}"
XENC11 = "{http://www.w3.org/2009/xmlenc11#}"
EC = "{http://www.w3.org/2001/10/xml-exc-c14n#}"
XML = "{http://www.w3.org/XML/1998/namespace}"

VERSION = "2.0"
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
ENTITY = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
UNSPECIFIED = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
"""What a NameID without ``Format`` has (SAML Core 2.2.2)."""
NAME_FORMATS: Mapping[str, str] = {
    "persistent": "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
    "transient": "urn:oasis:names:tc:SAML:2.0:nameid-format:transient",
    "emailAddress": "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
    "unspecified": UNSPECIFIED,
}
"""What may be asked for (SAML Core 8.3)."""

# --- signatures (SAML Core 5.4; XML Signature 1.1, 6) ---------------------------------------------------------------

ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
CANONICALIZATIONS = frozenset(
    {
        "http://www.w3.org/2001/10/xml-exc-c14n#",
        "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",  # comments are gone before: the two are the same here
    }
)
_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
SIGNATURES = frozenset(f"{_MORE}{key}-sha{bits}" for key in ("rsa", "ecdsa") for bits in (256, 384, 512))
DIGESTS: Mapping[str, str] = {
    "http://www.w3.org/2001/04/xmlenc#sha256": "sha256",
    f"{_MORE}sha384": "sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512": "sha512",
}
"""Algorithm -> its name in ``hashlib``."""
SHA1_SIGNATURE = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
SHA1_DIGEST = "http://www.w3.org/2000/09/xmldsig#sha1"

# --- encryption (XML Encryption 1.1, 5) -----------------------------------------------------------------------------

OAEP_MGF1P = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"
OAEP = "http://www.w3.org/2009/xmlenc11#rsa-oaep"
RSA_1_5 = "http://www.w3.org/2001/04/xmlenc#rsa-1_5"
OAEP_DIGESTS: Mapping[str, str] = {SHA1_DIGEST: "sha1", **DIGESTS}
"""Within OAEP a weak hash is no weakness; RSA-OAEP-MGF1P has SHA-1 unless it says otherwise."""
MGF_DIGESTS: Mapping[str, str] = {
    f"http://www.w3.org/2009/xmlenc11#mgf1sha{bits}": f"sha{bits}" for bits in (1, 256, 384, 512)
}
GCM: Mapping[str, int] = {f"http://www.w3.org/2009/xmlenc11#aes{bits}-gcm": bits // 8 for bits in (128, 192, 256)}
CBC: Mapping[str, int] = {f"http://www.w3.org/2001/04/xmlenc#aes{bits}-cbc": bits // 8 for bits in (128, 192, 256)}
"""Algorithm -> length of its key in bytes."""


def local(name: str) -> str:
    """An element's name without its namespace, for reports."""
    return name.rpartition("}")[2]
