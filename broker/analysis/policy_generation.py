"""Policies made of what a user or role did: jobs whose answers are ready at once.

Access Analyzer API Reference, "StartPolicyGeneration", "GetGeneratedPolicy", "ListPolicyGenerations" and
"CancelPolicyGeneration". The one trail is the audit record, so that ``accessRole`` has nothing to do.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from broker.analysis.minimal_policy import minimal_policy
from broker.audit.observed import observed
from broker.authorization import authorize
from broker.domain.arn import Arn
from broker.errors import ValidationFailed
from broker.iam.changes import record_change
from broker.identifiers import new_uuid
from broker.services import Caller, Services
from broker.store.entities import find_entity
from broker.store.reports import Report, delete_reports, find_report, list_reports, put_report

_KIND = "policy-generation"
_KEPT_SECONDS = 7 * 86_400
_LONGEST_DAYS = 90
_PAGE = 100
_MAX_USES = 1_000_000


class PolicyGenerationDetails(msgspec.Struct, frozen=True):
    """Access Analyzer ``PolicyGenerationDetails``."""

    principal_arn: str


class CloudTrailDetails(msgspec.Struct, frozen=True):
    """Access Analyzer ``CloudTrailDetails``."""

    trails: tuple[Any, ...]
    access_role: str
    start_time: datetime
    end_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class StartedGeneration:
    """Access Analyzer ``StartPolicyGenerationResponse``."""

    job_id: str


@dataclass(frozen=True, slots=True)
class JobDetails:
    """Access Analyzer ``JobDetails``."""

    job_id: str
    status: str
    started_on: datetime
    completed_on: datetime


@dataclass(frozen=True, slots=True)
class TrailProperties:
    """Access Analyzer ``TrailProperties``."""

    cloud_trail_arn: str
    all_regions: bool = True


@dataclass(frozen=True, slots=True)
class CloudTrailProperties:
    """Access Analyzer ``CloudTrailProperties``."""

    trail_properties: tuple[TrailProperties, ...]
    start_time: datetime
    end_time: datetime


@dataclass(frozen=True, slots=True)
class GeneratedPolicyProperties:
    """Access Analyzer ``GeneratedPolicyProperties``."""

    is_complete: bool
    principal_arn: str
    cloud_trail_properties: CloudTrailProperties


@dataclass(frozen=True, slots=True)
class GeneratedPolicy:
    """Access Analyzer ``GeneratedPolicy``."""

    policy: str


@dataclass(frozen=True, slots=True)
class GeneratedPolicyResult:
    """Access Analyzer ``GeneratedPolicyResult``."""

    properties: GeneratedPolicyProperties
    generated_policies: tuple[GeneratedPolicy, ...]


@dataclass(frozen=True, slots=True)
class Generated:
    """Access Analyzer ``GetGeneratedPolicyResponse``."""

    job_details: JobDetails
    generated_policy_result: GeneratedPolicyResult


@dataclass(frozen=True, slots=True)
class PolicyGeneration:
    """Access Analyzer ``PolicyGeneration``."""

    job_id: str
    principal_arn: str
    status: str
    started_on: datetime
    completed_on: datetime


@dataclass(frozen=True, slots=True)
class PolicyGenerations:
    """Access Analyzer ``ListPolicyGenerationsResponse``."""

    policy_generations: tuple[PolicyGeneration, ...]
    next_token: str | None = None


def start_policy_generation(
    services: Services,
    caller: Caller,
    *,
    policy_generation_details: PolicyGenerationDetails,
    cloud_trail_details: CloudTrailDetails | None = None,
    client_token: str | None = None,
) -> StartedGeneration:
    """Make a policy of what a user or role of the caller's account did (Access Analyzer StartPolicyGeneration).

    Without ``cloud_trail_details`` it is that of the last 90 days. The same ``client_token`` gives the same job. Raises
    AccessDenied, ValidationFailed.
    """
    account = authorize(services, caller, "access-analyzer:StartPolicyGeneration", "*").principal.account
    arn = policy_generation_details.principal_arn
    start, end = _range(cloud_trail_details, caller.now)
    job_id = _job_id(account, client_token)
    with services.database.read() as connection:
        entity = find_entity(connection, arn)
        if entity is None or Arn.parse(arn).account != account or entity.kind == "group":
            raise ValidationFailed(f"There is no user or role {arn[:256]} in the account.")
        uses = [
            use
            for use, _ in zip(
                observed(connection, account, entity.id, int(start.timestamp()), int(end.timestamp())),
                range(_MAX_USES),
                strict=False,
            )
        ]
    moment = int(caller.now.timestamp())
    settings = {"start": int(start.timestamp()), "end": int(end.timestamp()), "region": caller.record.region}
    with services.database.write() as connection:  # no decision depends on a report: caches stay
        delete_reports(connection, _KIND, before=moment - _KEPT_SECONDS)
        if find_report(connection, job_id) is None:
            put_report(connection, Report(job_id, account, _KIND, arn, settings, minimal_policy(uses), moment))
        record_change(connection, caller, StartedGeneration(job_id))
    return StartedGeneration(job_id)


def get_generated_policy(
    services: Services,
    caller: Caller,
    *,
    job_id: str,
    include_resource_placeholders: bool = False,
    include_service_level_template: bool = False,
) -> Generated:
    """The policy of a job (Access Analyzer GetGeneratedPolicy). Raises AccessDenied, ValidationFailed.

    Resources are those that were observed, so that there are no placeholders, and actions are always known.
    """
    account = authorize(services, caller, "access-analyzer:GetGeneratedPolicy", "*").principal.account
    report = _report(services, account, job_id)
    trail = TrailProperties(f"arn:aws:cloudtrail:{report.settings['region']}:{account}:trail/accredit")
    begin, end = _time(report.settings["start"]), _time(report.settings["end"])
    properties = GeneratedPolicyProperties(True, report.subject, CloudTrailProperties((trail,), begin, end))
    made = _time(report.created_at)
    statements = json.loads(report.content)["Statement"]
    policies = (GeneratedPolicy(report.content),) if statements else ()
    return Generated(JobDetails(job_id, "SUCCEEDED", made, made), GeneratedPolicyResult(properties, policies))


def list_policy_generations(
    services: Services,
    caller: Caller,
    *,
    principal_arn: str | None = None,
    max_results: int | None = None,
    next_token: str | None = None,
) -> PolicyGenerations:
    """The account's jobs of the last seven days, the newest first (Access Analyzer ListPolicyGenerations).

    Raises AccessDenied, ValidationFailed.
    """
    account = authorize(services, caller, "access-analyzer:ListPolicyGenerations", "*").principal.account
    with services.database.read() as connection:
        reports = list_reports(connection, account, _KIND)
    chosen = [report for report in reports if principal_arn in (None, report.subject)]
    start = _start(next_token, len(chosen))
    end = min(start + (max_results or _PAGE), len(chosen))
    shown = [
        PolicyGeneration(report.id, report.subject, "SUCCEEDED", _time(report.created_at), _time(report.created_at))
        for report in chosen[start:end]
    ]
    return PolicyGenerations(tuple(shown), str(end) if end < len(chosen) else None)


def cancel_policy_generation(services: Services, caller: Caller, *, job_id: str) -> None:
    """Nothing, for a job is over at once (Access Analyzer CancelPolicyGeneration).

    Raises AccessDenied, ValidationFailed if there is no such job.
    """
    account = authorize(services, caller, "access-analyzer:CancelPolicyGeneration", "*").principal.account
    _report(services, account, job_id)


def _range(details: CloudTrailDetails | None, now: datetime) -> tuple[datetime, datetime]:
    end = (details.end_time if details is not None else None) or now
    start = details.start_time if details is not None else end - timedelta(days=_LONGEST_DAYS)
    if start > end:
        raise ValidationFailed("The start time is after the end time.")
    if end - start > timedelta(days=_LONGEST_DAYS):
        raise ValidationFailed(f"A policy is made of at most {_LONGEST_DAYS} days.")
    return start, end


def _job_id(account: str, token: str | None) -> str:
    if token is None:
        return new_uuid()
    if not re.fullmatch(r"[\x21-\x7e]{1,36}", token):
        raise ValidationFailed("clientToken has between 1 and 36 printable ASCII characters.")
    return f"{account}-{token}"


def _report(services: Services, account: str, job_id: str) -> Report:
    with services.database.read() as connection:
        found = find_report(connection, job_id[:64])
    if found is None or found.account != account or found.kind != _KIND:
        raise ValidationFailed("There is no such job.")
    return found


def _start(token: str | None, count: int) -> int:
    if token is None:
        return 0
    if not re.fullmatch(r"[0-9]{1,9}", token) or int(token) >= count:
        raise ValidationFailed("nextToken is not one of this request.")
    return int(token)


def _time(moment: int) -> datetime:
    return datetime.fromtimestamp(moment, UTC)
