"""The AWS query protocol, outwards: a handler's result, or an error, becomes XML.

Members are read from the result by their snake_case names; what is None is left out. Each operation's shapes are
compiled once, at start, into functions that append texts.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from botocore import xform_name

from broker.aws.model import Operation, wire_name
from broker.domain.moment import iso_seconds
from broker.domain.secret import Secret

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SPECIAL = re.compile("[&<>\r]")
_POLICY_DOCUMENT = "policyDocumentType"
_HARMLESS = re.compile("[ !-%'-;=?-~]*")
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;"}

Append = Callable[[str], None]
Writer = Callable[[Any, Append], None]


def compile_output(operation: Operation) -> Callable[[object, str], bytes]:
    """The operation's renderer: a result and a request id in, the whole answer out."""
    head = f'<{operation.name}Response xmlns="{operation.namespace}">'
    tail = f"</RequestId></ResponseMetadata></{operation.name}Response>"
    wrapper = operation.result_wrapper
    opening, closing = (f"<{wrapper}>", f"</{wrapper}>") if wrapper else ("", "")
    write = None if operation.output_shape is None else _Compiler().members(operation.output_shape)

    def render(result: object, request_id: str) -> bytes:
        parts = [head, opening]
        if write is not None:
            write(result, parts.append)
        parts += (closing, "<ResponseMetadata><RequestId>", request_id, tail)
        return "".join(parts).encode()

    return render


def render_error(code: str, message: str, sender: bool, request_id: str, namespace: str) -> bytes:
    """The ErrorResponse envelope; ``sender`` says that the caller is at fault."""
    fault = "Sender" if sender else "Receiver"
    return (
        f'<ErrorResponse xmlns="{namespace}"><Error><Type>{fault}</Type><Code>{escape(code)}</Code>'
        f"<Message>{escape(message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    ).encode()


def escape(text: str) -> str:
    """``text`` as XML character data; characters that XML 1.0 cannot carry become U+FFFD."""
    if _HARMLESS.fullmatch(text):
        return text
    if _ILLEGAL.search(text):
        text = _ILLEGAL.sub("\ufffd", text)
    return _SPECIAL.sub(lambda found: _ESCAPES[found[0]], text) if _SPECIAL.search(text) else text


class _Compiler:
    """Shape -> writer; a shape that contains itself finds its own writer when it is called."""

    def __init__(self) -> None:
        self._made: dict[str, Writer] = {}

    def members(self, shape: Any) -> Writer:
        """Writes the members of a structure, without an element around them."""
        if shape.name not in self._made:
            self._made[shape.name] = lambda value, append: self._made[shape.name](value, append)
            self._made[shape.name] = self._structure(shape)
        return self._made[shape.name]

    def _structure(self, shape: Any) -> Writer:
        items = [
            (xform_name(name), self._element(wire_name(name, member), member)) for name, member in shape.members.items()
        ]

        def write(value: Any, append: Append) -> None:
            for name, element in items:
                found = getattr(value, name, None)
                if found is not None:
                    element(found, append)

        return write

    def _element(self, name: str, shape: Any) -> Writer:
        """Writes a value as the element ``name`` (a flattened list or map: as several)."""
        if shape.type_name == "list":
            return self._list(name, shape)
        if shape.type_name == "map":
            return self._map(name, shape)
        if shape.type_name == "structure":
            return _wrapped(name, self.members(shape))
        text = _quoted if shape.name == _POLICY_DOCUMENT else _TEXTS.get(shape.type_name, _plain)
        opening, closing = f"<{name}>", f"</{name}>"

        def write(value: Any, append: Append) -> None:
            append(f"{opening}{text(value)}{closing}")

        return write

    def _list(self, name: str, shape: Any) -> Writer:
        flattened = bool(shape.serialization.get("flattened"))
        item = self._element(name if flattened else shape.member.serialization.get("name", "member"), shape.member)

        def write(value: Any, append: Append) -> None:
            for child in value:
                item(child, append)

        return write if flattened else _wrapped(name, write)

    def _map(self, name: str, shape: Any) -> Writer:
        flattened = bool(shape.serialization.get("flattened"))
        key = self._element(shape.key.serialization.get("name", "key"), shape.key)
        item = self._element(shape.value.serialization.get("name", "value"), shape.value)
        entry = name if flattened else "entry"

        def write(value: Mapping[Any, Any], append: Append) -> None:
            for found_key, found in value.items():
                append(f"<{entry}>")
                key(found_key, append)
                item(found, append)
                append(f"</{entry}>")

        return write if flattened else _wrapped(name, write)


def _wrapped(name: str, inner: Writer) -> Writer:
    opening, closing = f"<{name}>", f"</{name}>"

    def write(value: Any, append: Append) -> None:
        append(opening)
        inner(value, append)
        append(closing)

    return write


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return escape(value)
    return escape(value.reveal() if isinstance(value, Secret) else str(value))


def _quoted(value: str) -> str:
    """Policy documents go out percent-encoded (RFC 3986), as IAM sends them."""
    return quote(value, safe="-_.~")


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _timestamp(value: datetime) -> str:
    return iso_seconds(value if value.tzinfo is UTC else value.astimezone(UTC))


def _blob(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


_TEXTS: Mapping[str, Callable[[Any], str]] = {"boolean": _boolean, "timestamp": _timestamp, "blob": _blob}
