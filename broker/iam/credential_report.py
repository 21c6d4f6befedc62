"""The credential report: every user of an account with the state of its credentials, as CSV.

IAM User Guide, "Generate credential reports for your AWS account": the columns and their words. A report is good for
four hours; until then asking for a new one gives the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from broker.authorization import authorize
from broker.errors import ReportExpired, ReportMissing
from broker.iam.changes import record_change
from broker.iam.credential_states import credential_states, render_csv
from broker.services import Caller, Services
from broker.store.reports import Report, find_report, put_report

_KIND = "credentials"
_GOOD_SECONDS = 4 * 3_600


@dataclass(frozen=True, slots=True)
class ReportState:
    """IAM ``GenerateCredentialReportResponse``."""

    state: str
    description: str


@dataclass(frozen=True, slots=True)
class CredentialReport:
    """IAM ``GetCredentialReportResponse``."""

    content: bytes
    report_format: str
    generated_time: datetime


def generate_credential_report(services: Services, caller: Caller) -> ReportState:
    """Have a report that is four hours old at most (AWS IAM GenerateCredentialReport). It is ready at once."""
    account = authorize(services, caller, "iam:GenerateCredentialReport", "*").principal.account
    moment = int(caller.now.timestamp())
    answer = ReportState("COMPLETE", "The report is ready.")
    with services.database.read() as connection:
        known = find_report(connection, _report_id(account))
        fresh = known is not None and moment - known.created_at < _GOOD_SECONDS
        content = "" if fresh else render_csv(credential_states(connection, account))
    with services.database.write() as connection:  # no decision depends on a report: caches stay
        if not fresh:
            put_report(connection, Report(_report_id(account), account, _KIND, account, {}, content, moment))
        record_change(connection, caller, answer)
    return answer


def get_credential_report(services: Services, caller: Caller) -> CredentialReport:
    """The last report (AWS IAM GetCredentialReport). Raises ReportMissing, ReportExpired."""
    account = authorize(services, caller, "iam:GetCredentialReport", "*").principal.account
    with services.database.read() as connection:
        found = find_report(connection, _report_id(account))
    if found is None:
        raise ReportMissing("No report exists. Starting a new report generation task is required.")
    if caller.now.timestamp() - found.created_at >= _GOOD_SECONDS:
        raise ReportExpired("The report has expired. Generate a new one.")
    return CredentialReport(found.content.encode(), "text/csv", datetime.fromtimestamp(found.created_at, UTC))


def _report_id(account: str) -> str:
    return f"{_KIND}:{account}"
