"""Responses that no identity provider would make, by name: what tests/vectors/saml cannot say as data.

Each function makes the text of the form's field. ``wrapped`` makes the signature wrapping attacks: a signed original is
hidden somewhere, and an evil copy stands where a careless reader looks (Somorovsky et al., "On Breaking SAML", 2012).
"""

from __future__ import annotations

import base64
import copy
import zlib
from dataclasses import replace
from functools import partial

from lxml import etree
from realm.saml_forge import (
    ACS,
    AUDIENCE,
    DS,
    ENTITY_ID,
    NAMESPACES,
    SAML,
    SAMLP,
    SUBJECT,
    XENC,
    Draft,
    Encryptor,
    Signer,
    certificate_text,
    encrypted,
    instant,
    key_info,
    metadata,
    pack,
    private_key,
    signed,
)

EVIL = "admin@realm.example"
PLACES = (
    "before",
    "after",
    "inside",
    "object",
    "key-info",
    "extensions",
    "advice",
    "status-detail",
    "status-message",
    "attribute-value",
    "confirmation-data",
    "condition",
    "foreign",
    "nested-response",
    "soap",
)
"""Where the signed original is hidden."""
IDS = ("same", "other", "lower-case", "mixed-case", "assertion-id", "xml-id")
"""What the evil copy's id is, and in which attribute."""


def wrapped(place, ids="other", signature="original", which="assertion"):
    """The original assertion (or response), signed, in ``place``; the signature with it or in the evil copy."""
    root = etree.fromstring(signed(which=which))
    original = root if which == "response" else root.find(f"{{{SAML}}}Assertion")
    evil = copy.deepcopy(original)
    evil.remove(evil.find(f"{{{DS}}}Signature"))
    for name_id in evil.iter(f"{{{SAML}}}NameID"):
        name_id.text = EVIL
    _rename(evil, original.get("ID"), ids)
    if signature == "evil":
        made = original.find(f"{{{DS}}}Signature")
        original.remove(made)
        evil.insert(1, made)
    if which == "response":
        document = evil
    else:
        document = root
        root.replace(original, evil)
    return pack(etree.tostring(_hide(document, evil, original, place)))


def _rename(evil, original_id, ids):
    if ids == "same":
        return
    evil.attrib.pop("ID")
    name = {
        "other": "ID",
        "lower-case": "id",
        "mixed-case": "Id",
        "assertion-id": "AssertionID",
        "xml-id": "{http://www.w3.org/XML/1998/namespace}id",
    }[ids]
    evil.set(name, "_evil" if ids == "other" else original_id)


def _hide(document, evil, original, place):
    """The document, with the original in its place."""
    if place == "soap":
        envelope = etree.fromstring(
            '<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Header/><Body/></Envelope>'
        )
        envelope[0].append(original)
        envelope[1].append(document)
        return envelope
    if place == "nested-response":
        around = etree.fromstring(f'<samlp:Response {NAMESPACES} ID="_around"/>')
        around.append(original)
        document.append(around)
    elif place in ("before", "after") and evil.getparent() is not None:
        evil.addprevious(original) if place == "before" else evil.addnext(original)
    elif place in ("before", "after"):
        document.insert(0 if place == "before" else len(document), original)
    elif place == "inside":
        evil.append(original)
    elif place in ("object", "key-info"):
        made = evil.find(f"{{{DS}}}Signature")
        if made is None:
            made = etree.SubElement(evil, f"{{{DS}}}Signature")
        etree.SubElement(made, f"{{{DS}}}{'Object' if place == 'object' else 'KeyInfo'}").append(original)
    elif place == "extensions":
        holder = etree.Element(f"{{{SAMLP}}}Extensions")
        document.insert(1, holder)
        holder.append(original)
    elif place in ("status-detail", "status-message"):
        status = document.find(f"{{{SAMLP}}}Status")
        name = "StatusDetail" if place == "status-detail" else "StatusMessage"
        etree.SubElement(status, f"{{{SAMLP}}}{name}").append(original)
    elif place == "advice":
        etree.SubElement(_assertion(evil), f"{{{SAML}}}Advice").append(original)
    elif place == "attribute-value":
        next(evil.iter(f"{{{SAML}}}AttributeValue")).append(original)
    elif place == "confirmation-data":
        next(evil.iter(f"{{{SAML}}}SubjectConfirmationData")).append(original)
    elif place == "condition":
        next(evil.iter(f"{{{SAML}}}Conditions")).append(original)
    else:
        etree.SubElement(document, "{urn:foreign}wrapper").append(original)
    return document


