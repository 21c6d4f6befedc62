"""The constraints of the models: each limit from both sides, AWS's sentences, and patterns that cost little."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import regex
from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape
from made_service import operation

from broker.aws.codec.query import compile_input
from broker.aws.constraints import java_pattern
from broker.aws.model import load_service
from broker.domain.secret import Secret
from broker.errors import ValidationFailed

do = compile_input(operation("Do"), {})
SIMPLE = re.compile(r"(\[(?:[^\[\]\\]|\\.)+\])[*+]")


def refusal(parameters: dict[str, str]) -> str:
    with pytest.raises(ValidationFailed) as refused:
        do(parameters)
    return refused.value.message


# --- each kind, from both sides -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "taken", "refused", "constraint"),
    [
        ("Few", ["ab", "abcd", "üü", "\U0001f600\U0001f600"], ["", "a"], "length greater than or equal to 2"),
        ("Few", ["abcd", "\U0001f600" * 4], ["abcde", "a" * 100_000], "length less than or equal to 4"),
        ("Word", ["a", "_9Z"], ["", "a b", "ü", "a\n", "\n", "a-", "\u0661"], r"regular expression pattern: [\w]+"),
        ("Colour", ["red", "green"], ["", "Red", "blue", "red ", "red\n"], "enum value set: [red, green]"),
        ("Number", ["-5", "0", "10"], ["-6", "-999999999999999999"], "value greater than or equal to -5"),
        ("Number", ["10"], ["11", "999999999999999999"], "value less than or equal to 10"),
        ("Bytes", ["YQ==", "YWFhYQ=="], [""], "length greater than or equal to 1"),
        ("Bytes", ["YWFhYQ=="], ["YWFhYWE="], "length less than or equal to 4"),
    ],
)
def test_a_constraint(name: str, taken: list[str], refused: list[str], constraint: str) -> None:
    for value in taken:
        do({name: value})
    for value in refused:
        assert f"failed to satisfy constraint: Member must " in refusal({name: value})  # noqa: F541
        assert constraint in refusal({name: value})


@pytest.mark.parametrize(("count", "taken"), [(0, False), (1, True), (3, True), (4, False)])
def test_the_length_of_a_list(count: int, taken: bool) -> None:
    parameters = {f"Texts.member.{number + 1}": "x" for number in range(count)} or {"Texts": ""}
    if taken:
        assert do(parameters)["texts"] == ("x",) * count
    else:
        limit = "greater than or equal to 1" if count == 0 else "less than or equal to 3"
        assert refusal(parameters) == (
            "1 validation error detected: Value at 'texts' failed to satisfy constraint: Member must have length "
            + limit
        )


@pytest.mark.parametrize(("count", "taken"), [(1, True), (2, True), (3, False)])
def test_the_length_of_a_map(count: int, taken: bool) -> None:
    parameters: dict[str, str] = {}
    for number in range(count):
        parameters |= {f"Counts.entry.{number + 1}.key": f"k{number}", f"Counts.entry.{number + 1}.value": "1"}
    if taken:
        assert len(do(parameters)["counts"]) == count  # type: ignore[arg-type]
    else:
        assert refusal(parameters).endswith("at 'counts' failed to satisfy constraint: Member must have length less"
                                            " than or equal to 2")  # fmt: skip


# --- sentences ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"Word": "a b"},
            "1 validation error detected: Value 'a b' at 'word' failed to satisfy constraint: Member must satisfy"
            r" regular expression pattern: [\w]+",
        ),
        (
            {"Few": "a", "Number": "11"},
            "2 validation errors detected: Value 'a' at 'few' failed to satisfy constraint: Member must have length"
            " greater than or equal to 2; Value '11' at 'number' failed to satisfy constraint: Member must have value"
            " less than or equal to 10",
        ),
        (
            {"Both": "c"},
            "2 validation errors detected: Value 'c' at 'both' failed to satisfy constraint: Member must have length"
            " greater than or equal to 2; Value 'c' at 'both' failed to satisfy constraint: Member must satisfy regular"
            " expression pattern: [ab]*",
        ),
        (
            {"Colour": "blue"},
            "1 validation error detected: Value 'blue' at 'colour' failed to satisfy constraint: Member must satisfy"
            " enum value set: [red, green]",
        ),
        (
            {"Pairs.member.2.Key": "toolong"},
            "1 validation error detected: Value 'toolong' at 'pairs.2.member.key' failed to satisfy constraint: Member"
            " must have length less than or equal to 4",
        ),
        (
            {"Flat.1": "x"},
            "1 validation error detected: Value 'x' at 'flat.1.member' failed to satisfy constraint: Member must have"
            " length greater than or equal to 2",
        ),
        (
            {"Pair.Value": "x"},
            "1 validation error detected: Value null at 'pair.key' failed to satisfy constraint: Member must not"
            " be null",
        ),
        (
            {"Hidden": "secret"},
            "1 validation error detected: Value at 'hidden' failed to satisfy constraint: Member must have length less"
            " than or equal to 5",
        ),
    ],
)  # fmt: skip
def test_the_sentence(parameters: dict[str, str], message: str) -> None:
    assert refusal(parameters) == message


@pytest.mark.parametrize("value", ["x", "XYZ", "12", "secret-value-1234"])
def test_a_sensitive_value_is_never_printed(value: str) -> None:
    message = refusal({"Hidden": value})
    assert f"'{value}'" not in message
    assert message.startswith(
        ("1 validation error detected: Value at 'hidden'", "2 validation errors detected: Value at")
    )


def test_a_printed_value_is_cut() -> None:
    assert len(refusal({"Few": "x" * 1_000_000})) < 500


def test_many_problems_are_counted_and_some_are_printed() -> None:
    message = refusal({f"Flat.{number}": "x" for number in range(1, 1001)})
    assert message.startswith("1000 validation errors detected: ")
    assert len(message) < 4_000


def test_the_order_is_that_of_the_request_after_what_is_missing() -> None:
    parse = compile_input(load_service("sts").operations["AssumeRole"], {})
    with pytest.raises(ValidationFailed) as refused:
        parse({"DurationSeconds": "1", "RoleSessionName": "a b"})
    assert re.findall("at '([^']*)'", refused.value.message) == ["roleArn", "durationSeconds", "roleSessionName"]


def test_awss_own_example() -> None:
    parse = compile_input(load_service("sts").operations["AssumeRoleWithWebIdentity"], {})
    with pytest.raises(ValidationFailed) as refused:
        parse({"RoleArn": "arn:aws:iam::123456789012:role/x", "RoleSessionName": "a b", "WebIdentityToken": "x"})
    assert refused.value.message == (
        "2 validation errors detected: Value 'a b' at 'roleSessionName' failed to satisfy constraint: Member must"
        r" satisfy regular expression pattern: [\w+=,.@-]*; Value at 'webIdentityToken' failed to satisfy constraint:"
        " Member must have length greater than or equal to 4"
    )  # fmt: skip


# --- every limit of the models ------------------------------------------------------------------------------------


@cache
def model(service: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


def limited_members() -> Iterator[Any]:
    """Top-level texts and numbers of any operation with a limit, once each shape."""
    seen = set()
    for service in ("sts", "iam"):
        for name in model(service).operation_names:
            shape = model(service).operation_model(name).input_shape
            for member_name, member in shape.members.items() if shape is not None else ():
                scalar = member.type_name in ("string", "integer")
                if scalar and {"min", "max"} & member.metadata.keys() and (service, member.name) not in seen:
                    seen.add((service, member.name))
                    yield pytest.param(service, name, member_name, id=f"{service}-{name}-{member_name}")


def problems_of(service: str, name: str, member: str, value: str) -> list[str]:
    """What is wrong with one parameter, the missing others aside."""
    parse = compile_input(load(service).operations[name], {})
    try:
        parse({member: value})
    except ValidationFailed as refused:
        parts = refused.message.partition(" detected: ")[2].split("; Value ")
        return [part for part in parts if "must not be null" not in part]
    return []


load = cache(load_service)


@pytest.mark.parametrize(("service", "name", "member"), list(limited_members()))
def test_a_limit_of_the_models(service: str, name: str, member: str) -> None:
    shape = model(service).operation_model(name).input_shape.members[member]
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    noun = "value" if shape.type_name == "integer" else "length"
    cases = [(least, ""), (most, "")]
    cases += [] if least is None else [(least - 1, f"greater than or equal to {least}")]
    cases += [] if most is None else [(most + 1, f"less than or equal to {most}")]
    for size, limit in cases:
        value = None if size is None or size > 200_000 else text_of(shape, size)
        if value is not None:
            found = problems_of(service, name, member, value)
            assert any(f"Member must have {noun} {limit}" in problem for problem in found) if limit else not found


def text_of(shape: Shape, size: int) -> str | None:
    """A text of that length that fits the pattern; None if there is none, or the pattern is no single class."""
    if shape.type_name == "integer":
        return str(size)
    if size < 0:
        return None
    pattern = shape.metadata.get("pattern")
    if not pattern:
        return "x" * size
    if SIMPLE.fullmatch(pattern) is None:
        return None
    return next(character for character in "a1A" if java_pattern(pattern).fullmatch(character)) * size


# --- patterns -----------------------------------------------------------------------------------------------------


def patterns() -> list[str]:
    shapes = [model(service).shape_for(name) for service in ("sts", "iam") for name in model(service).shape_names]
    return sorted({shape.metadata["pattern"] for shape in shapes if shape.metadata.get("pattern")})


@pytest.mark.parametrize("pattern", patterns())
def test_a_pattern_means_what_java_means(pattern: str) -> None:
    r"""\w, \d and \s are ASCII in Java; where a pattern has \p, which is Unicode, none of them may stand beside it."""
    compiled = java_pattern(pattern)
    assert not (r"\p" in pattern and re.search(r"\\[wds]", pattern))
    assert compiled.fullmatch("\u0661") is None or "\\p" in pattern or "\\uFFFD" in pattern
    simple = SIMPLE.fullmatch(pattern)
    if simple is not None:
        reference = regex.compile(
            simple[1].replace(r"\u10000-\u10FFFF", r"\U00010000-\U0010FFFF"),
            regex.UNICODE if r"\p" in pattern else regex.ASCII,
        )
        for character in (*map(chr, range(0x250)), "\u2028", "漢", "\ud7ff", "\ufffe", "\U0001f600", "\U0010ffff"):
            assert bool(compiled.fullmatch(character)) == bool(reference.fullmatch(character)), repr(character)
        assert compiled.fullmatch("a\n") is None or "\\u000A" in pattern


@pytest.mark.parametrize("pattern", patterns())
@pytest.mark.parametrize("unit", ["a", "/a", "/", "a-", "0", "-", "http://", ".a", "o-", "\t"])
def test_a_pattern_is_cheap_to_fail(pattern: str, unit: str) -> None:
    """20,000 characters and then one that fits nowhere; texts longer than the shape's maximum do not get this far."""
    text = unit * (20_000 // len(unit)) + "\u0000"
    start = time.process_time()
    java_pattern(pattern).fullmatch(text)
    assert time.process_time() - start < 0.25


def test_a_secret_is_still_one_after_its_checks() -> None:
    value = do({"Hidden": "abcd"})["hidden"]
    assert isinstance(value, Secret)
    assert value.reveal() == "abcd"
