"""When the services that policies allow were last used: jobs whose answers are ready at once.

IAM User Guide, "Refine permissions using last accessed information". Attempts count whether they were allowed or not,
for 400 days; a job is kept for seven.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from broker.authorization import authorize
from broker.domain.arn import Arn
from broker.errors import NotFound
from broker.iam.changes import record_change
from broker.iam.granted_services import SERVICE_NAMES, Granted
from broker.iam.named import account_of_caller, entity_context
from broker.iam.pages import page_within
from broker.identifiers import new_uuid
from broker.services import Caller, Services
from broker.store.grants import Grants, find_grants
from broker.store.reports import Report, delete_reports, find_report, put_report
from broker.store.usages import Usage, list_usages

_KIND = "last-accessed"
_TRACKED_SECONDS = 400 * 86_400
_KEPT_SECONDS = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Job:
    """IAM ``GenerateServiceLastAccessedDetailsResponse``."""

    job_id: str


@dataclass(frozen=True, slots=True)
class TrackedAction:
    """IAM ``TrackedActionLastAccessed``."""

    action_name: str
    last_accessed_entity: str | None
    last_accessed_time: datetime | None
    last_accessed_region: str | None


@dataclass(frozen=True, slots=True)
class ServiceLastAccessed:
    """IAM ``ServiceLastAccessed``."""

    service_name: str
    service_namespace: str
    last_authenticated: datetime | None
    last_authenticated_entity: str | None
    last_authenticated_region: str | None
    total_authenticated_entities: int
    tracked_actions_last_accessed: Sequence[TrackedAction] | None


@dataclass(frozen=True, slots=True)
class ServicesLastAccessed:
    """IAM ``GetServiceLastAccessedDetailsResponse``."""

    job_status: str
    job_type: str
    job_creation_date: datetime
    services_last_accessed: Sequence[ServiceLastAccessed]
    job_completion_date: datetime
    is_truncated: bool
    marker: str | None


@dataclass(frozen=True, slots=True)
class EntityInfo:
    """IAM ``EntityInfo``."""

    arn: str
    name: str
    type: str
    id: str
    path: str


@dataclass(frozen=True, slots=True)
class EntityDetails:
    """IAM ``EntityDetails``."""

    entity_info: EntityInfo
    last_authenticated: datetime | None


@dataclass(frozen=True, slots=True)
class EntitiesLastAccessed:
    """IAM ``GetServiceLastAccessedDetailsWithEntitiesResponse``."""

    job_status: str
    job_creation_date: datetime
    job_completion_date: datetime
    entity_details_list: Sequence[EntityDetails]
    is_truncated: bool
    marker: str | None


def generate_service_last_accessed_details(
    services: Services, caller: Caller, *, arn: str, granularity: str = "SERVICE_LEVEL"
) -> Job:
    """Look up what a user, group, role or policy allows and when it was used (AWS IAM
    GenerateServiceLastAccessedDetails). Raises NotFound.
    """
    account = account_of_caller(caller)
    Arn.parse(arn)
    moment = int(caller.now.timestamp())
    with services.database.read() as connection:
        grants = find_grants(connection, account, arn)
        holders = () if grants is None else grants.holders
        usages = list_usages(connection, (one.id for one in holders), since=moment - _TRACKED_SECONDS)
    context = entity_context(grants.entity) if grants is not None and grants.entity is not None else {}
    authorize(services, caller, "iam:GenerateServiceLastAccessedDetails", arn, context)
    if grants is None:
        raise NotFound(f"The entity with ARN {arn[:256]} cannot be found.")
    content = json.dumps(_findings(grants, usages))
    job = Job(new_uuid())
    with services.database.write() as connection:  # no decision depends on a report: caches stay
        delete_reports(connection, _KIND, before=moment - _KEPT_SECONDS)
        put_report(connection, Report(job.job_id, account, _KIND, arn, {"granularity": granularity}, content, moment))
        record_change(connection, caller, job)
    return job


def get_service_last_accessed_details(
    services: Services, caller: Caller, *, job_id: str, marker: str | None = None, max_items: int | None = None
) -> ServicesLastAccessed:
    """A job's services, by namespace (AWS IAM GetServiceLastAccessedDetails). Raises NotFound."""
    job = _job(services, caller, "iam:GetServiceLastAccessedDetails", job_id)
    granularity = str(job.settings["granularity"])
    page = page_within(json.loads(job.content), lambda found: str(found["namespace"]), marker, max_items)
    shown = [_service(found, with_actions=granularity == "ACTION_LEVEL") for found in page.items]
    made = _time(job.created_at)
    return ServicesLastAccessed("COMPLETED", granularity, made, shown, made, page.is_truncated, page.marker)