def _assertion(evil):
    return evil if evil.tag.endswith("Assertion") else evil.find(f"{{{SAML}}}Assertion")


# --- pieces -----------------------------------------------------------------------------------------------------------


def _without(path):
    """A signed response from which what ``path`` finds was taken away."""

    def make():
        root = etree.fromstring(signed())
        for element in root.xpath(path, namespaces={"ds": DS, "saml": SAML, "samlp": SAMLP}):
            element.getparent().remove(element)
        return pack(etree.tostring(root))

    return make


def _emptied(name):
    def make():
        root = etree.fromstring(signed())
        next(root.iter(f"{{{DS}}}{name}")).text = ""
        return pack(etree.tostring(root))

    return make


def _edited(before, after, which="assertion"):
    def make():
        xml = signed(which=which)
        assert before in xml
        return pack(xml.replace(before, after))

    return make


def _doctype(subset, use="", name="samlp:Response"):
    """A document type in front of a good response; ``use`` of its entities as the NameID."""

    def make():
        xml = signed()
        return pack(f"<!DOCTYPE {name} {subset}>" + (xml.replace(SUBJECT, use) if use else xml))

    return make


def _laughs(levels, width):
    entities = '<!ENTITY e0 "ha">'
    for level in range(1, levels):
        entities += f'<!ENTITY e{level} "{f"&e{level - 1};" * width}">'
    return _doctype(f"[{entities}]", f"&e{levels - 1};")


def _transforms(xml, **more):
    return lambda: pack(signed(signer=Signer(transforms=xml, **more)))


def _xslt(depth):
    """Work that doubles with every level, before any signature is looked at (python3-saml issue 447)."""
    templates = "".join(
        f'<xsl:template name="t{level}"><xsl:call-template name="t{level - 1}"/>'
        f'<xsl:call-template name="t{level - 1}"/></xsl:template>'
        for level in range(1, depth)
    )
    sheet = (
        '<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:template name="t0"/>'
        f'{templates}<xsl:template match="/"><xsl:call-template name="t{depth - 1}"/></xsl:template></xsl:stylesheet>'
    )
    return _transforms(f'<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116">{sheet}</ds:Transform>')


def _xpath(expression):
    inner = f"<ds:XPath>{expression}</ds:XPath>"
    return _transforms(f'<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116">{inner}</ds:Transform>')


def _hmac():
    """The certificate's bytes as the secret of an HMAC, which everybody knows."""
    import hmac

    xml = signed(signer=Signer(method="http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"))
    root = etree.fromstring(xml)
    info = next(root.iter(f"{{{DS}}}SignedInfo"))
    secret = base64.b64decode(certificate_text())
    data = etree.tostring(info, method="c14n", exclusive=True)
    next(root.iter(f"{{{DS}}}SignatureValue")).text = base64.b64encode(hmac.digest(secret, data, "sha256")).decode()
    return pack(etree.tostring(root))


def _swapped():
    """The signature of another assertion."""
    root = etree.fromstring(signed())
    other = etree.fromstring(signed(Draft(subject=EVIL)))
    mine, theirs = (next(one.iter(f"{{{DS}}}Signature")) for one in (root, other))
    theirs.getparent().replace(theirs, mine)
    return pack(etree.tostring(other))


def _moved_up():
    """The assertion's signature as the response's child (Keycloak CVE-2024-8698)."""
    root = etree.fromstring(signed())
    root.insert(1, next(root.iter(f"{{{DS}}}Signature")))
    return pack(etree.tostring(root))


def _moved_up_evil():
    root = etree.fromstring(signed())
    root.insert(1, next(root.iter(f"{{{DS}}}Signature")))
    next(root.iter(f"{{{SAML}}}NameID")).text = EVIL
    return pack(etree.tostring(root))


