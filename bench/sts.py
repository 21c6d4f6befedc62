"""How fast is STS? The broker, its floor and moto's server, interleaved in one run: ``python -m bench.sts``.

Nothing outside loopback is used, and only processes that were started here are ended. See docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import report
from bench.floor import check_same_settings
from bench.load import CONNECTIONS, Measurement, require_wrk, run_wrk, write_requests
from bench.operations import BARS, FLOOR, Workload, check_exact_record, show_checks
from bench.report import Series, Trial
from bench.servers import Server, free_port
from bench.site import Site

_STARTS = 3
_WARM_SECONDS = 1
_SETTLE_SECONDS = 0.3
"""After a run of wrk: requests that it left behind are answered, and records of read-only calls are on disk."""
_EXACT_CALLS = 2_000


class Bench:
    """One run: a site, its workload and the options."""

    def __init__(self, options: argparse.Namespace, directory: Path) -> None:
        self._options = options
        self._directory = directory
        self._requests = directory / "requests"
        site = Site(directory / "data", options.store_url)
        self._workload = Workload(site, site.tokens(options.tokens))
        self._walked = dict.fromkeys(BARS, 0)

    def measure(self, threads: int) -> Series:
        """All rounds with one number of threads."""
        with ExitStack() as stack:
            ready = [self._time_a_start(threads) for _ in range(_STARTS - 1)]
            broker = stack.enter_context(self._broker(threads))
            series = Series(threads, [*ready, broker.ready_seconds])
            floor = stack.enter_context(self._floor(threads))
            moto = stack.enter_context(self._moto()) if self._options.moto else None
            if not self._workload.sessions:
                self._workload.mint_sessions(broker.port, self._options.sessions)
                _say(f"{self._options.sessions} sessions, each by an AssumeRoleWithWebIdentity call to the broker")
            _say("checks before the clock starts:", *(f"  {line}" for line in show_checks(self._workload, broker.port)))
            for operation in BARS:
                self._run(floor, broker, moto, operation, _WARM_SECONDS)
            for number in range(self._options.rounds):
                trials = [self._run(floor, broker, moto, name, self._options.seconds) for name in BARS]
                series.trials += trials
                shares = ", ".join(
                    f"{trial.operation} {trial.broker.rate / trial.floor.rate:.2f} H" for trial in trials
                )
                _say(f"round {number + 1}: {shares}")
            _say(check_exact_record(self._workload, broker.port, min(_EXACT_CALLS, self._options.sessions)))
            time.sleep(1)
            series.worker_megabytes = broker.worker_megabytes()
            return series

    def _run(self, floor: Server, broker: Server, moto: Server | None, operation: str, seconds: int) -> Trial:
        bottom = self._load(floor, FLOOR, floor.port, seconds)
        own = self._load(broker, operation, broker.port, seconds)
        peer = self._load(moto, operation, broker.port, seconds) if moto else None
        return Trial(operation, own, bottom, peer)

    def _load(self, server: Server, operation: str, port: int, seconds: int) -> Measurement:
        """One run of wrk, its requests signed just before. Raises SystemExit if the broker or the floor failed one."""
        write_requests(self._requests, self._workload.requests(operation, port))
        counted = server.name == "accredit"
        before = self._workload.site.last_event()
        result = run_wrk(server, self._requests, seconds=seconds, start=self._walked.get(operation, 0))
        if server.name == "moto":
            return result
        if result.refused or result.socket_errors or not result.requests:
            raise SystemExit(f"{operation}: {result}")
        if counted:
            self._walked[operation] += result.requests
            time.sleep(_SETTLE_SECONDS)
            events = self._workload.site.events_after(before)
            if not result.requests <= events <= result.requests + CONNECTIONS:  # wrk leaves its last requests behind
                raise SystemExit(f"{operation}: {result.requests} requests were answered, {events} events recorded")
        return result

    def _time_a_start(self, threads: int) -> float:
        with self._broker(threads) as server:
            return server.ready_seconds

    @contextmanager
    def _broker(self, threads: int) -> Iterator[Server]:
        port = free_port()
        command = self._workload.site.serve_command(port, self._options.workers, threads)
        with self._serving("accredit", command, port, "/readyz") as server:
            yield server

    @contextmanager
    def _floor(self, threads: int) -> Iterator[Server]:
        port = free_port()
        command = [sys.executable, "-m", "bench.floor", str(port), str(self._options.workers), str(threads)]
        with self._serving("floor", command, port, "/") as server:
            yield server

    @contextmanager
    def _moto(self) -> Iterator[Server]:
        port = free_port()
        command = [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)]
        with self._serving("moto", command, port, "/moto-api/") as server:
            yield server

    @contextmanager
    def _serving(self, name: str, command: Sequence[str], port: int, path: str) -> Iterator[Server]:
        server = Server(name, command, port, path=path, directory=self._directory)
        try:
            yield server
        finally:
            server.stop()


def main() -> None:
    options = _options()
    require_wrk()
    check_same_settings()
    with tempfile.TemporaryDirectory(prefix="accredit-bench-", dir=options.directory) as directory:
        _say(
            f"Python {platform.python_version()}; {options.workers} workers, {CONNECTIONS} connections,"
            f" {options.rounds} rounds of {options.seconds} s; {directory} is on {_file_system(Path(directory))}"
        )
        bench = Bench(options, Path(directory))
        _say(f"{options.tokens} RS256 identity tokens (2048 bits)")
        everything: list[Series] = []
        for threads in options.threads:
            _say("", f"== {threads} threads a worker")
            series = bench.measure(threads)
            everything.append(series)
            _say("", *report.table(series), report.noise(series), "", *report.verdicts(series))
    if options.json:
        data = {"options": vars(options), "series": [dataclasses.asdict(series) for series in everything]}
        options.json.write_text(json.dumps(data, indent=1, default=str) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.sts", description="Measure STS against its floor and moto.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of each run of wrk")
    parser.add_argument("--threads", type=_numbers, default=[1, 4, 8], help="threads a worker, one series each: 1,4,8")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--sessions", type=int, default=8_000, help="distinct sessions that sign")
    parser.add_argument("--tokens", type=int, default=20_000, help="distinct identity tokens")
    parser.add_argument("--no-moto", dest="moto", action="store_false")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement")
    parser.add_argument("--store-url", default="", help="an empty PostgreSQL database instead of an SQLite file")
    parser.add_argument("--directory", type=Path, help="where the temporary data directory is made; use a real disk")
    return parser.parse_args()


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _file_system(path: Path) -> str:
    """The file system under ``path``: on one that lives in memory, an audit record would cost nothing."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    under = [(point, kind) for point, kind in mounts if path.resolve().is_relative_to(point)]
    kind = max(under, key=lambda mount: len(mount[0]))[1]
    return f"{kind}: NOT A DISK, audit records cost nothing" if kind in ("tmpfs", "ramfs") else kind


def _say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)


if __name__ == "__main__":
    main()
