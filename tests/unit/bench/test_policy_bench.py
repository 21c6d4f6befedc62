"""The decision benchmark measures what it says: same workload, right answers, policies within the quotas."""

from __future__ import annotations

import dataclasses
import json

import pytest

from bench.policy import answers, engines, nasty, report
from bench.policy.measure import Series, measure
from bench.policy.workload import Workload, documents, plain, shaped
from broker.policy.document import PolicyKind, parse_policy, policy_size
from broker.policy.reader import MAX_CHARACTERS

WORKLOADS = [plain(30, 200), *shaped(30, 200)]
BY_NAME = pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
PEERS = {"cedarpy": engines.cedar, "casbin": engines.casbin}


def test_the_workload_is_the_same_in_every_run() -> None:
    assert plain(30, 50) == plain(30, 50)
    assert plain(30, 50).identity != plain(31, 50).identity[:30]


@BY_NAME
def test_all_requests_differ(workload: Workload) -> None:
    asked = {(one.action, one.resource, tuple(one.context.items())) for one in workload.requests}
    assert len(asked) == 200


@BY_NAME
def test_the_answers_are_the_naive_evaluators_and_of_every_sort(workload: Workload) -> None:
    found = answers.check(workload, engines.broker(workload), [])
    assert found.startswith("200 answers equal")
    assert " 0 allow" not in found
    assert " 0 implicit" not in found


def test_a_wrong_answer_stops_the_run() -> None:
    workload = plain(30, 200)
    other = engines.broker(plain(29, 200))
    with pytest.raises(SystemExit, match="naive says"):
        answers.check(workload, dataclasses.replace(other, requests=workload.requests), [])
    liar = dataclasses.replace(engines.broker(workload), name="liar", allows=lambda _answer: True)
    with pytest.raises(SystemExit, match="liar differs"):
        answers.check(workload, engines.broker(workload), [liar])


@pytest.mark.parametrize("library", PEERS)
@pytest.mark.parametrize("workload", [one for one in WORKLOADS if one.plain], ids=lambda workload: workload.name)
def test_a_peer_gives_the_same_answers(workload: Workload, library: str) -> None:
    pytest.importorskip(library, reason=f"{library} is in the extra 'bench'")
    answers.check(workload, engines.broker(workload), [PEERS[library](workload)])


def test_documents_are_as_long_as_the_reader_takes() -> None:
    texts = documents(plain(1_000, 10).identity)
    assert [len(text) <= MAX_CHARACTERS for text in texts] == [True] * len(texts)
    assert sum(len(parse_policy(text, PolicyKind.IDENTITY).statements) for text in texts) == 1_000
    assert len(texts) == -(-sum(map(len, texts)) // MAX_CHARACTERS)


@pytest.mark.parametrize("which", nasty.NASTY, ids=lambda which: which.name)
def test_nasty_policies_are_within_the_quota(which: nasty.Nasty) -> None:
    text = which.fitting(nasty.INLINE)
    assert policy_size(text) <= nasty.INLINE
    assert all(one["Effect"] == "Deny" for one in json.loads(text)["Statement"])


def test_every_engine_is_measured_in_every_round() -> None:
    workload = plain(10, 20)
    series = measure(workload, [engines.broker(workload)], rounds=2, seconds=0.01)
    assert [len(rates) for rates in series.rates.values()] == [2]
    assert min(series.rates["broker"]) > 0


@pytest.mark.parametrize(
    ("own", "cedar", "words"),
    [
        ([100_000.0], [3_000.0], ["reached", "reached"]),
        ([99_999.0], [3_000.0], ["MISSED", "reached"]),
        ([100_000.0], [3_400.0], ["reached", "MISSED"]),
        ([90_000.0, 200_000.0, 200_000.0], [1_000.0] * 3, ["reached", "reached"]),
    ],
)
def test_a_bar_is_reached_or_missed_by_the_median(own: list[float], cedar: list[float], words: list[str]) -> None:
    series = Series(plain(100, 1), {"broker": own, "cedarpy": cedar})
    assert [line.split()[0] for line in report.rate_verdicts([series])] == words


def test_a_peer_that_is_missing_has_no_figure_and_no_verdict() -> None:
    series = Series(plain(100, 1), {"broker": [1.0]})
    assert report.row(series).split()[-2:] == ["-", "-"]
    assert len(list(report.rate_verdicts([series]))) == 1
