"""Reading XML: the one parser, and what it is never given.

1. size; 2. UTF-8 and nothing else; 3. no document type, entity or processing instruction; 4. no relative namespace;
5. the parser; 6. number of nodes, depth; 7. one meaning of every id.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lxml import etree

from providers.errors import MalformedEvidence
from providers.saml.names import DS, MD, SAML, SAMLP, XENC, XENC11, XML, local

Element = Any
"""An element of lxml, which has no types."""

MESSAGE = "Your request included an invalid SAML response"
MAX_TEXT = 4_096
"""Characters of any one text that is read."""
_BOM = b"\xef\xbb\xbf"
_DECLARATION = re.compile(
    rb"""<\?xml\s+version\s*=\s*(["'])1\.0\1"""
    rb"""(?:\s+encoding\s*=\s*(["'])[Uu][Tt][Ff]-8\2)?(?:\s+standalone\s*=\s*(["'])(?:yes|no)\3)?\s*\?>"""
)
_NAMESPACE = re.compile(rb"""xmlns(?::[^\s=]*)?\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_ABSOLUTE = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*:[^\s]+|")
_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,255}")
_IDS = frozenset({"ID", "Id", "id", "AssertionID"})
_OURS = (SAML, SAMLP, MD, DS, XENC, XENC11)
_PARSER: Mapping[str, Any] = {
    "encoding": "utf-8",
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "attribute_defaults": False,
    "dtd_validation": False,
    "huge_tree": False,
    "recover": False,
    "remove_comments": True,  # so that none can split a text
    "strip_cdata": True,
    "collect_ids": False,
}
"""The one parser's options; it is made for each document, for it would keep the names of all (``readers``)."""
DEPTH = 64
_COUNT = etree.XPath("count(//node()) + count(//@*)")
_TOO_DEEP = etree.XPath(f"boolean({'/*' * (DEPTH + 1)})")


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a document may be."""

    size: int
    nodes: int


RESPONSE = Limits(size=256 * 1024, nodes=3_000)
METADATA = Limits(size=10_000_000, nodes=200_000)
"""AWS takes metadata of 10,000,000 characters."""


def malformed(detail: str) -> MalformedEvidence:
    return MalformedEvidence(MESSAGE, detail=detail)


def parse_document(raw: bytes, limits: Limits = RESPONSE) -> Element:
    """The root element. Raises MalformedEvidence."""
    if len(raw) > limits.size:  # 1
        raise malformed(f"document: longer than {limits.size} bytes")
    raw = raw.removeprefix(_BOM).strip(b" \t\r\n")
    try:  # 2
        raw.decode("utf-8")
    except UnicodeDecodeError:
        raise malformed("document: not UTF-8") from None
    declaration = _DECLARATION.match(raw)
    if raw.find(b"<?", declaration.end() if declaration else 0) >= 0:  # 3, and declarations of another encoding
        raise malformed("document: a declaration that is not XML 1.0 in UTF-8, or a processing instruction")
    if b"<!DOCTYPE" in raw or b"<!ENTITY" in raw:
        raise malformed("document: a document type definition")
    if not all(_ABSOLUTE.fullmatch(found[1] or found[2] or b"") for found in _NAMESPACE.finditer(raw)):  # 4
        raise malformed("document: a relative namespace")  # which canonicalization turns into nothing
    if raw.count(b"<") > 2 * limits.nodes:
        raise malformed(f"document: more than {limits.nodes} nodes")
    root = parse_again(raw)  # 5
    if root.getroottree().docinfo.internalDTD is not None:
        raise malformed("document: a document type definition")
    if _COUNT(root) > limits.nodes:  # 6
        raise malformed(f"document: more than {limits.nodes} nodes")
    if _TOO_DEEP(root):
        raise malformed(f"document: deeper than {DEPTH} elements")
    _check_attributes(root)  # 7
    return root


def parse_again(raw: bytes) -> Element:
    """What was checked before, or made by us: canonical bytes."""
    try:
        return etree.fromstring(raw, etree.XMLParser(**_PARSER))
    except (etree.XMLSyntaxError, ValueError) as error:
        raise malformed(f"document: {str(error)[:200]}") from None


def _check_attributes(root: Element) -> None:
    """Every id once, whatever its attribute is called; no attribute of a protocol's namespace, which has none."""
    seen: set[str] = set()
    for element in root.iter():
        for name, value in element.items():
            if name in _IDS:
                if value in seen:
                    raise malformed(f"document: the id {value[:64]} is given twice")
                seen.add(value)
            elif name[0] == "{" and (name.startswith(_OURS) or name in (f"{XML}id", f"{XML}base")):
                raise malformed(f"document: an attribute {local(name)[:64]} with a namespace")


# --- parts of a document ----------------------------------------------------------------------------------------------


def parse_id(element: Element) -> str:
    """The element's ``ID``, an XML name (SAML Core 1.3.4)."""
    value = element.get("ID", "")
    if not _ID.fullmatch(value):
        raise malformed(f"{local(element.tag)}: no valid ID")
    return str(value)


def children(parent: Element, name: str) -> list[Element]:
    return [child for child in parent if child.tag == name]


def find_child(parent: Element, name: str) -> Element | None:
    """The child of this name, of which there may be one. Raises MalformedEvidence if there are several."""
    found = children(parent, name)
    if len(found) > 1:
        raise malformed(f"{local(parent.tag)}: {len(found)} elements {local(name)}")
    return found[0] if found else None


def get_child(parent: Element, name: str) -> Element:
    """The one child of this name. Raises MalformedEvidence."""
    found = find_child(parent, name)
    if found is None:
        raise malformed(f"{local(parent.tag)}: no {local(name)}")
    return found


def check_children(parent: Element, allowed: frozenset[str]) -> None:
    """Nothing but these elements, and no text between them."""
    between = parent.text or ""
    for child in parent:
        if child.tag not in allowed:
            raise malformed(f"{local(parent.tag)}: an element {str(child.tag)[:128]}")
        between += child.tail or ""
    if between and between.strip(" \t\r\n"):
        raise malformed(f"{local(parent.tag)}: text between its elements")


def read_text(element: Element) -> str:
    """All of the element's text, which has no elements in it. Raises MalformedEvidence."""
    if len(element):
        raise malformed(f"{local(element.tag)}: elements within a text")
    text = element.text or ""
    if len(text) > MAX_TEXT:
        raise malformed(f"{local(element.tag)}: longer than {MAX_TEXT} characters")
    return str(text)