def get_service_last_accessed_details_with_entities(
    services: Services,
    caller: Caller,
    *,
    job_id: str,
    service_namespace: str,
    marker: str | None = None,
    max_items: int | None = None,
) -> EntitiesLastAccessed:
    """The users and roles that used a service of a job, by ARN (AWS IAM
    GetServiceLastAccessedDetailsWithEntities). Raises NotFound.
    """
    job = _job(services, caller, "iam:GetServiceLastAccessedDetailsWithEntities", job_id)
    found = next((one for one in json.loads(job.content) if one["namespace"] == service_namespace), None)
    if found is None:
        raise NotFound(f"The service {service_namespace} is not in the report of job {job_id}.")
    page = page_within(found["entities"], lambda entity: str(entity["arn"]), marker, max_items)
    shown = [
        EntityDetails(
            EntityInfo(one["arn"], one["name"], one["kind"].upper(), one["id"], one["path"]), _time(one["used_at"])
        )
        for one in page.items
    ]
    made = _time(job.created_at)
    return EntitiesLastAccessed("COMPLETED", made, made, shown, page.is_truncated, page.marker)


def _findings(grants: Grants, usages: Sequence[Usage]) -> list[dict[str, Any]]:
    """The services that are allowed, as a job keeps them."""
    granted = Granted(grants.documents)
    arns = {one.id: one.arn for one in grants.holders}
    found = []
    for namespace in granted.services():
        uses = [one for one in usages if one.service == namespace]
        last_of: dict[str, int] = {}
        for use in uses:
            last_of[use.subject] = max(use.used_at, last_of.get(use.subject, 0))
        actions = {action: _latest([]) for action in granted.actions(namespace)}
        actions |= {use.action: _latest([one for one in uses if one.action == use.action], arns) for use in uses}
        found.append(
            {
                "namespace": namespace,
                **_latest(uses, arns),
                "actions": [{"name": name, **actions[name]} for name in sorted(actions)],
                "entities": [
                    {
                        "arn": one.arn,
                        "name": one.name,
                        "kind": one.kind,
                        "id": one.id,
                        "path": one.path,
                        "used_at": last_of[one.id],
                    }
                    for one in sorted(grants.holders, key=lambda holder: holder.arn)
                    if one.id in last_of
                ],
            }
        )
    return found


def _latest(uses: Sequence[Usage], arns: Mapping[str, str] = {}) -> dict[str, Any]:
    """The last use: when, where and whose; empty if there was none."""
    last = max(uses, key=lambda use: use.used_at, default=None)
    return {} if last is None else {"used_at": last.used_at, "region": last.region, "entity": arns[last.subject]}


def _service(found: Mapping[str, Any], *, with_actions: bool) -> ServiceLastAccessed:
    namespace = found["namespace"]
    actions = [
        TrackedAction(one["name"], one.get("entity"), _time_of(one), one.get("region")) for one in found["actions"]
    ]
    return ServiceLastAccessed(
        SERVICE_NAMES.get(namespace, namespace),
        namespace,
        _time_of(found),
        found.get("entity"),
        found.get("region"),
        len(found["entities"]),
        actions if with_actions else None,
    )


def _job(services: Services, caller: Caller, action: str, job_id: str) -> Report:
    """The account's own job. Raises NotFound."""
    account = authorize(services, caller, action, "*").principal.account
    with services.database.read() as connection:
        found = find_report(connection, job_id)
    if found is None or found.account != account or found.kind != _KIND:
        raise NotFound(f"The job {job_id} cannot be found.")
    return found


def _time(moment: int) -> datetime:
    return datetime.fromtimestamp(moment, UTC)


def _time_of(found: Mapping[str, Any]) -> datetime | None:
    return _time(found["used_at"]) if "used_at" in found else None
