"""Valid arguments and answers for any operation, made from its model, and what each side should read of them."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import regex
from botocore import xform_name
from botocore.awsrequest import AWSRequest
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.serialize import create_serializer

from broker.aws.constraints import is_secret
from broker.domain.secret import Secret

FORM = "application/x-www-form-urlencoded; charset=utf-8"

CLASS = re.compile(r"\^?(\[(?:[^\[\]\\]|\\.)+\])[*+]\$?")
"""A pattern that is one character class, any number of times."""

UNIVERSE = [
    *map(chr, range(0x180)),
    *"\u2028\u3000\u0660\u0966漢字Ωжא\ud7ff\ue000\ufffd\ufffe\uffff\U0001f600\U0010ffff",
]
"""Characters that the classes of the models tell apart."""

SAMPLES: Mapping[str, tuple[str, ...]] = {
    r"((/[A-Za-z0-9\.,\+@=_-]+)*)/": ("/", "/a/", "/division_abc/sub-1.2,+@=/"),
    r"(\u002F)|(\u002F[\u0021-\u007E]+\u002F)": ("/", "/a/", "/!~//x%20/"),
    r"/[\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*/": ("//", "/ü\t/"),
    r"\u002F[\u0021-\u007F]*": ("/", "/a!\u007f"),
    r"\d{12}": ("123456789012", "000000000000"),
    r"^[A-Za-z][A-Za-z0-9/_-]*$": ("a", "Feature/one_2-3"),
    r"^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$": ("abc", "a-b-c", "0" * 63),
    r"^http(s?)://[a-zA-Z0-9._/-]*(\?[a-zA-Z0-9._=&-]*)?(#[a-zA-Z0-9._/-]*)?$": (
        "http://",
        "https://a.example/x?y=1&z#w/",
    ),
    r"^o-[0-9a-z]{10,32}\/r-[0-9a-z]{4,32}[0-9a-z-\/]*": ("o-0123456789/r-abcd", "o-0123456789/r-abcd/ou-1"),
    r"^o-[a-z0-9]{10,32}$": ("o-0123456789",),
    r"^p-[0-9a-zA-Z_]{8,128}$": ("p-01234567", "p-" + "a_" * 64),
    r"[\x21\x23-\x2B\x2D-\x5B\x5D-\x7E]+( [\x21\x23-\x2B\x2D-\x5B\x5D-\x7E]+)*": ("a", "read:x write#y ~"),
    r"v[1-9][0-9]*(\.[A-Za-z0-9-]*)?": ("v1", "v20.a-B"),
    r"ldaps?://([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?": (
        "ldaps://a.example",
        "ldap://[::1]:3389",
    ),
    r"[A-Z2-7]+=*": ("GEZDGNBVGY3TQOJQ", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"),
    r"[A-Za-z][A-Za-z0-9-]*": ("a", "objectClass", "x-1"),
}
"""Texts for the patterns that are more than one class."""


@cache
def service_model(name: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(name, "service-2"), name)


def operations() -> list[tuple[str, str]]:
    """Every operation of the two services."""
    return [(service, name) for service in ("sts", "iam") for name in service_model(service).operation_names]


def form_of(operation: OperationModel, arguments: Mapping[str, Any]) -> bytes:
    """The body that botocore sends."""
    serialized = create_serializer("query").serialize_to_request(dict(arguments), operation)
    prepared = AWSRequest("POST", "http://127.0.0.1/", data=serialized["body"]).prepare()
    body = prepared.body
    return body.encode() if isinstance(body, str) else body


@cache
def alphabet(character_class: str) -> tuple[str, ...]:
    """The characters of ``UNIVERSE`` that are in a pattern's class."""
    matcher = regex.compile(character_class.replace(r"\u10000-\u10FFFF", r"\U00010000-\U0010FFFF"), regex.ASCII)
    unicode = regex.compile(character_class.replace(r"\u10000-\u10FFFF", r"\U00010000-\U0010FFFF"))
    chosen = unicode if r"\p" in character_class else matcher
    return tuple(character for character in UNIVERSE if chosen.fullmatch(character))


