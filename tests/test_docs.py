"""The documents under docs/ cite what exists."""

from __future__ import annotations

import ast
import json
import re
import runpy
from pathlib import Path

import pytest

from broker.aws.operations import OPERATIONS

ROOT = Path(__file__).resolve().parent.parent
SEMANTICS = (ROOT / "docs" / "policy-semantics.md").read_text(encoding="utf-8")
ENTRIES = re.findall(r"^- \*\*.*?(?=\n- |\n\n|\Z)", SEMANTICS, re.MULTILINE | re.DOTALL)
VECTOR = re.compile(r"`([a-z-]+/[a-z-]+): ([\w-]+)`")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
PAGE = re.compile(r"\[([A-Z][\w ]+)\]")


def vectors(file: str) -> set[str]:
    text = (ROOT / "tests" / "vectors" / "policy" / f"{file}.json").read_text(encoding="utf-8")
    return {case["name"] for case in json.loads(text)["cases"]}


def functions(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("file", sorted({file for file, _ in VECTOR.findall(SEMANTICS)}))
def test_every_vector_named_in_policy_semantics_exists(file: str) -> None:
    assert {name for named, name in VECTOR.findall(SEMANTICS) if named == file} <= vectors(file)


@pytest.mark.parametrize("file", sorted({file for file, _ in TEST.findall(SEMANTICS)}))
def test_every_test_named_in_policy_semantics_exists(file: str) -> None:
    assert {name for named, name in TEST.findall(SEMANTICS) if named == file} <= functions(file)


def test_every_decision_names_its_page_and_what_holds_it() -> None:
    pages = set(re.findall(r"^\[([^\]]+)\]: https://docs\.aws\.amazon\.com/", SEMANTICS, re.MULTILINE))
    assert len(ENTRIES) > 40
    for entry in ENTRIES:
        assert VECTOR.search(entry) or TEST.search(entry), entry
        assert PAGE.search(entry), entry
        assert set(PAGE.findall(entry)) <= pages, entry
    assert pages == {page for entry in ENTRIES for page in PAGE.findall(entry)}


MADE = runpy.run_path(str(ROOT / "docs" / "operations.py"))


@pytest.mark.parametrize("name", MADE["DOCUMENTS"])
def test_the_tables_of_operations_are_those_of_the_code(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert text == MADE["replaced"](text, MADE["DOCUMENTS"][name]()), "run: .venv/bin/python docs/operations.py"


def test_every_service_has_its_table() -> None:
    assert MADE["TITLES"].keys() == OPERATIONS.keys()
