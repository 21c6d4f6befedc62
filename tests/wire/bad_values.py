"""Requests at the edges of an operation's model and beyond them, made of the model alone.

``Case`` is one request; what it should be refused for is not said, because AWS's words are tested elsewhere: here a
refusal of any kind will do, as long as it is one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from botocore.model import OperationModel, Shape
from wire_values import CLASS, Values, alphabet

from broker.aws.model import wire_name

LONGEST = 200_000
"""Of one text: longer ones do not fit into a request's body."""
HOSTILE_TEXTS = (
    "",
    "\x00",
    "a\x00b",
    "' OR 1=1 --",
    "../../etc/passwd",
    "${aws:username}",
    "*",
    "%s%n%x",
    "<a>&amp;",
    "\u2028\u202e",
    "\U0001f600" * 8,
    "e\u0301",
    "\ufffe",
    "\r\nX-Injected: 1",
    "arn:aws:iam::123456789012:user/fuzz",
    "a" * 3_000,
)
HOSTILE_NUMBERS = ("0", "-1", str(2**31), str(2**63), "9" * 40, "1.5", "1e5", "NaN", " 1", "+1", "", "٣", "x")
HOSTILE_TIMES = ("now", "-1", "9" * 30, "2026-13-45T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "")
HOSTILE_NUMBERINGS = (
    "member.0",
    "member.-1",
    "member.x",
    "member",
    "member.9999999",
    "entry.1",
    "1",
    "member.1.member.1",
)


@dataclass(frozen=True, slots=True)
class Case:
    what: str
    body: bytes
    content_type: str


def cases(
    operation: OperationModel, taken: Sequence[str], known: Mapping[str, Any], needed: Sequence[str] = ()
) -> Iterator[Case]:
    """The requests for one operation. ``taken`` are the members that are served; ``known`` names things that exist;
    ``needed`` are members without which it refuses everything, though its model does not say so."""
    write = _form if operation.service_model.metadata["protocol"] == "query" else _json
    shape = operation.input_shape
    members = {} if shape is None else {name: shape.members[name] for name in taken}
    required = [] if shape is None else [name for name in shape.required_members if name in members]
    least = {name: sample(members[name], known, name) for name in (*required, *needed)}
    yield from write(operation, "as it should be", least)
    for name, member in members.items():
        whole = least | {name: sample(member, known, name)}
        yield from write(operation, f"with {name}", whole)
        for what, value in variations(member, whole[name]):
            yield from write(operation, f"{name}: {what}", whole | {name: value})
        if name in required:
            yield from write(operation, f"without {name}", {key: least[key] for key in least if key != name})
    yield from write(operation, "unknown member", least | {"Bogus": "1"})
    everything = {one: sample(member, known, one) for one, member in members.items()}
    yield from (_bad_forms if write is _form else _bad_bodies)(operation, everything)


def sample(shape: Shape, known: Mapping[str, Any], name: str = "") -> Any:
    """A valid value with all its members; what ``known`` names is taken from there."""
    if name in known:
        return known[name]
    if shape.type_name == "structure":
        names = list(shape.members)[:1] if shape.is_tagged_union else shape.members
        return {one: sample(shape.members[one], known, one) for one in names}
    if shape.type_name == "list":
        item = sample(shape.member, known, f"{name}.item")
        return [item] * max(1, shape.metadata.get("min", 1))
    return Values(7, likelihood=1.0).value(shape)


def variations(shape: Shape, value: Any) -> Iterator[tuple[str, Any]]:
    """Other values for one of this shape: one thing is wrong with each, or nothing, at an edge."""
    yield "scalar and structure changed about", ("x" if isinstance(value, (dict, list)) else {"x": "y"})
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            yield f"without {name}", {key: item for key, item in value.items() if key != name}
            if name in value:
                for what, other in variations(member, value[name]):
                    yield f"{name}: {what}", value | {name: other}
        yield "unknown member", value | {"Bogus": "1"}
    elif shape.type_name == "list":
        most = shape.metadata.get("max")
        yield "empty", []
        yield "twice the same", [*value, *deepcopy(value)]
        for count in (most, most + 1) if most is not None and most <= 200 else (130,):
            yield f"{count} items", [_numbered(value[0], index) for index in range(count)]
        for what, other in variations(shape.member, value[0]):
            yield f"item: {what}", [other, *value[1:]]
    elif shape.type_name in ("integer", "long"):
        for bound in (shape.metadata.get("min"), shape.metadata.get("max")):
            if bound is not None:
                yield from ((f"value {number}", str(number)) for number in (bound - 1, bound, bound + 1))
        yield from ((f"value {text!r}", text) for text in HOSTILE_NUMBERS)
    elif shape.type_name == "timestamp":
        yield from ((f"value {text!r}", text) for text in HOSTILE_TIMES)
    elif shape.type_name == "boolean":
        yield from ((f"value {text!r}", text) for text in ("TRUE", "1", "", "false"))
    elif shape.type_name == "string":
        yield from _texts(shape)
    else:
        yield from ((f"value {text!r}", text) for text in ("@", "=", "AAA", ""))


def _texts(shape: Shape) -> Iterator[tuple[str, str]]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    lengths = {least - 1, least} if least else set()
    lengths |= {most, most + 1} if most is not None and most < LONGEST else set()
    for length in sorted(lengths):
        yield f"length {length}", _filler(shape) * length
    yield from ((f"text {text[:24]!r}", text) for text in HOSTILE_TEXTS)


def _filler(shape: Shape) -> str:
    """A character that the pattern allows, if that is a class."""
    simple = CLASS.fullmatch(shape.metadata.get("pattern") or "")
    allowed = alphabet(simple[1]) if simple else "a"
    return "a" if "a" in allowed else allowed[0]


def _numbered(item: Any, index: int) -> Any:
    """The item, told from others by its texts."""
    if isinstance(item, dict):
        return {name: _numbered(value, index) for name, value in item.items()}
    return f"{item}{index}" if isinstance(item, str) else item


# --- the query protocol ---------------------------------------------------------------------------------------------


def _form(operation: OperationModel, what: str, members: Mapping[str, Any]) -> Iterator[Case]:
    yield _as_form(what, _pairs(operation, members))


def _pairs(operation: OperationModel, members: Mapping[str, Any]) -> list[tuple[str, str]]:
    pairs = [("Action", operation.name), ("Version", operation.service_model.api_version)]
    shapes = {} if operation.input_shape is None else operation.input_shape.members
    for name, value in members.items():
        shape = shapes.get(name)
        pairs += _flat(name if shape is None else wire_name(name, shape), shape, value)
    return pairs


def _flat(name: str, shape: Shape | None, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        members = shape.members if shape is not None and shape.type_name == "structure" else {}
        found = []
        for key, item in value.items():
            found += _flat(f"{name}.{key}", members.get(key), item)
        return found
    if isinstance(value, list):
        if not value:
            return [(name, "")]
        member = shape.member if shape is not None and shape.type_name == "list" else None
        found = []
        for index, item in enumerate(value, 1):
            found += _flat(f"{name}.member.{index}", member, item)
        return found
    if isinstance(value, bool):
        return [(name, "true" if value else "false")]
    return [(name, value.decode("latin-1") if isinstance(value, bytes) else str(value))]


def _as_form(what: str, pairs: Sequence[tuple[str, str]]) -> Case:
    body = "&".join(f"{quote(name, safe='.')}={quote(value, safe='')}" for name, value in pairs)
    return Case(what, body.encode(), "application/x-www-form-urlencoded; charset=utf-8")


def _bad_forms(operation: OperationModel, members: Mapping[str, Any]) -> Iterator[Case]:
    """What no client would write."""
    pairs = _pairs(operation, members)
    good = _as_form("", pairs)
    for index, (name, value) in enumerate(pairs):
        others = pairs[:index] + pairs[index + 1 :]
        yield _as_form(f"{name} twice", [*pairs, (name, value)])
        yield _as_form(f"{name} in two forms", [*pairs, (f"{name}.x", value)])
        yield _as_form(f"{name} deeper", [*others, (f"{name}.x.y.z", value)])
        yield _as_form(f"{name} much deeper", [*others, (".".join([name, *["x"] * 40]), value)])
        yield _as_form(f"{name} in capitals", [*others, (name.upper(), value)])
        if re.search(r"member\.1$", name):
            stem = name.removesuffix("member.1")
            for numbering in HOSTILE_NUMBERINGS:
                yield _as_form(f"{stem}{numbering}", [*others, (f"{stem}{numbering}", value)])
        start = b"&" + quote(name, safe=".").encode() + b"="
        for raw in (b"%ff", b"\xff\xfe", b"%zz", b"%", b"%ED%A0%80", b"%00"):
            body = b"&" + good.body
            at = body.index(start) + len(start)
            end = body.find(b"&", at)
            changed = body[1:at] + raw + (body[end:] if end >= 0 else b"")
            yield Case(f"{name}={raw!r}", changed, good.content_type)
    yield Case("a name that is not UTF-8", good.body + b"&%ff=1", good.content_type)
    yield Case("thousands of parameters", good.body + b"".join(b"&p%d=" % n for n in range(3_000)), good.content_type)
    yield Case("another content type", good.body, "application/json")
    yield Case("only separators", good.body + b"&&&==&=", good.content_type)


# --- the JSON protocols ---------------------------------------------------------------------------------------------


def _json(operation: OperationModel, what: str, members: Mapping[str, Any]) -> Iterator[Case]:
    """Members of the query string are left to their own tests: here all are in the body."""
    yield Case(what, json.dumps(members, default=str).encode(), "application/json")


def _bad_bodies(operation: OperationModel, members: Mapping[str, Any]) -> Iterator[Case]:
    good = json.dumps(members, default=str).encode()
    for raw in (b"", b"null", b"[]", b"1", b'"x"', b"{", good[:-1], good + b"x", b"\xff" + good, b"[" * 5_000):
        yield Case(f"body {raw[:12]!r}", raw, "application/json")
    for name in members:
        for value in (b"null", b"{}", b"[[]]", b"1e400", b"9" * 5_000, b'"\\ud800"', b'"\xff"', b"[" * 60 + b"]" * 60):
            yield Case(f"{name}: {value[:12]!r}", b'{"%s": %s}' % (name.encode(), value), "application/json")
        yield Case(f"{name} twice", b'{"%s": "x", "%s": "y"}' % (name.encode(), name.encode()), "application/json")
