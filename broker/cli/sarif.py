"""Findings as a SARIF log, which code hosts show beside the lines of a change.

OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from urllib.parse import quote

from broker import __version__
from broker.policy.lint import Finding, FindingType, Location

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

_LEVELS = {
    FindingType.ERROR: "error",
    FindingType.SECURITY_WARNING: "error",
    FindingType.WARNING: "warning",
    FindingType.SUGGESTION: "note",
}


def render_sarif(found: Sequence[tuple[str, Finding]]) -> dict[str, object]:
    """The log of one run; ``found`` has the file of each finding, as it was named on the command line."""
    rules = {finding.code: finding for _, finding in found}
    order = {code: index for index, code in enumerate(sorted(rules))}
    driver = {
        "name": "accredit policy lint",
        "version": __version__,
        "rules": [_rule(rules[code]) for code in order],
    }
    results = [_result(file, finding, order[finding.code]) for file, finding in found]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(finding: Finding) -> dict[str, object]:
    return {
        "id": finding.code,
        "help": {"text": f"See {finding.learn_more}."},
        "defaultConfiguration": {"level": _LEVELS[finding.type]},
        "properties": {"findingType": finding.type.value},
    }


def _result(file: str, finding: Finding, rule: int) -> dict[str, object]:
    places = [_location(file, location) for location in finding.locations]
    result: dict[str, object] = {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": _LEVELS[finding.type],
        "message": {"text": finding.details},
        "locations": places[:1],
    }
    if places[1:]:
        result["relatedLocations"] = places[1:]
    return result


def _location(file: str, location: Location) -> dict[str, object]:
    """Lines and columns count from 1 here; the end is without the last column."""
    start, end = location.span.start, location.span.end
    region = {
        "startLine": start.line,
        "startColumn": start.column + 1,
        "endLine": end.line,
        "endColumn": end.column + 1,
    }
    return {"physicalLocation": {"artifactLocation": {"uri": _uri(file)}, "region": region}}


def _uri(file: str) -> str:
    path = PurePath(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