def _signed_twice():
    return pack(Signer().sign(signed(), "_assertion1"))


def _signed_metadata():
    document = metadata().replace("<md:EntityDescriptor ", '<md:EntityDescriptor ID="_metadata1" ')
    return pack(Signer().sign(document, "_metadata1"))


def _bare_assertion():
    return pack(Signer().sign(Draft().assertion(), "_assertion1"))


def _logout_response():
    xml = Draft().response().replace("samlp:Response", "samlp:LogoutResponse")
    return pack(Signer().sign(xml, "_response1"))


def _encrypted_evil(which="none", **encryptor):
    return lambda: pack(encrypted(Draft(subject=EVIL), which, encryptor=Encryptor(**encryptor)))


def _encrypted_and_plain():
    draft = Draft()
    inside = Encryptor().encrypt(Signer().sign(draft.assertion(), draft.assertion_id))
    return pack(draft.response(inside + replace(draft, assertion_id="_other", subject=EVIL).assertion()))


def _encrypted_wrapping():
    """A signed assertion inside an evil one, all of it encrypted."""
    good = Signer().sign(Draft().assertion(), "_assertion1")
    evil = Draft(assertion_id="_evil", subject=EVIL, xml_more_assertion=f"<saml:Advice>{good}</saml:Advice>")
    return pack(Draft().response(Encryptor().encrypt(evil.assertion())))


def _encrypted_two():
    good = Signer().sign(Draft().assertion(), "_assertion1")
    evil = Draft(assertion_id="_evil", subject=EVIL).assertion()
    return pack(Draft().response(Encryptor().encrypt(evil + good)))


def _escaping():
    """Plain text that closes the element around it."""
    good = Signer().sign(Draft().assertion(), "_assertion1")
    return pack(Draft().response(Encryptor().encrypt(f"{good}</place><place>")))


def _plain(text):
    return lambda: pack(Draft().response(Encryptor().encrypt(text)))


def _many_keys():
    xml = encrypted()
    start, end = xml.index("<xenc:EncryptedKey>"), xml.index("</xenc:EncryptedKey>") + len("</xenc:EncryptedKey>")
    return pack(xml[:start] + xml[start:end] * 200 + xml[end:])


def _encoded(encoding, declared=""):
    declaration = f'<?xml version="1.0" encoding="{declared or encoding}"?>'
    return lambda: pack((declaration + signed()).encode(encoding))


def _deflated(xml):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(xml) + packer.flush()


def _names(count):
    """Names that a parser would keep for ever."""
    return "".join(f"<n{number:040d}/>" for number in range(count))


