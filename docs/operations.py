"""Writes what is served, and what is not, into README.md and docs/operations.md: ``python docs/operations.py``.

Everything is read from the operations table, the models and the docstrings, so that no list of operations is kept by
hand. ``tests/test_docs.py`` compares.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from broker.aws.model import load_extensions, load_service
from broker.aws.operations import OPERATIONS

ROOT = Path(__file__).resolve().parent.parent
TITLES = {"sts": "STS", "iam": "IAM", "accessanalyzer": "Access Analyzer", "cloudtrail": "CloudTrail"}
_BEGIN, _END = "<!-- operations: made by docs/operations.py -->", "<!-- end of operations -->"
_HEAD = re.compile(r"(.+?)(?: \(|: |\. |[.:?]?$)", re.DOTALL)
_ABSENT = "broker.iam.absent"
"""The module whose lists are empty."""


def summary() -> str:
    """The README's table: the operations by the module that serves them."""
    lines = []
    for service, title in TITLES.items():
        groups: dict[str, list[str]] = {}
        for name, entry in OPERATIONS[service].items():
            groups.setdefault(entry.handler.__module__, []).append(name)
        lines += [f"| {title} | |", "|---|---|"]
        rows = [(_head(sys.modules[module].__doc__), _shown(service, names)) for module, names in groups.items()]
        lines += [f"| {text} | {names} |" for text, names in sorted(rows)]
        lines.append("")
    return "\n".join(lines)


def page() -> str:
    """docs/operations.md: every operation of the models."""
    lines = []
    for service, title in TITLES.items():
        entries = OPERATIONS[service]
        theirs = load_service(service).operations
        lines += [f"## {title}", "", f"{len(entries.keys() & theirs.keys())} of AWS's {len(theirs)} operations", ""]
        lines += ["| operation | |", "|---|---|"]
        lines += [f"| {_shown(service, [name])} | {_head(entries[name].handler.__doc__)} |" for name in sorted(entries)]
        if absent := [name for name, entry in entries.items() if entry.handler.__module__ == _ABSENT]:
            lines += ["", f"Always answered with nothing, for there is nothing: {_shown(service, absent)}."]
        missing = ", ".join(f"`{name}`" for name in sorted(theirs.keys() - entries.keys()))
        lines += ["", f"Not served: {missing or 'none'}.", ""]
    return "\n".join(lines)


def _head(docstring: str | None) -> str:
    """The first sentence, or the part of it that says what it is."""
    found = _HEAD.match(" ".join((docstring or "").split()))
    assert found is not None, "no docstring"
    return found[1].replace("``", "`")


def _shown(service: str, names: list[str]) -> str:
    """Names as code; a star tells those that AWS does not have."""
    own: Mapping[str, object] = load_extensions().get(service, {}).get("operations", {})
    return ", ".join(f"`{name}`" + (r"\*" if name in own else "") for name in sorted(names))


def replaced(text: str, part: str) -> str:
    """A document with ``part`` between the marks."""
    before, _, rest = text.partition(_BEGIN)
    _, found, after = rest.partition(_END)
    assert found, f"the marks are missing: {_BEGIN} … {_END}"
    return f"{before}{_BEGIN}\n\n{part.strip()}\n\n{_END}{after}"


DOCUMENTS = {"README.md": summary, "docs/operations.md": page}

if __name__ == "__main__":
    for name, part in DOCUMENTS.items():
        file = ROOT / name
        file.write_text(replaced(file.read_text(encoding="utf-8"), part()), encoding="utf-8")
