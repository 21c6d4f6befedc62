"""What only many logins show: a replica that dies, names that are told apart by time, a directory that hangs."""

from __future__ import annotations

import itertools
import math
import socket
import statistics
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from realm.directory import PASSWORD, OpenLdap, openldap_entry
from realm.server import ACCOUNT, BrokerServer, serving
from realm.site import role, role_arn, trust

ACTIONS = ["sts:AssumeRoleWithLDAPIdentity", "sts:TagSession", "sts:SetSourceIdentity"]
LOGINS = 1_000
GUESSES = 240
"""Of each kind. A difference of 5 ms would show in far fewer."""


@pytest.fixture(scope="module")
def hanging() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield listener.getsockname()[1]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenLdap]:
    made = OpenLdap(tmp_path_factory.mktemp("openldap"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def server(directory: OpenLdap, hanging: int, make_broker: Callable[..., BrokerServer]) -> Iterator[BrokerServer]:
    made = make_broker(settings={"server.workers": 1, "server.threads": 8})
    dead = f"ldaps://127.0.0.1:{hanging}"
    made.add(openldap_entry(directory, made.directory))
    made.add(openldap_entry(directory, made.directory, "hangs", servers=[dead], timeout_seconds=2))
    for name in ("corp", "hangs"):
        made.add(role(name, trust({"Federated": f"arn:aws:iam::{ACCOUNT}:ldap-provider/{name}"}, ACTIONS)))
    with serving(made):
        yield made


def log_in(server: BrokerServer, name: str, password: str = PASSWORD, of: str = "corp") -> int:
    form = {
        "Action": "AssumeRoleWithLDAPIdentity",
        "Version": "2011-06-15",
        "LDAPUsername": name,
        "LDAPPassword": password,
        "RoleArn": role_arn(of),
        "ProviderArn": f"arn:aws:iam::{ACCOUNT}:ldap-provider/{of}",
    }
    request = urllib.request.Request(server.url, urllib.parse.urlencode(form).encode())
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.mark.parametrize("node", [1, 2])
def test_a_replica_dies_during_a_thousand_logins(directory: OpenLdap, server: BrokerServer, node: int) -> None:
    numbers = itertools.count()
    killed = threading.Event()

    def work() -> list[int]:
        found = []
        while (number := next(numbers)) < LOGINS:
            if number == LOGINS // 3 and not killed.is_set():
                killed.set()
                directory.stop_node(node)
            found.append(log_in(server, f"user{number % 180:03d}"))
        return found

    with ThreadPoolExecutor(4) as pool:
        statuses = [status for future in [pool.submit(work) for _ in range(4)] for status in future.result()]
    directory.start_node(node)
    assert killed.is_set()
    assert len(statuses) == LOGINS
    assert set(statuses) == {200}


def test_nobody_is_told_apart_by_time(server: BrokerServer) -> None:
    """Unknown names and wrong passwords, in turn: the medians, and a rank-sum test (Mann and Whitney)."""
    took: dict[str, list[float]] = {"known": [], "unknown": []}
    for number in range(GUESSES):
        for kind, name in (("known", f"user{number % 180:03d}"), ("unknown", f"nobody{number}")):
            began = time.perf_counter()
            assert log_in(server, name, "wrong") == 403
            took[kind].append(time.perf_counter() - began)
    medians = [statistics.median(one) for one in took.values()]
    assert abs(medians[0] - medians[1]) < 0.005
    assert rank_sum(took["known"], took["unknown"]) > 0.001


def rank_sum(some: list[float], others: list[float]) -> float:
    """The probability that two samples of one distribution differ so much; normal approximation."""
    ranks = {value: rank for rank, value in enumerate(sorted(some + others), 1)}
    total = sum(ranks[value] for value in some)
    count, more = len(some), len(others)
    expected, deviation = count * (count + more + 1) / 2, math.sqrt(count * more * (count + more + 1) / 12)
    return math.erfc(abs(total - expected) / deviation / math.sqrt(2))


def test_a_directory_that_hangs_costs_nobody_else_anything(server: BrokerServer) -> None:
    over = threading.Event()
    statuses: list[int] = []

    def attempt() -> None:
        while not over.is_set():
            began = time.monotonic()
            statuses.append(log_in(server, "alice", of="hangs"))
            assert time.monotonic() - began < 6
            over.wait(0.1)

    with ThreadPoolExecutor(12) as pool:
        attempts = [pool.submit(attempt) for _ in range(12)]
        time.sleep(0.5)
        began = time.monotonic()
        for number in range(50):
            assert log_in(server, f"user{number:03d}") == 200
        assert time.monotonic() - began < 10
        over.set()
        for one in attempts:
            one.result()
    assert set(statuses) <= {400, 503}
    assert 400 in statuses
