"""The record for others: events as lines of JSON or as CSV, oldest first, as they were sealed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection

from broker.audit.index import event_account, event_resources, event_seconds, user_name
from broker.store.audit_events import records_of
from broker.store.audit_tree import SEGMENT_WIDTH, find_segment, segments_between

COLUMNS = (
    "leaf",
    "eventTime",
    "eventSource",
    "eventName",
    "recipientAccountId",
    "userType",
    "userArn",
    "userName",
    "accessKeyId",
    "sourceIPAddress",
    "userAgent",
    "errorCode",
    "errorMessage",
    "readOnly",
    "resources",
    "requestID",
    "eventID",
)
_FORMULA = ("=", "+", "-", "@")
"""How a cell begins that a spreadsheet would calculate (OWASP, "CSV Injection")."""


def sealed_records(connection: Connection, start: int, end: int, account: str | None) -> Iterator[tuple[int, str]]:
    """Leaf and record of the events between two times (seconds, both included), of all accounts or of one."""
    first, last = segments_between(connection, start, end)
    for number in range(first, last + 1):
        segment = find_segment(connection, number)
        records = records_of(connection, segment.sequences if segment else ())
        for place, sequence in enumerate(segment.sequences if segment else ()):
            record = records.get(sequence)
            if record is None:
                continue
            event = json.loads(record)
            if start <= event_seconds(event) <= end and account in (None, event_account(event)):
                yield number * SEGMENT_WIDTH + place, record


def csv_line(values: Mapping[str, object] | None) -> str:
    """A line of the table, without values its head. No cell is a formula."""
    out = io.StringIO()
    cells = COLUMNS if values is None else [_cell(values.get(column)) for column in COLUMNS]
    csv.writer(out, lineterminator="").writerow(cells)
    return out.getvalue()


def csv_values(leaf: int, record: str) -> dict[str, object]:
    """The cells of an event."""
    event: dict[str, Any] = json.loads(record)
    identity = event.get("userIdentity") or {}
    return {
        **{column: event.get(column) for column in COLUMNS},
        "leaf": leaf,
        "userType": identity.get("type"),
        "userArn": identity.get("arn"),
        "userName": user_name(identity),
        "accessKeyId": identity.get("accessKeyId"),
        "resources": " ".join(name for _, name in event_resources(event)),
    }


def _cell(value: object) -> str:
    """A text in one line, of printable characters."""
    if value is None:
        return ""
    text = "".join(character if character.isprintable() else " " for character in str(value))
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text
