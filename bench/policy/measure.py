"""Decisions per second of processor time, engine after engine in every round; and the cost of compiling."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

from bench.policy.engines import Engine
from bench.policy.workload import Workload, documents
from broker.policy.compile import compile_document
from broker.policy.document import PolicyKind, parse_policy

_LONGEST_BATCH = 5_000
_RUNS = 5


@dataclass(slots=True)
class Series:
    """One workload: for each engine its rate in every round."""

    workload: Workload
    rates: dict[str, list[float]] = field(default_factory=dict)


def measure(workload: Workload, engines: Sequence[Engine], *, rounds: int, seconds: float) -> Series:
    """All rounds. What lives on is taken from the garbage collector's view, as the server does after its start."""
    series = Series(workload, {engine.name: [] for engine in engines})
    walks = {engine.name: cycle(engine.requests) for engine in engines}
    gc.collect()
    gc.freeze()
    for _ in range(rounds):
        for engine in engines:
            series.rates[engine.name].append(_rate(engine.decide, walks[engine.name], seconds))
    gc.unfreeze()
    return series


def _rate(decide: Callable[[Any], Any], walk: Iterator[Any], seconds: float) -> float:
    """Batches of about a tenth of the time, so that reading the clock costs nothing."""
    count, spent, size = 0, 0.0, 1
    while spent < seconds:
        batch = list(islice(walk, size))
        started = time.process_time()
        for request in batch:
            decide(request)
        took = max(time.process_time() - started, 1e-6)
        spent += took
        count += size
        size = min(_LONGEST_BATCH, max(1, int(size * seconds / 10 / took)))
    return count / spent


@dataclass(frozen=True, slots=True)
class CompileCost:
    """Milliseconds of processor time a statement: reading the text, and compiling what was read."""

    name: str
    parse_ms: float
    compile_ms: float


def compile_cost(workload: Workload) -> CompileCost:
    """The least of a few runs over all policies of the workload."""
    texts = [text for layer in workload.layers for text in documents(layer)]
    parsed = [parse_policy(text, PolicyKind.IDENTITY) for text in texts]
    parse = min(_time(lambda: [parse_policy(text, PolicyKind.IDENTITY) for text in texts]) for _ in range(_RUNS))
    build = min(_time(lambda: [compile_document(document) for document in parsed]) for _ in range(_RUNS))
    return CompileCost(f"{workload.size} {workload.name}", parse * 1_000 / workload.size, build * 1_000 / workload.size)


def _time(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started