class Values:
    """Random values of a shape; the same seed makes the same values.

    ``likelihood`` is that of an optional member, ``longest`` the usual length of lists and texts.
    """

    def __init__(self, seed: int, *, likelihood: float, longest: int = 3) -> None:
        self._random = random.Random(seed)
        self._likelihood = likelihood
        self._longest = longest

    def structure(self, shape: Shape, depth: int = 0) -> dict[str, Any]:
        """A structure; one inside another has a member at least (see ``arguments_of``), a union exactly one."""
        present = [
            name
            for name in shape.members
            if name in shape.required_members or (depth < 5 and self._random.random() < self._likelihood)
        ]
        if shape.members and (shape.is_tagged_union or (depth and not present)):
            present = [self._random.choice(list(shape.members))]
        return {name: self.value(shape.members[name], depth + 1) for name in present}

    def value(self, shape: Shape, depth: int = 0) -> Any:
        return getattr(self, f"_{shape.type_name}")(shape, depth)

    def _structure(self, shape: Shape, depth: int) -> dict[str, Any]:
        return self.structure(shape, depth)

    def _list(self, shape: Shape, depth: int) -> list[Any]:
        count = self._length(shape) if depth < 6 else shape.metadata.get("min", 0)
        return [self.value(shape.member, depth + 1) for _ in range(count)]

    def _map(self, shape: Shape, depth: int) -> dict[str, Any]:
        count = max(1, self._length(shape))
        return {self.value(shape.key, depth + 1): self.value(shape.value, depth + 1) for _ in range(count)}

    def _length(self, shape: Shape) -> int:
        least = shape.metadata.get("min", 0)
        return self._random.randint(least, min(shape.metadata.get("max", 1 << 30), least + self._longest))

    def _string(self, shape: Shape, depth: int) -> str:
        if shape.enum:
            return self._random.choice(shape.enum)
        pattern = shape.metadata.get("pattern")
        simple = CLASS.fullmatch(pattern) if pattern else None
        if pattern and simple is None:
            return self._random.choice(SAMPLES[pattern])
        allowed = alphabet(simple[1]) if simple else UNIVERSE
        least = max(shape.metadata.get("min", 0), 1 if pattern and pattern.endswith(("+", "+$")) else 0)
        most = min(shape.metadata.get("max", 1 << 30), least + 20)
        return "".join(self._random.choices(allowed, k=self._random.randint(least, most)))

    def _integer(self, shape: Shape, depth: int) -> int:
        low, high = shape.metadata.get("min", -1000), shape.metadata.get("max", 100_000)
        return self._random.choice((low, high, self._random.randint(low, high)))

    _long = _integer

    def _boolean(self, shape: Shape, depth: int) -> bool:
        return self._random.random() < 0.5

    def _timestamp(self, shape: Shape, depth: int) -> datetime:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=self._random.randint(0, 4_102_444_800))

    def _blob(self, shape: Shape, depth: int) -> bytes:
        return self._random.randbytes(self._random.randint(0, 40))


def arguments_of(shape: Shape | None, values: Mapping[str, Any]) -> dict[str, Any]:
    """What the handler should get, in the form of ``plain``.

    The query protocol cannot say "an empty structure" or "an empty map": botocore sends nothing for them, so ``Values``
    makes none. An empty list is ``Name=``.
    """
    if shape is None:
        return {}
    return {xform_name(name): _argument(shape.members[name], value) for name, value in values.items()}


def _argument(shape: Shape, value: Any) -> Any:
    if shape.type_name == "structure":
        return arguments_of(shape, value)
    if shape.type_name == "list":
        return tuple(_argument(shape.member, item) for item in value)
    if shape.type_name == "map":
        return {key: _argument(shape.value, item) for key, item in value.items()}
    return ("secret", value) if is_secret(shape) else value


def plain(value: Any) -> Any:
    """Handler arguments with namespaces and secrets opened, to be compared."""
    if isinstance(value, Secret):
        return ("secret", value.reveal())
    if isinstance(value, SimpleNamespace):
        return plain(vars(value))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return tuple(map(plain, value)) if isinstance(value, tuple) else value


def result_of(shape: Shape, values: Mapping[str, Any]) -> SimpleNamespace:
    """A handler's result: every member an attribute, what is absent None."""
    return SimpleNamespace(
        **{
            xform_name(name): _result(member, values[name]) if name in values else None
            for name, member in shape.members.items()
        }
    )


def _result(shape: Shape, value: Any) -> Any:
    if shape.type_name == "structure":
        return result_of(shape, value)
    if shape.type_name == "list":
        return tuple(_result(shape.member, item) for item in value)
    if shape.type_name == "map":
        return {key: _result(shape.value, item) for key, item in value.items()}
    return Secret(value) if is_secret(shape) and isinstance(value, str) else value


def xml_text(text: str) -> str:
    """What XML 1.0 can carry of a text (XML 1.0, section 2.2)."""
    return re.sub("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)


def answer_of(shape: Shape, value: Any) -> Any:
    """What botocore should read from our answer."""
    if shape.type_name == "structure":
        return {name: answer_of(shape.members[name], item) for name, item in value.items()}
    if shape.type_name == "list":
        return [answer_of(shape.member, item) for item in value]
    if shape.type_name == "map":
        return {xml_text(key): answer_of(shape.value, item) for key, item in value.items()}
    if shape.name == "policyDocumentType":
        return quote(value, safe="-_.~")  # botocore's IAM client decodes it after parsing
    return xml_text(value) if isinstance(value, str) else value
