"""A strict JSON reader that knows where every value stands.

Policies are read by this one reader, so a refusal can name line and column and no second parser can see another
document. It keeps duplicate keys for the caller to refuse, keeps numbers as their text (no precision is lost, no
digit is converted) and never recurses deeper than ``MAX_DEPTH`` (RFC 8259, sections 4, 6 and 9).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum

from broker.errors import MalformedPolicy

MAX_CHARACTERS = 131_072
MAX_DEPTH = 10
MAX_NUMBER = 64

_SPACE = re.compile(r"[ \t\r\n]*+")
_STRING = re.compile(r'"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+"')
_NUMBER = re.compile(r"-?+(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?+[0-9]++)?+")
_WORD = re.compile(r"true|false|null")
_OUTSIDE_OR_STRING = re.compile(r'"[^"\\]*+(?:\\.?[^"\\]*+)*+"?|[ \t\r\n]++', re.DOTALL)


class Json(Enum):
    """The type of a JSON value; the values are the words used in refusals."""

    OBJECT = "an object"
    LIST = "a list"
    STRING = "a string"
    NUMBER = "a number"
    BOOLEAN = "a boolean"
    NULL = "null"


@dataclass(slots=True)
class Node:
    """One JSON value from offset ``start`` up to ``end``; ``text`` holds a scalar's text."""

    kind: Json
    start: int
    end: int
    text: str = ""
    items: tuple[Node, ...] = ()
    members: tuple[tuple[Node, Node], ...] = ()


def place(text: str, offset: int) -> tuple[int, int]:
    """Line and column of ``offset``, both counted from 1."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def malformed(text: str, offset: int, problem: str) -> MalformedPolicy:
    """The refusal of a document: what is wrong, and where."""
    line, column = place(text, offset)
    return MalformedPolicy(f"{problem} at line {line}, column {column}")


def policy_size(text: str) -> int:
    """The characters that count against a policy size quota: all but JSON white space outside strings.

    IAM User Guide, "IAM and AWS STS quotas": "IAM doesn't count white space when calculating the size of a policy".
    """
    blank = sum(m.end() - m.start() for m in _OUTSIDE_OR_STRING.finditer(text) if text[m.start()] != '"')
    return len(text) - blank


def read(text: str) -> Node:
    """The document as nodes. Raises MalformedPolicy for anything that is not one JSON value of bounded size."""
    if len(text) > MAX_CHARACTERS:
        raise MalformedPolicy(f"The policy is longer than {MAX_CHARACTERS} characters at line 1, column 1")
    node = _value(text, _skip(text, 0), MAX_DEPTH)
    end = _skip(text, node.end)
    if end != len(text):
        raise malformed(text, end, "Syntax error: text after the document")
    return node


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _value(text: str, at: int, depth: int) -> Node:
    first = text[at : at + 1]
    if first == '"':
        return _string(text, at)
    if first in ("{", "["):
        if not depth:
            raise malformed(text, at, "The policy is nested too deeply")
        return _object(text, at, depth - 1) if first == "{" else _list(text, at, depth - 1)
    if match := _WORD.match(text, at):
        kind = Json.NULL if match[0] == "null" else Json.BOOLEAN
        return Node(kind, at, match.end(), match[0])
    if match := _NUMBER.match(text, at):
        if len(match[0]) > MAX_NUMBER:
            raise malformed(text, at, "The number is too long")
        return Node(Json.NUMBER, at, match.end(), match[0])
    raise malformed(text, at, "Syntax error: a value is expected")


def _string(text: str, at: int) -> Node:
    match = _STRING.match(text, at)
    if match is None:
        raise malformed(text, at, "Syntax error: the string is not closed or has an invalid character or escape")
    value = match[0][1:-1]
    if "\\" in value:
        value = json.loads(match[0])
    if not value.isprintable() and any("\ud800" <= character <= "\udfff" for character in value):
        raise malformed(text, at, "Syntax error: half of a surrogate pair")
    return Node(Json.STRING, at, match.end(), value)


def _list(text: str, at: int, depth: int) -> Node:
    items: list[Node] = []
    cursor = _skip(text, at + 1)
    if text[cursor : cursor + 1] == "]":
        return Node(Json.LIST, at, cursor + 1)
    while True:
        item = _value(text, cursor, depth)
        items.append(item)
        cursor = _skip(text, item.end)
        following = text[cursor : cursor + 1]
        if following == "]":
            return Node(Json.LIST, at, cursor + 1, items=tuple(items))
        if following != ",":
            raise malformed(text, cursor, "Syntax error: ',' or ']' is expected")
        cursor = _skip(text, cursor + 1)


def _object(text: str, at: int, depth: int) -> Node:
    members: list[tuple[Node, Node]] = []
    cursor = _skip(text, at + 1)
    if text[cursor : cursor + 1] == "}":
        return Node(Json.OBJECT, at, cursor + 1)
    while True:
        if text[cursor : cursor + 1] != '"':
            raise malformed(text, cursor, "Syntax error: a key in double quotes is expected")
        key = _string(text, cursor)
        cursor = _skip(text, key.end)
        if text[cursor : cursor + 1] != ":":
            raise malformed(text, cursor, "Syntax error: ':' is expected")
        value = _value(text, _skip(text, cursor + 1), depth)
        members.append((key, value))
        cursor = _skip(text, value.end)
        following = text[cursor : cursor + 1]
        if following == "}":
            return Node(Json.OBJECT, at, cursor + 1, members=tuple(members))
        if following != ",":
            raise malformed(text, cursor, "Syntax error: ',' or '}' is expected")
        cursor = _skip(text, cursor + 1)
