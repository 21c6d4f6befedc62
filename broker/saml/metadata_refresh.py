"""Metadata of SAML providers, fetched anew from where they publish it. What cannot be used leaves the last good copy.

1. fetch; 2. it can be used, and is of the same entity; 3. what it changes; 4. stored with its audit event, or only
noted that it was looked at. Who the provider is never changes by a fetch.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime

from broker.audit.event import CallRecord, render
from broker.errors import ValidationFailed
from broker.identifiers import new_uuid
from broker.saml.metadata_changes import Ending, changes, endings, new_endings
from broker.saml_providers import fetch_metadata, metadata_end, read_saml_metadata
from broker.settings import Settings
from broker.store.audit_events import append_records
from broker.store.engine import Database
from broker.store.identity_providers import ProviderRecord, find_provider_by_arn, list_providers, set_provider_settings
from broker.store.saml_metadata_checks import MetadataCheck, list_checks, put_check
from providers.errors import ProviderError
from providers.saml.metadata import IdpMetadata, parse_metadata

_RETRY_SECONDS = 300
"""After a fetch that failed."""
_LOOK_SECONDS = 21_600
"""How often metadata that is not fetched is looked at, for its ends."""
_LONGEST_PROBLEM = 1_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What became of a provider. ``lines`` say what changed; ``problem`` why nothing could."""

    record: ProviderRecord
    fetched: bool
    lines: tuple[str, ...] = ()
    problem: str = ""
    warnings: tuple[str, ...] = ()


def due_providers(database: Database, settings: Settings, now: datetime) -> list[ProviderRecord]:
    """The SAML providers whose metadata is to be looked at."""
    with database.read() as connection:
        checks = list_checks(connection)
        return [
            record
            for record in list_providers(connection, "saml")
            if _is_due(record, checks.get(record.arn, MetadataCheck(record.arn)), settings, int(now.timestamp()))
        ]


def refresh(
    database: Database, settings: Settings, record: ProviderRecord, now: datetime, *, dry_run: bool = False
) -> Refreshed:
    """Look at one provider's metadata, fetch it if it is published somewhere, and warn of what ends."""
    with database.read() as connection:
        check = list_checks(connection).get(record.arn, MetadataCheck(record.arn))
    current = _current(record)
    url, text, lines, problem = record.settings["metadata_url"], "", [], ""
    if url:
        try:
            text = fetch_metadata(settings, url, record.settings["metadata_ca"])  # 1
            after = _usable(record, text, now)  # 2
            lines = [] if current is None else changes(current, after)  # 3
            current = after
        except ValidationFailed as error:
            problem = f"{error.message} {error.detail}".strip()[:_LONGEST_PROBLEM]
    ending = [] if current is None else endings(current, now, document=not url or bool(problem))
    warnings = new_endings(ending, check.warned)
    done = Refreshed(record, bool(url), tuple(lines), problem, tuple(one.sentence() for one in warnings))
    if not dry_run:
        _store(database, done, text if url and not problem else "", check, ending, now)  # 4
    return done


def set_metadata(
    database: Database, record: ProviderRecord, text: str, url: str, ca: str | None, now: datetime
) -> list[str]:
    """Give a provider this document, and the address from which it is fetched from now on; what that changes.

    Raises ValidationFailed.
    """
    after, before = _usable(record, text, now), _current(record)
    lines = [] if before is None else changes(before, after)
    call = _call("SetSAMLMetadata", record, now)
    call.parameters = {"sAMLProviderArn": record.arn, "metadataURL": url}
    call.response = {"changes": lines}
    with database.change() as connection:
        given = {"metadata": text, "valid_until": metadata_end(after), "metadata_url": url, "metadata_ca": ca}
        current = find_provider_by_arn(connection, record.arn) or record
        set_provider_settings(connection, replace(current, settings={**current.settings, **given}))
        put_check(connection, MetadataCheck(record.arn, int(now.timestamp()), int(now.timestamp())))
        append_records(connection, [render(call)])
    return lines


def _is_due(record: ProviderRecord, check: MetadataCheck, settings: Settings, now: int) -> bool:
    if not record.settings["metadata_url"]:
        return check.checked_at + _LOOK_SECONDS <= now
    interval = settings.saml.metadata_refresh_minutes * 60
    return check.checked_at + (min(interval, _RETRY_SECONDS) if check.problem else interval) <= now


def _current(record: ProviderRecord) -> IdpMetadata | None:
    """None if what is stored cannot be read any more, as after stricter rules came."""
    try:
        return parse_metadata(record.settings["metadata"])
    except ProviderError:
        return None


def _usable(record: ProviderRecord, text: str, now: datetime) -> IdpMetadata:
    after = read_saml_metadata(text, now)
    if after.entity_id != record.issuer:
        raise ValidationFailed(
            f"the metadata is of another entity, {after.entity_id[:256]}; the provider is {record.issuer[:256]}"
        )
    return after


def _store(
    database: Database, done: Refreshed, text: str, check: MetadataCheck, ending: list[Ending], now: datetime
) -> None:
    record, moment = done.record, int(now.timestamp())
    changed = bool(text) and text != record.settings["metadata"]
    news = _news(done, check, now)
    kept = MetadataCheck(
        record.arn,
        moment,
        moment if changed else check.changed_at,
        done.problem,
        {one.key: one.threshold for one in ending},
    )
    with database.change() if changed else database.write() as connection:
        current = find_provider_by_arn(connection, record.arn)
        if current is None or current.settings["metadata_url"] != record.settings["metadata_url"]:
            return  # deleted, or told to look elsewhere, meanwhile
        if changed:
            end = metadata_end(parse_metadata(text))
            settings = {**current.settings, "metadata": text, "valid_until": end}
            set_provider_settings(connection, replace(current, settings=settings))
        put_check(connection, kept)
        append_records(connection, [render(call) for call in news])
    for call in news:
        level = logging.INFO if call.event_name == "RefreshSAMLMetadata" and not call.reason else logging.WARNING
        _log.log(level, call.event_name, extra={"provider": record.arn, "detail": call.reason or list(done.lines)})


def _news(done: Refreshed, check: MetadataCheck, now: datetime) -> list[CallRecord]:
    """The events: of a change, of a problem that is new, of each end of which was not warned yet."""
    news = []
    if done.lines or (done.problem and done.problem != check.problem):
        call = _call("RefreshSAMLMetadata", done.record, now)
        call.parameters = {"sAMLProviderArn": done.record.arn, "metadataURL": done.record.settings["metadata_url"]}
        call.response = {"changes": list(done.lines)} if done.lines else None
        if done.problem:
            call.error_code, call.error_message = "MetadataNotUsable", "The last good copy stays in use."
            call.reason = done.problem
        news.append(call)
    for sentence in done.warnings:
        call = _call("WarnOfSAMLExpiry", done.record, now)
        call.parameters = {"sAMLProviderArn": done.record.arn}
        call.reason = sentence
        news.append(call)
    return news


def _call(name: str, record: ProviderRecord, now: datetime) -> CallRecord:
    call = CallRecord(new_uuid(), now, event_source="accredit", event_name=name, read_only=False)
    call.recipient, call.resources = record.account, [record.arn]
    return call
