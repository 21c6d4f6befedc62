"""The AWS rest-json protocol, both ways: a request becomes a handler's typed arguments, its result becomes JSON.

Smithy specification, "AWS restJson1 protocol": members are in the body, a JSON object, in the query string,
or in the path.
Every operation's shapes are compiled once, at start. What is not in the model is refused by name.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, NoReturn

from botocore import xform_name

from broker.aws.codec.query import Structures, parse_form
from broker.aws.codec.scalars import SCALARS
from broker.aws.constraints import Problems, check_length, missing, raise_problems
from broker.aws.errors import InvalidParameter, MalformedBody, WireError
from broker.aws.model import Operation
from broker.domain.secret import Secret

CONTENT_TYPE = "application/json"
MAX_DEPTH = 24
_PRESIGNED = "X-Amz-"
_STRING_OR_BRACKET = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)
_STEPS: Mapping[str, int] = {"[": 1, "{": 1, "]": -1, "}": -1}


@dataclass(frozen=True, slots=True)
class RestRequest:
    """What arguments are read from: nothing of it is parsed before the signature is verified."""

    query_string: str
    content_type: str
    body: bytes
    label: str = ""
    """The last segment of the path, where the operation has a member there."""


@dataclass(frozen=True, slots=True)
class Number:
    """A JSON number as it was written: no digit is converted before its length is known to be sane."""

    text: str


Json = str | Number | bool | None | list[Any] | dict[str, Any]
_Parser = Callable[[Json, str, Problems], Any]
Field = tuple[str, str, Callable[[Any, str, Problems], Any]]
"""Argument, name in messages, parser."""


def read_json(body: bytes, content_type: str, expected: str = CONTENT_TYPE) -> dict[str, Any]:
    """The members of the body; an empty body has none. Raises MalformedBody, for a doubled member too."""
    if not body:
        return {}
    if content_type and content_type.partition(";")[0].strip().lower() != expected:
        raise MalformedBody(f"The request body is not of the type {expected}.")
    try:
        text = body.decode("utf-8")
        _check_depth(text)
        document = json.loads(
            text, object_pairs_hook=_members, parse_int=Number, parse_float=Number, parse_constant=_no_number
        )
    except ValueError:
        raise MalformedBody("The request body is not JSON in UTF-8.") from None
    if not isinstance(document, dict):
        raise MalformedBody("The request body is not a JSON object.")
    return document


def compile_input(operation: Operation, structures: Structures) -> Callable[[RestRequest], dict[str, object]]:
    """The operation's parser; an absent member, or one that is null, is not among the arguments.

    ``structures`` makes objects of nested shapes by the shape's name. The parser raises ValidationFailed (constraints,
    all of them together), InvalidParameter (a value of the wrong kind, an unknown name), MalformedBody and
    MalformedQueryString.
    """
    in_query: dict[str, Field] = {}
    in_body: dict[str, Field] = {}
    in_path: dict[str, Field] = {}
    compiler = Compiler(structures)
    shape = operation.input_shape
    for name, member in shape.members.items() if shape is not None else ():
        wire, location = _place(operation, name, member)
        parser = SCALARS[member.type_name](member) if location else compiler.parser(member)
        {"querystring": in_query, "uri": in_path, None: in_body}[location][wire] = (xform_name(name), name, parser)
    required = [(xform_name(name), name) for name in (shape.required_members if shape is not None else ())]

    def parse(request: RestRequest) -> dict[str, object]:
        texts = parse_form(request.query_string, b"", "")
        document = read_json(request.body, request.content_type)
        problems: Problems = []
        given = {name: text for name, text in texts.items() if not name.startswith(_PRESIGNED)}
        arguments = {
            **read_members(in_query, given, operation.name, problems),
            **read_members(in_body, document, operation.name, problems),
            **read_members(in_path, dict.fromkeys(in_path, request.label), operation.name, problems),
        }
        problems.extend(missing(path) for name, path in required if name not in arguments)
        raise_problems(problems)
        return arguments

    return parse


def compile_output(operation: Operation) -> Callable[[object, str], bytes]:
    """The operation's renderer. Members are read from the result by their snake_case names; None is left out.

    The request id, its second argument, is a header's business in this protocol.
    """
    shape = operation.output_shape
    for name, member in shape.members.items() if shape is not None else ():
        if _place(operation, name, member)[1]:
            raise NotImplementedError(f"{operation.name} answers {name} outside the body")
    plain = Renderer().plain(shape) if shape is not None else None

    def render(result: object, _request_id: str) -> bytes:
        return json.dumps(plain(result) if plain is not None else {}).encode()

    return render


def render_error(error: WireError) -> bytes:
    """The body of a refusal; its code is in the header ``x-amzn-ErrorType``."""
    body = {"message": error.text(), "reason": error.reason} if error.reason else {"message": error.text()}
    return json.dumps(body).encode()


def _place(operation: Operation, name: str, member: Any) -> tuple[str, str | None]:
    """Name on the wire, and location: None for the body. A member in the path is its last segment."""
    location = member.serialization.get("location")
    if location == "uri" and operation.path.endswith(f"/{{{member.serialization.get('name', name)}}}"):
        return str(member.serialization.get("name", name)), location
    if location not in (None, "querystring"):
        raise NotImplementedError(f"{operation.name} has {name} in the {location}")
    return str(member.serialization.get("name", name)), location


def _check_depth(text: str) -> None:
    depth = 0
    for found in _STRING_OR_BRACKET.finditer(text):
        depth += _STEPS.get(found[0], 0)
        if depth > MAX_DEPTH:
            raise MalformedBody("The request body is nested too deeply.")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedBody("A member of the request body is given more than once.")
    return found


def _no_number(_text: str) -> NoReturn:
    raise MalformedBody("The request body has a number that JSON does not have.")


def read_members(
    fields: Mapping[str, Field], given: Mapping[str, Any], operation: str, problems: Problems
) -> dict[str, Any]:
    """The arguments that members make. Raises InvalidParameter, for a name that is not in the model too."""
    arguments = {}
    for wire, value in given.items():
        if wire not in fields:
            raise InvalidParameter(f"The parameter {wire[:128]} is not recognized by {operation}.")
        if value is not None:
            argument, path, parser = fields[wire]
            arguments[argument] = parser(value, path, problems)
    return arguments


class Compiler:
    """Shape -> parser; a shape that contains itself finds its own parser when it is called."""

    def __init__(self, structures: Structures) -> None:
        self._structures = structures
        self._made: dict[str, _Parser] = {}

    def parser(self, shape: Any) -> _Parser:
        if shape.type_name not in ("structure", "list", "map"):
            return _scalar(shape)
        if shape.name not in self._made:
            self._made[shape.name] = lambda value, path, problems: self._made[shape.name](value, path, problems)
            self._made[shape.name] = getattr(self, f"_{shape.type_name}")(shape)
        return self._made[shape.name]

    def _structure(self, shape: Any) -> _Parser:
        fields = {
            str(member.serialization.get("name", name)): (xform_name(name), name, self.parser(member))
            for name, member in shape.members.items()
        }
        required = [(xform_name(name), name) for name in shape.required_members]
        make = self._structures.get(shape.name, SimpleNamespace)

        def parse(value: Json, path: str, problems: Problems) -> Any:
            values = {}
            for wire, child in _object(value, path).items():
                if wire not in fields:
                    raise InvalidParameter(f"The parameter {path[:128]}.{wire[:128]} is not recognized.")
                if child is not None:
                    argument, name, parser = fields[wire]
                    values[argument] = parser(child, f"{path}.{name}", problems)
            problems.extend(missing(f"{path}.{name}") for argument, name in required if argument not in values)
            return None if problems else make(**values)

        return parse

    def _list(self, shape: Any) -> _Parser:
        item = self.parser(shape.member)

        def parse(value: Json, path: str, problems: Problems) -> tuple[Any, ...]:
            if not isinstance(value, list):
                raise InvalidParameter(f"The value of {path[:128]} is not a JSON array.")
            check_length(shape, len(value), path, problems)
            return tuple(item(child, f"{path}.{index}.member", problems) for index, child in enumerate(value, 1))

        return parse

    def _map(self, shape: Any) -> _Parser:
        key, item = self.parser(shape.key), self.parser(shape.value)

        def parse(value: Json, path: str, problems: Problems) -> dict[Any, Any]:
            found = _object(value, path)
            check_length(shape, len(found), path, problems)
            return {
                key(name, f"{path}.key", problems): item(child, f"{path}.value", problems)
                for name, child in found.items()
            }

        return parse


def _object(value: Json, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidParameter(f"The value of {path[:128]} is not a JSON object.")
    return value


_KINDS: Mapping[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "integer": (Number,),
    "long": (Number,),
    "timestamp": (Number, str),
}
"""Type of a shape -> types of JSON that it is sent as; all others are strings."""


def _scalar(shape: Any) -> _Parser:
    """A value of the right JSON type goes the way of its text, with the constraints of the shape."""
    parse_text = SCALARS[shape.type_name](shape)
    kinds = _KINDS.get(shape.type_name, (str,))

    def parse(value: Json, path: str, problems: Problems) -> Any:
        if not isinstance(value, kinds):
            raise InvalidParameter(f"The value of {path[:128]} is not of the type {shape.type_name}.")
        return parse_text(_text(value, path), path, problems)

    return parse


def _text(value: Any, path: str) -> str:
    if isinstance(value, Number):
        return value.text
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidParameter(f"The value of {path[:128]} has half of a surrogate pair.") from None
    return text


_Plain = Callable[[Any], Any]


class Renderer:
    """Shape -> function from a value to what ``json`` writes."""

    def __init__(self) -> None:
        self._made: dict[str, _Plain] = {}

    def plain(self, shape: Any) -> _Plain:
        if shape.type_name == "timestamp":
            return _TIMES[shape.serialization.get("timestampFormat", "unixtimestamp").lower()]
        if shape.type_name not in ("structure", "list", "map"):
            return _VALUES.get(shape.type_name, _as_it_is)
        if shape.name not in self._made:
            self._made[shape.name] = lambda value: self._made[shape.name](value)
            self._made[shape.name] = getattr(self, f"_{shape.type_name}")(shape)
        return self._made[shape.name]

    def _structure(self, shape: Any) -> _Plain:
        members = [
            (xform_name(name), str(member.serialization.get("name", name)), self.plain(member))
            for name, member in shape.members.items()
        ]

        def plain(value: Any) -> dict[str, Any]:
            found = ((wire, member, getattr(value, name, None)) for name, wire, member in members)
            return {wire: member(item) for wire, member, item in found if item is not None}

        return plain

    def _list(self, shape: Any) -> _Plain:
        item = self.plain(shape.member)
        return lambda value: [item(child) for child in value]

    def _map(self, shape: Any) -> _Plain:
        item = self.plain(shape.value)
        return lambda value: {str(name): item(child) for name, child in value.items()}


def _as_it_is(value: Any) -> Any:
    return value


def _revealed(value: Any) -> str:
    return value.reveal() if isinstance(value, Secret) else str(value)


def _iso_8601(value: datetime) -> str:
    return f"{value.astimezone(UTC).isoformat()[:19]}Z"


_TIMES: Mapping[str, _Plain] = {"iso8601": _iso_8601, "unixtimestamp": datetime.timestamp}
_VALUES: Mapping[str, _Plain] = {
    "string": _revealed,
    "blob": lambda value: base64.b64encode(value).decode("ascii"),
}
