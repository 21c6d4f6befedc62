"""The values of the AWS query protocol that are written as one text: strictly parsed, and checked by their shape."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from broker.aws.constraints import Problems, check_length, check_range, compile_string, is_secret
from broker.aws.errors import InvalidParameter
from broker.domain.secret import Secret

_INTEGER = re.compile(r"-?[0-9]{1,18}")
_EPOCH = re.compile(r"-?[0-9]{1,11}(\.[0-9]{1,9})?")
_ISO_8601 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})?"
)

Node = str | dict[str, Any]
Parser = Callable[[Node, str, Problems], Any]


def _leaf(node: Node, path: str) -> str:
    if not isinstance(node, str):
        raise InvalidParameter(f"The parameter {path[:128]} is a single value, not a structure.")
    return node


def _string(shape: Any) -> Parser:
    check = compile_string(shape)
    sensitive = is_secret(shape)

    def parse(node: Node, path: str, problems: Problems) -> Any:
        text = node if isinstance(node, str) else _leaf(node, path)
        if check is not None:
            check(text, path, problems)
        return Secret(text) if sensitive else text

    return parse


def _integer(shape: Any) -> Parser:
    def parse(node: Node, path: str, problems: Problems) -> int:
        text = _leaf(node, path)
        if not _INTEGER.fullmatch(text):
            raise InvalidParameter(f"The value of {path[:128]} is not an integer.")
        check_range(shape, int(text), path, problems)
        return int(text)

    return parse


def _boolean(shape: Any) -> Parser:
    def parse(node: Node, path: str, problems: Problems) -> bool:
        text = _leaf(node, path)
        if text not in ("true", "false"):
            raise InvalidParameter(f"The value of {path[:128]} is neither true nor false.")
        return text == "true"

    return parse


def _timestamp(shape: Any) -> Parser:
    def parse(node: Node, path: str, problems: Problems) -> datetime:
        text = _leaf(node, path)
        try:
            if _EPOCH.fullmatch(text):
                return datetime.fromtimestamp(float(text), UTC)
            if _ISO_8601.fullmatch(text):
                moment = datetime.fromisoformat(text)
                return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError, OSError):
            pass  # in the form of a time, but none
        raise InvalidParameter(f"The value of {path[:128]} is not a time.")

    return parse


def _blob(shape: Any) -> Parser:
    def parse(node: Node, path: str, problems: Problems) -> bytes:
        try:
            raw = base64.b64decode(_leaf(node, path), validate=True)
        except (binascii.Error, ValueError):
            raise InvalidParameter(f"The value of {path[:128]} is not base64.") from None
        check_length(shape, len(raw), path, problems)
        return raw

    return parse


SCALARS: Mapping[str, Callable[[Any], Parser]] = {
    "string": _string,
    "character": _string,
    "integer": _integer,
    "long": _integer,
    "boolean": _boolean,
    "timestamp": _timestamp,
    "blob": _blob,
}
