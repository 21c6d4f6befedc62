"""Reports that were made: credential reports, and jobs about services last accessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from broker.store.tables import reports


@dataclass(frozen=True, slots=True)
class Report:
    """``subject`` is what it is about; ``content`` is its text; ``created_at`` is in seconds since the epoch."""

    id: str
    account: str
    kind: str
    subject: str
    settings: Mapping[str, Any]
    content: str
    created_at: int


def find_report(connection: Connection, report_id: str) -> Report | None:
    row = connection.execute(select(reports).where(reports.c.id == report_id)).first()
    return None if row is None else Report(*row)


def list_reports(connection: Connection, account: str, kind: str) -> list[Report]:
    """The account's reports of a kind, the newest first."""
    chosen = (reports.c.account == account) & (reports.c.kind == kind)
    rows = connection.execute(select(reports).where(chosen).order_by(reports.c.created_at.desc(), reports.c.id))
    return [Report(*row) for row in rows]


def put_report(connection: Connection, report: Report) -> None:
    """Keep the report, instead of the one of the same id."""
    connection.execute(delete(reports).where(reports.c.id == report.id))
    connection.execute(
        insert(reports).values(
            id=report.id,
            account=report.account,
            kind=report.kind,
            subject=report.subject,
            settings=dict(report.settings),
            content=report.content,
            created_at=report.created_at,
        )
    )


def delete_reports(connection: Connection, kind: str, *, before: int) -> None:
    connection.execute(delete(reports).where((reports.c.kind == kind) & (reports.c.created_at < before)))