FORGERIES = {
    **{f"wrap-{place}-{ids}": partial(wrapped, place, ids) for place in PLACES for ids in IDS},
    **{f"wrap-{place}-evil-signature": partial(wrapped, place, "other", "evil") for place in PLACES},
    **{f"wrap-response-{place}": partial(wrapped, place, "other", "original", "response") for place in PLACES},
    **{
        f"wrap-response-{place}-evil-signature": partial(wrapped, place, "other", "evil", "response")
        for place in PLACES
    },
    "moved-up": _moved_up,
    "moved-up-evil": _moved_up_evil,
    "swapped": _swapped,
    "signed-twice": _signed_twice,
    "hmac": _hmac,
    "without-signature": _without("//ds:Signature"),
    "without-signed-info": _without("//ds:SignedInfo"),
    "without-reference": _without("//ds:Reference"),
    "without-signature-value": _without("//ds:SignatureValue"),
    "without-digest-value": _without("//ds:DigestValue"),
    "without-digest-method": _without("//ds:DigestMethod"),
    "without-signature-method": _without("//ds:SignatureMethod"),
    "without-canonicalization": _without("//ds:CanonicalizationMethod"),
    "without-transforms": _without("//ds:Transforms"),
    "without-a-transform": _without("//ds:Transform[2]"),
    "without-enveloped": _without("//ds:Transform[1]"),
    "empty-signature-value": _emptied("SignatureValue"),
    "empty-digest-value": _emptied("DigestValue"),
    "altered-name": _edited(f">{SUBJECT}<", f">{EVIL}<"),
    "altered-case": _edited(f">{SUBJECT}<", f">{SUBJECT.upper()}<"),
    "altered-space": _edited(f">{SUBJECT}<", f"> {SUBJECT}<"),
    "altered-role": _edited("role/Developer", "role/Admin"),
    "altered-audience": _edited(f"<saml:Audience>{AUDIENCE}<", f"<saml:Audience>{AUDIENCE}/<"),
    "altered-end": _edited(f'NotOnOrAfter="{instant(300)}"', f'NotOnOrAfter="{instant(301)}"'),
    "altered-attribute-added": _edited('Version="2.0"><saml:Issuer', 'Version="2.0" a="b"><saml:Issuer'),
    "altered-attribute-dropped": _edited('NameFormat="urn:oasis:names:tc:SAML:2.0:assertion:basic"', ""),
    "altered-element-added": _edited(
        "</saml:AttributeStatement>", '<saml:Attribute Name="x"/></saml:AttributeStatement>'
    ),
    "altered-prefix": lambda: pack(signed().replace("saml:", "evil:").replace("xmlns:saml=", "xmlns:evil=")),
    "altered-response": _edited('StatusCode Value="urn', 'StatusCode Value="URN', "response"),
    "altered-issuer": lambda: pack(signed(which="response").replace(f">{ENTITY_ID}<", ">https://evil.example<", 1)),
    "altered-namespace": _edited(f'xmlns:samlp="{SAMLP}"', f'xmlns:samlp="{SAMLP}x"'),
    "signature-zero": lambda: pack(signed(signer=Signer(signature_value=base64.b64encode(bytes(256)).decode()))),
    "signature-one": lambda: pack(signed(signer=Signer(signature_value=base64.b64encode(bytes(255) + b"\1").decode()))),
    "xxe-file": _doctype('[<!ENTITY x SYSTEM "file:///etc/passwd">]', "&x;"),
    "xxe-http": _doctype('[<!ENTITY x SYSTEM "http://127.0.0.1:9/">]', "&x;"),
    "xxe-parameter": _doctype('[<!ENTITY % x SYSTEM "http://127.0.0.1:9/x.dtd"> %x;]'),
    "external-dtd": _doctype('SYSTEM "http://127.0.0.1:9/x.dtd"'),
    "public-dtd": _doctype('PUBLIC "-//X//X//EN" "http://127.0.0.1:9/x.dtd"'),
    "empty-dtd": _doctype("[]"),
    "bare-dtd": _doctype(""),
    "billion-laughs": _laughs(20, 10),
    "quadratic": _doctype(f'[<!ENTITY x "{"a" * 50_000}">]', "&x;" * 2_000),
    "internal-entity": _doctype(f'[<!ENTITY x "{EVIL}">]', "&x;"),
    "entity-of-the-subject": _doctype('[<!ENTITY x "">]', SUBJECT.replace("@", "&x;@")),
    "attlist-default": _doctype('[<!ATTLIST saml:Assertion ID CDATA "_evil">]'),
    "attlist-id": _doctype("[<!ATTLIST saml:Assertion AssertionID ID #IMPLIED>]"),
    "dtd-behind-comment": lambda: pack("<!-- --><!DOCTYPE x []>" + signed()),
    "undefined-entity": _edited(f">{SUBJECT}<", ">&undefined;<"),
    "transform-xslt": _xslt(24),
    "transform-xslt-evil-key": lambda: pack(
        signed(
            signer=Signer(
                key="evil", transforms='<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"/>'
            )
        )
    ),
    "transform-xpath-nothing": _xpath("false()"),
    "transform-xpath-work": _xpath("count(//*[count(//*[count(//*)])])"),
    "transform-xpath2": _transforms('<ds:Transform Algorithm="http://www.w3.org/2002/06/xmldsig-filter2"/>'),
    "transform-xpointer": _transforms('<ds:Transform Algorithm="http://www.w3.org/2001/04/xmldsig-more/xptr"/>'),
    "transform-base64": _transforms(f'<ds:Transform Algorithm="{DS}base64"/>'),
    "transform-decrypt": _transforms('<ds:Transform Algorithm="http://www.w3.org/2002/07/decrypt#XML"/>'),
    "transform-inclusive": _transforms(
        f'<ds:Transform Algorithm="{DS}enveloped-signature"/>'
        '<ds:Transform Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"/>'
    ),
    "transform-forty": _transforms(f'<ds:Transform Algorithm="{DS}enveloped-signature"/>' * 40),
    "transform-reversed": _transforms(
        '<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>'
        f'<ds:Transform Algorithm="{DS}enveloped-signature"/>'
    ),
    "transform-child": _transforms(
        f'<ds:Transform Algorithm="{DS}enveloped-signature"><ds:XPath>1</ds:XPath></ds:Transform>'
        '<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>'
    ),
    "transform-none": _transforms(""),
    "relative-namespace": _edited("<saml:AttributeStatement", '<saml:AttributeStatement xmlns:r="relative"'),
    "relative-namespace-signed": lambda: pack(
        signed(Draft(xml_more_attributes='<saml:Attribute xmlns:r="1" Name="x"/>'))
    ),
    "relative-namespace-parent": _edited("<samlp:Response ", '<samlp:Response xmlns:r="../x" '),
    "relative-namespace-spaced": _edited("<samlp:Response ", "<samlp:Response xmlns:r\n=\t'x' "),
    "relative-namespace-entity": _edited("<samlp:Response ", '<samlp:Response xmlns:r="&#104;ttp:x" '),
    "deep": lambda: pack(Draft(xml_more_assertion="<a>" * 5_000 + "</a>" * 5_000).response()),
    "deep-within-the-parser": lambda: pack(
        signed(Draft(xml_before_assertion="<samlp:Extensions>" + "<a>" * 100 + "</a>" * 100 + "</samlp:Extensions>"))
    ),
    "sixty-thousand-elements": lambda: pack(Draft(xml_more_assertion="<a/>" * 60_000).response()),
    "four-thousand-elements": lambda: pack(
        signed(Draft(xml_before_assertion=f"<samlp:Extensions>{'<a/>' * 4_000}</samlp:Extensions>"))
    ),
    "twenty-thousand-attributes": lambda: pack(
        Draft(response_attributes="".join(f' a{n}="{n}"' for n in range(20_000))).response()
    ),
    "ten-thousand-roles": lambda: pack(signed(Draft(attributes={"r": ["x"] * 10_000}))),
    "four-megabytes": lambda: pack(Draft(subject="a" * 4_000_000).response()),
    "long-text": lambda: pack(signed(Draft(attributes={"a": ["x" * 60_000]}))),
    "new-names": lambda: pack(f"<r>{_names(2_900)}</r>"),
    "utf-16": _encoded("utf-16"),
    "utf-16-le": _encoded("utf-16-le", "utf-16"),
    "utf-32": _encoded("utf-32"),
    "latin-1": _encoded("latin-1"),
    "lying-encoding": _encoded("utf-8", "utf-16"),
    "lying-latin-1": _encoded("utf-8", "iso-8859-1"),
    "utf-7": _encoded("utf-7"),
    "xml-1.1": lambda: pack('<?xml version="1.1"?>' + signed()),
    "xml-2.0": lambda: pack('<?xml version="2.0" encoding="UTF-8"?>' + signed()),
    "declaration-twice": lambda: pack('<?xml version="1.0"?><?xml version="1.0"?>' + signed()),
    "processing-instruction": _edited("<saml:Subject>", "<?x y?><saml:Subject>"),
    "stylesheet": lambda: pack('<?xml-stylesheet href="http://127.0.0.1:9/"?>' + signed()),
    "nul": _edited(SUBJECT, f"{SUBJECT}\0.evil"),
    "nul-reference": _edited(SUBJECT, f"{SUBJECT}&#0;.evil"),
    "control-character": _edited(SUBJECT, f"{SUBJECT}\x08"),
    "not-utf-8": lambda: pack(signed().encode().replace(SUBJECT.encode(), b"\xff\xfe")),
    "overlong-utf-8": lambda: pack(signed().encode().replace(SUBJECT.encode(), b"\xc0\xbcx")),
    "surrogate-utf-8": lambda: pack(signed().encode().replace(SUBJECT.encode(), b"\xed\xa0\x80")),
    "two-roots": lambda: pack(signed() * 2),
    "text-after-the-root": lambda: pack(signed() + "evil"),
    "xinclude": lambda: pack(
        signed(
            Draft(
                xml_more_attributes='<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"/>'
            )
        )
    ),
    "attribute-with-namespace": _edited("<saml:Assertion ", '<saml:Assertion saml:ID="_evil" '),
    "destination-with-namespace": _edited("<samlp:Response ", f'<samlp:Response samlp:Destination="{ACS}" '),
    "xml-base": _edited("<samlp:Response ", '<samlp:Response xml:base="http://127.0.0.1:9/" '),
    "saml-1-namespace": lambda: pack(signed().replace("SAML:2.0:protocol", "SAML:1.0:protocol")),
    "no-namespace": lambda: pack("<Response><Assertion/></Response>"),
    "unclosed": lambda: pack(signed()[:-3]),
    "cut": lambda: pack(signed()[:2_000]),
    "not-base64": lambda: "!" * 100,
    "url-safe": lambda: pack(signed(Draft(subject="~~~???>>>"))).replace("+", "-").replace("/", "_"),
    "junk-characters": lambda: "*".join((pack(signed())[:100], pack(signed())[100:])),
    "non-ascii": lambda: pack(signed()) + "\u00e9",
    "surrogate": lambda: pack(signed()) + "\ud800",
    "bad-padding": lambda: pack(signed()).rstrip("=") + "===",
    "data-after-padding": lambda: pack(signed() + " ") + "=" + pack(signed()),
    "xml-itself": signed,
    "deflated": lambda: pack(_deflated(signed().encode())),
    "deflate-bomb": lambda: pack(_deflated(b"a" * 100_000_000)),
    "gzip": lambda: pack(zlib.compress(signed().encode(), wbits=31)),
    "json": lambda: pack('{"saml": "response"}'),
    "empty": lambda: "",
    "blank": lambda: " \n ",
    "too-long": lambda: "A" * 400_000,
    "bare-assertion": _bare_assertion,
    "logout-response": _logout_response,
    "signed-metadata": _signed_metadata,
    "no-assertion": lambda: pack(Signer().sign(Draft().response(""), "_response1")),
    "two-assertions": lambda: pack(
        Signer().sign(Draft().response(Draft().assertion() + Draft(assertion_id="_second").assertion()), "_response1")
    ),
    "authn-request": lambda: pack(f'<samlp:AuthnRequest {NAMESPACES} ID="_x" Version="2.0"/>'),
    "encrypted-unsigned": _encrypted_evil(),
    "encrypted-signed-by-evil": lambda: pack(encrypted(Draft(subject=EVIL), "assertion", Signer(key="evil"))),
    "encrypted-rsa-1-5": lambda: pack(encrypted(encryptor=Encryptor(transport=f"{XENC}rsa-1_5"))),
    "encrypted-cbc": lambda: pack(encrypted(encryptor=Encryptor(method=f"{XENC}aes256-cbc"))),
    "encrypted-3des": lambda: pack(encrypted().replace("2009/xmlenc11#aes256-gcm", "2001/04/xmlenc#tripledes-cbc")),
    "encrypted-gcm-tampered": lambda: pack(
        encrypted(encryptor=Encryptor(change=lambda raw: raw[:20] + bytes([raw[20] ^ 1]) + raw[21:]))
    ),
    "encrypted-gcm-cut": lambda: pack(encrypted(encryptor=Encryptor(change=lambda raw: raw[:-1]))),
    "encrypted-gcm-short-tag": lambda: pack(encrypted(encryptor=Encryptor(change=lambda raw: raw[:20]))),
    "encrypted-gcm-empty": lambda: pack(encrypted(encryptor=Encryptor(change=lambda raw: b""))),
    "encrypted-for-another": lambda: pack(encrypted(encryptor=Encryptor(key="other"))),
    "encrypted-reference": lambda: pack(
        encrypted(
            encryptor=Encryptor(
                cipher_data='<xenc:CipherData><xenc:CipherReference URI="http://127.0.0.1:9/"/></xenc:CipherData>'
            )
        )
    ),
    "encrypted-no-cipher-data": lambda: pack(encrypted(encryptor=Encryptor(cipher_data=""))),
    "encrypted-bad-base64": lambda: pack(
        encrypted(
            encryptor=Encryptor(cipher_data="<xenc:CipherData><xenc:CipherValue>!</xenc:CipherValue></xenc:CipherData>")
        )
    ),
    "encrypted-and-plain": _encrypted_and_plain,
    "encrypted-wrapping": _encrypted_wrapping,
    "encrypted-two": _encrypted_two,
    "encrypted-escaping": _escaping,
    "encrypted-text": _plain("text alone"),
    "encrypted-empty": _plain(""),
    "encrypted-binary": _plain(bytes(range(256))),
    "encrypted-doctype": _plain('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'),
    "encrypted-element": _plain("<other/>"),
    "encrypted-deep": _plain("<a>" * 2_000 + "</a>" * 2_000),
    "encrypted-many-keys": _many_keys,
    "encrypted-oaep-parameters": lambda: pack(
        encrypted(encryptor=Encryptor(key_methods="<xenc:OAEPparams>AAAA</xenc:OAEPparams>"))
    ),
    "encrypted-oaep-md5": lambda: pack(
        encrypted(
            encryptor=Encryptor(
                key_methods=f'<ds:DigestMethod xmlns:ds="{DS}" Algorithm="http://www.w3.org/2001/04/xmldsig-more#md5"/>'
            )
        )
    ),
    "encrypted-key-by-reference": lambda: pack(
        encrypted()
        .replace(
            "<xenc:EncryptedKey>", f'<ds:RetrievalMethod xmlns:ds="{DS}" URI="http://127.0.0.1:9/"/><xenc:EncryptedKey>'
        )
        .replace("<xenc:CipherValue>", "<xenc:CipherValue>AAAA", 1)
    ),
    "key-info-retrieval": lambda: pack(
        signed(
            signer=Signer(
                key="evil",
                key_info=f'<ds:KeyInfo xmlns:ds="{DS}"><ds:RetrievalMethod URI="http://127.0.0.1:9/key"/></ds:KeyInfo>',
            )
        )
    ),
    "key-info-evil-certificate": lambda: pack(signed(Draft(subject=EVIL), signer=Signer(key="evil"))),
    "key-info-cloned-subject": lambda: pack(
        signed(Draft(subject=EVIL), signer=Signer(key="evil", key_info=key_info("evil", "idp")))
    ),
    "key-info-registered-certificate": lambda: pack(
        signed(Draft(subject=EVIL), signer=Signer(key="evil", key_info=key_info("idp")))
    ),
    "key-info-two-certificates": lambda: pack(
        signed(
            Draft(subject=EVIL),
            signer=Signer(
                key="evil", key_info=key_info("idp").replace("</ds:KeyInfo>", "") + key_info("evil").split(">", 1)[1]
            ),
        )
    ),
    "key-info-value": lambda: pack(signed(Draft(subject=EVIL), signer=Signer(key="evil", key_info=_key_value("evil")))),
    "key-info-none": lambda: pack(signed(Draft(subject=EVIL), signer=Signer(key="evil", key_info=""))),
    "key-info-name": lambda: pack(
        signed(
            Draft(subject=EVIL),
            signer=Signer(
                key="evil", key_info=f'<ds:KeyInfo xmlns:ds="{DS}"><ds:KeyName>idp</ds:KeyName></ds:KeyInfo>'
            ),
        )
    ),
}


def _key_value(name):
    numbers = private_key(name).public_key().public_numbers()
    modulus = base64.b64encode(numbers.n.to_bytes(256)).decode()
    return (
        f'<ds:KeyInfo xmlns:ds="{DS}"><ds:KeyValue><ds:RSAKeyValue><ds:Modulus>{modulus}</ds:Modulus>'
        "<ds:Exponent>AQAB</ds:Exponent></ds:RSAKeyValue></ds:KeyValue></ds:KeyInfo>"
    )
