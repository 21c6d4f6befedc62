"""The AWS query protocol, inwards: a form becomes the typed arguments of a handler.

AWS query protocol as botocore serializes it: ``Tags.member.1.Key=a``, maps as ``entry.N.key`` and ``entry.N.value``.
Every operation's shapes are compiled once, at start. What is not in the model is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote_to_bytes

from botocore import xform_name

from broker.aws.codec.scalars import SCALARS, Node, Parser
from broker.aws.constraints import Problems, check_length, missing, raise_problems
from broker.aws.errors import InvalidParameter, MalformedQueryString
from broker.aws.model import Operation, wire_name

MAX_PARAMETERS = 2_000
_MAX_NAME = 512
_MAX_DEPTH = 24
_MAX_INDEX_DIGITS = 6
_ENVELOPE = frozenset({"Action", "Version"})
_PRESIGNED = "X-Amz-"
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_FORM = "application/x-www-form-urlencoded"

Structures = Mapping[str, Callable[..., object]]


def parse_form(query_string: str, body: bytes, content_type: str) -> dict[str, str]:
    """The parameters of URL and body together. Raises MalformedQueryString, InvalidParameter for a doubled name."""
    if body and content_type and content_type.partition(";")[0].strip().lower() != _FORM:
        raise MalformedQueryString("The request body is not form-encoded.")
    try:
        texts = (query_string.encode("latin-1").decode("utf-8"), body.decode("utf-8"))
    except UnicodeError:
        raise MalformedQueryString("The query string is not UTF-8.") from None
    parameters: dict[str, str] = {}
    for text in texts:
        if not text:
            continue
        if text.count("&") + len(parameters) >= MAX_PARAMETERS:
            raise MalformedQueryString(f"The query string has more than {MAX_PARAMETERS} parameters.")
        if _BAD_ESCAPE.search(text):
            raise MalformedQueryString("The query string has a malformed escape.")
        for pair in text.split("&"):
            if pair:
                name, _, value = pair.partition("=")
                name = _decode(name)
                if name in parameters:
                    raise InvalidParameter(f"The parameter {name[:128]} is given more than once.")
                parameters[name] = _decode(value)
    return parameters


def _decode(text: str) -> str:
    if "+" in text:
        text = text.replace("+", " ")
    if "%" not in text:
        return text
    try:
        return unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedQueryString("The query string is not UTF-8.") from None


def compile_input(operation: Operation, structures: Structures) -> Callable[[Mapping[str, str]], dict[str, object]]:
    """The operation's parser: parameters in, arguments in snake_case out; an absent member is not among them.

    ``structures`` makes objects of nested shapes by the shape's name. The parser raises ValidationFailed (constraints,
    all of them together) and InvalidParameter (a value of the wrong kind, an unknown name).
    """
    shape = operation.input_shape
    members = {} if shape is None else shape.members
    compiler = _Compiler(structures)
    parsers = {
        wire_name(name, member): (xform_name(name), _path(name), compiler.parser(member))
        for name, member in members.items()
    }
    required = (
        [] if shape is None else [(wire_name(name, members[name]), _path(name)) for name in shape.required_members]
    )

    def parse(parameters: Mapping[str, str]) -> dict[str, object]:
        tree = _tree(parameters)
        problems: Problems = [missing(path) for name, path in required if name not in tree]
        arguments: dict[str, object] = {}
        for name, node in tree.items():
            known = parsers.get(name)
            if known is None:
                raise InvalidParameter(f"The parameter {name[:128]} is not recognized by {operation.name}.")
            arguments[known[0]] = known[2](node, known[1], problems)
        raise_problems(problems)
        return arguments

    return parse


def _tree(parameters: Mapping[str, str]) -> dict[str, Any]:
    """Dotted names as nested dictionaries, without the envelope."""
    tree: dict[str, Any] = {}
    for name, value in parameters.items():
        if name in _ENVELOPE or name.startswith(_PRESIGNED):
            continue
        if "." not in name:
            if name in tree:
                raise InvalidParameter(f"The parameter {name[:128]} is given in two forms.")
            tree[name] = value
            continue
        parts = name.split(".")
        if len(name) > _MAX_NAME or len(parts) > _MAX_DEPTH:
            raise InvalidParameter("A parameter's name is nested too deeply.")
        node = tree
        for part in parts[:-1]:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise InvalidParameter(f"The parameter {name[:128]} is given in two forms.")
        if parts[-1] in node:
            raise InvalidParameter(f"The parameter {name[:128]} is given in two forms.")
        node[parts[-1]] = value
    return tree


def _path(name: str) -> str:
    """AWS writes member names with a small first letter in its messages."""
    return name[:1].lower() + name[1:]


class _Compiler:
    """Shape -> parser; a shape that contains itself finds its own parser when it is called."""

    def __init__(self, structures: Structures) -> None:
        self._structures = structures
        self._made: dict[str, Parser] = {}

    def parser(self, shape: Any) -> Parser:
        if shape.type_name not in ("structure", "list", "map"):
            return SCALARS[shape.type_name](shape)
        if shape.name not in self._made:
            self._made[shape.name] = lambda node, path, problems: self._made[shape.name](node, path, problems)
            self._made[shape.name] = getattr(self, f"_{shape.type_name}")(shape)
        return self._made[shape.name]

    def _structure(self, shape: Any) -> Parser:
        members = {
            wire_name(name, member): (xform_name(name), _path(name), self.parser(member))
            for name, member in shape.members.items()
        }
        required = [(wire_name(name, shape.members[name]), _path(name)) for name in shape.required_members]
        make = self._structures.get(shape.name, SimpleNamespace)

        def parse(node: Node, path: str, problems: Problems) -> Any:
            found = _branch(node, path)
            lacking = [f"{path}.{name}" for wire, name in required if wire not in found]
            problems.extend(missing(name) for name in lacking)
            values: dict[str, Any] = {}
            for wire, child in found.items():
                known = members.get(wire)
                if known is None:
                    raise InvalidParameter(f"The parameter {path[:128]}.{wire[:128]} is not recognized.")
                values[known[0]] = known[2](child, f"{path}.{known[1]}", problems)
            return None if problems else make(**values)

        return parse

    def _list(self, shape: Any) -> Parser:
        item = self.parser(shape.member)
        wrapper = None if shape.serialization.get("flattened") else shape.member.serialization.get("name", "member")

        def parse(node: Node, path: str, problems: Problems) -> tuple[Any, ...]:
            if node == "":
                node = {}  # how an empty list is sent
            elif wrapper is not None:
                found = _branch(node, path)
                if set(found) != {wrapper}:
                    raise InvalidParameter(f"The list {path[:128]} is not given as {wrapper}.N.")
                node = found[wrapper]
            items = _numbered(node, path)
            check_length(shape, len(items), path, problems)
            return tuple(item(child, f"{path}.{index}.member", problems) for index, child in items)

        return parse

    def _map(self, shape: Any) -> Parser:
        key, value = self.parser(shape.key), self.parser(shape.value)
        key_name = shape.key.serialization.get("name", "key")
        value_name = shape.value.serialization.get("name", "value")

        def parse(node: Node, path: str, problems: Problems) -> dict[Any, Any]:
            found = _branch(node, path)
            if not shape.serialization.get("flattened"):
                if set(found) != {"entry"}:
                    raise InvalidParameter(f"The map {path[:128]} is not given as entry.N.")
                found = found["entry"]
            result: dict[Any, Any] = {}
            for _, child in _numbered(found, path):
                entry = _branch(child, path)
                if set(entry) != {key_name, value_name}:
                    raise InvalidParameter(f"An entry of {path[:128]} is not a {key_name} and a {value_name}.")
                name = key(entry[key_name], f"{path}.key", problems)
                if name in result:
                    raise InvalidParameter(f"A key of {path[:128]} is given more than once.")
                result[name] = value(entry[value_name], f"{path}.value", problems)
            check_length(shape, len(result), path, problems)
            return result

        return parse


def _branch(node: Node, path: str) -> dict[str, Any]:
    if not isinstance(node, dict):
        raise InvalidParameter(f"The parameter {path[:128]} is a structure, not a single value.")
    return node


def _numbered(node: Node, path: str) -> list[tuple[int, Node]]:
    """Members by their number; gaps do not matter, as with AWS."""
    items = []
    for index, child in _branch(node, path).items():
        if not (index.isascii() and index.isdecimal()) or len(index) > _MAX_INDEX_DIGITS or index[0] == "0":
            raise InvalidParameter(f"The list {path[:128]} has a member that is not numbered.")
        items.append((int(index), child))
    return sorted(items, key=lambda item: item[0])
