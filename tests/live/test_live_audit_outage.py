"""The record's disk is full: nothing is issued and nothing changed, verification goes on, and then all goes on.

And a flood of failures: it leaves few records, whose counts add up.
"""

from __future__ import annotations

import resource
import time

import pytest
from realm import wire
from realm.server import BrokerServer, Keys, refused, serving


@pytest.fixture
def small(make_broker):
    made = make_broker(settings={"server.workers": 1, "audit.seal_seconds": 0.2, "audit.failures_per_second": 5})
    with serving(made):
        yield made


def _limit(broker: BrokerServer, size: int) -> None:
    """No file of the worker may be written beyond ``size`` bytes: as on a full disk, every write fails."""
    for pid in broker.workers():
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


def test_a_full_disk(small: BrokerServer) -> None:
    if small.store_url:
        pytest.skip("the disk is PostgreSQL's")
    root, iam = small.client(small.root), small.client(small.root, service="iam")
    session = small.client(Keys.of(root.get_session_token()))
    _limit(small, 1)
    for _ in range(3):
        with refused("ServiceUnavailable", status=503):
            root.get_session_token()
        with refused("ServiceUnavailable", status=503):
            iam.create_user(UserName="half")
    during = session.get_caller_identity()["ResponseMetadata"]["RequestId"]
    assert small.query("SELECT count(*) FROM entities WHERE name = 'half'") == [(0,)]
    _limit(small, resource.RLIM_INFINITY)
    deadline = time.monotonic() + 10
    while True:  # SQLite may need a moment to trust its files again
        try:
            issued = root.get_session_token()["Credentials"]["AccessKeyId"]
            iam.create_user(UserName="whole")
            break
        except root.exceptions.ClientError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert small.event(during)["eventName"] == "GetCallerIdentity"
    granted = [event["responseElements"]["credentials"]["accessKeyId"] for event in small.events(
        eventName="GetSessionToken") if not event.get("errorCode")]  # fmt: skip
    assert issued in granted
    assert len(granted) == 2, "of refused calls there are no credentials in the record"
    assert len([e for e in small.events(eventName="CreateUser") if not e.get("errorCode")]) == 1


def test_a_flood_leaves_few_records_and_the_right_count(small: BrokerServer) -> None:
    nobody = Keys("AKIAIOSFODNN7EXAMPLE", "x" * 40)
    count = 400
    for _ in range(count):
        assert wire.call(small, nobody).status == 403
    assert wire.call(small, small.root).status == 200, "others are served"
    time.sleep(1.3)
    small.stop()
    events = small.events(eventSource="sts.amazonaws.com", errorCode="InvalidClientTokenId")
    summaries = small.events(eventName="RepeatedFailures")
    told = sum(event["requestParameters"]["count"] for event in summaries)
    assert len(events) + told == count
    assert told > 0
    assert {event["sourceIPAddress"] for event in summaries} == {"127.0.0.1"}
    assert len(summaries) <= len({event["eventTime"] for event in summaries}) + 1
