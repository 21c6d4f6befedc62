"""A flood of failures: bounded records, and counts that add up."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from broker.audit.event import CallRecord, render
from broker.audit.floods import EVERYBODY, SUMMARY, Floods, network
from broker.audit.log import AuditLog
from broker.audit.query import tail
from broker.store.engine import Database

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def failure(address: str = "192.0.2.1", seconds: float = 0, **fields: str) -> CallRecord:
    call = CallRecord("request", NOW + timedelta(seconds=seconds), source_ip=address, event_name="GetCallerIdentity")
    call.error_code = "InvalidClientTokenId"
    for name, value in fields.items():
        setattr(call, name, value)
    return call


def drained(floods: Floods) -> list[dict]:
    return [json.loads(render(call)) for call in floods.summaries(2**40)]


def test_a_burst_is_recorded_and_what_is_above_is_counted() -> None:
    floods = Floods(10)
    admitted = sum(floods.admits(failure()) for _ in range(1_000))
    assert admitted == 100
    (summary,) = drained(floods)
    assert (summary["eventName"], summary["errorCode"], summary["sourceIPAddress"]) == (SUMMARY, SUMMARY, "192.0.2.1")
    assert summary["requestParameters"]["count"] == 900
    assert summary["requestParameters"]["errorCodes"] == {"InvalidClientTokenId": 900}
    assert summary["eventTime"] == "2026-01-02T03:04:05Z"
    assert drained(floods) == []


def test_there_is_one_summary_a_second_and_the_counts_add_up() -> None:
    floods = Floods(10)
    calls = [failure(seconds=number / 500) for number in range(5_000)]
    admitted = sum(map(floods.admits, calls))
    summaries = drained(floods)
    assert admitted + sum(one["requestParameters"]["count"] for one in summaries) == 5_000
    assert len(summaries) == len({one["eventTime"] for one in summaries}) == 10
    assert 100 <= admitted <= 100 + 10 * 10 + 1


def test_only_seconds_that_are_over_are_told() -> None:
    floods = Floods(1)
    for _ in range(20):
        floods.admits(failure())
    assert floods.summaries(int(NOW.timestamp())) == []
    assert len(floods.summaries(int(NOW.timestamp()) + 1)) == 1


def test_addresses_have_their_own_rates() -> None:
    floods = Floods(10)
    for _ in range(200):
        floods.admits(failure())
    assert floods.admits(failure("192.0.2.2"))
    assert not floods.admits(failure())


def test_a_network_of_ipv6_is_one_address() -> None:
    assert network("2001:db8::1") == network("2001:db8::ffff:1") == "2001:db8::/64"
    assert network("2001:db8:0:1::1") != network("2001:db8::1")
    assert network("192.0.2.1") == "192.0.2.1"
    assert network("no address") == "no address"


def test_many_addresses_together_are_bounded_and_counted() -> None:
    floods = Floods(10)
    count = 20_000
    admitted = sum(floods.admits(failure(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}")) for n in range(count))
    summaries = drained(floods)
    assert admitted == 2_000
    assert [one["sourceIPAddress"] for one in summaries] == [EVERYBODY]
    assert admitted + summaries[0]["requestParameters"]["count"] == count
    assert len(floods._buckets) <= 10_000


def test_names_without_end_do_not_make_a_summary_large() -> None:
    floods = Floods(0.1)
    for number in range(5_000):
        floods.admits(failure(event_name=f"Nonsense{number}" * 50))
    (summary,) = drained(floods)
    assert len(summary["requestParameters"]["eventNames"]) == 21
    assert len(json.dumps(summary)) < 8_000
    assert sum(summary["requestParameters"]["eventNames"].values()) == summary["requestParameters"]["count"] == 4_999


@pytest.mark.parametrize("stop", [True, False])
def test_the_log_writes_them_also_when_it_stops(database: Database, stop: bool) -> None:
    log = AuditLog(database, read_flush_seconds=0.02, failures_per_second=1)
    try:
        for _ in range(500):
            log.record_failure(failure())
        if not stop:
            log._take_summaries(2**40)
            log.flush()
    finally:
        log.close()
    with database.read() as connection:
        events = tail(connection, 1_000)
    assert 11 <= len(events) < 20
    assert (
        sum(e.get("requestParameters", {}).get("count", 1) if e["eventName"] == SUMMARY else 1 for e in events) == 500
    )
