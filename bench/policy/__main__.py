"""Decisions of the policy engine, beside cedarpy and pycasbin: ``python -m bench.policy``.

One process, one thread, no input or output while the clock runs. See docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Iterator

from bench.policy import answers, engines, nasty, report
from bench.policy.engines import Engine
from bench.policy.measure import CompileCost, Series, compile_cost, measure
from bench.policy.workload import SHAPED_SIZES, SIZES, Workload, plain, shaped


def main() -> None:
    options = _options()
    _say(
        f"Python {platform.python_version()}; {options.rounds} rounds of {options.seconds} s of processor time;"
        f" {options.requests} distinct requests; {_load()}"
    )
    everything: list[Series] = []
    compiling: list[CompileCost] = []
    for workload in _workloads(options.requests):
        broker = engines.broker(workload)
        peers = _peers(workload) if options.peers else []
        _say(f"{workload.size} {workload.name}: {answers.check(workload, broker, peers)}")
        everything.append(measure(workload, [broker, *peers], rounds=options.rounds, seconds=options.seconds))
        if workload.size >= min(SHAPED_SIZES):
            compiling.append(compile_cost(workload))
    _say("", report.heading(), *map(report.row, everything))
    _say("", *(f"{c.name}: parse {c.parse_ms:.3f} ms, compile {c.compile_ms:.3f} ms a statement" for c in compiling))
    costs = list(nasty.costs())
    _say("", *report.nasty_table(costs))
    _say("", *report.rate_verdicts(everything), report.compile_verdict(compiling), *report.nasty_verdicts(costs))
    _say("", _load())


def _workloads(requests: int) -> Iterator[Workload]:
    for size in SIZES:
        yield plain(size, requests)
    for size in SHAPED_SIZES:
        yield from shaped(size, requests)


def _peers(workload: Workload) -> list[Engine]:
    """What is installed and can say it: neither Cedar's ``like`` nor prepared expressions know policy variables."""
    found: list[Engine] = []
    for make in (engines.cedar, engines.casbin) if workload.plain else ():
        try:
            found.append(make(workload))
        except ImportError as error:
            _say(f"left out: {error}")
    return found


def _load() -> str:
    return "load average {:.2f} {:.2f} {:.2f} on {} processors".format(*os.getloadavg(), os.cpu_count())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.policy", description="Measure decisions of the policy engine."
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of processor time for each engine in a round")
    parser.add_argument("--requests", type=int, default=5_000, help="distinct requests")
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="without cedarpy and pycasbin")
    return parser.parse_args()


def _say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)


if __name__ == "__main__":
    main()
