"""From measurements to a table, and to a verdict for every bar."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bench.load import Measurement
from bench.operations import BARS, FLOOR

MAX_WORKER_MEGABYTES = 120.0
MAX_READY_SECONDS = 2.0
_COLUMNS = "{:<38} {:>9} {:>8} {:>8} {:>7} {:>17} {:>8} {:>19}"


@dataclass(frozen=True, slots=True)
class Trial:
    """One operation in one round: what the broker did, and the floor just before it, and moto (if it ran)."""

    operation: str
    broker: Measurement
    floor: Measurement
    moto: Measurement | None


@dataclass(slots=True)
class Series:
    """All rounds with one number of threads."""

    threads: int
    ready_seconds: list[float]
    trials: list[Trial] = field(default_factory=list)
    worker_megabytes: list[float] = field(default_factory=list)

    def of(self, operation: str) -> list[Trial]:
        return [trial for trial in self.trials if trial.operation == operation]


@dataclass(frozen=True, slots=True)
class Ratio:
    """Median over the rounds, with the least and the most."""

    median: float
    least: float
    most: float

    @classmethod
    def over(cls, values: Sequence[float]) -> Ratio:
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f}-{self.most:.2f})"


def floor_ratio(trials: Sequence[Trial]) -> Ratio:
    return Ratio.over([trial.broker.rate / trial.floor.rate for trial in trials])


def floor_cpu_ratio(trials: Sequence[Trial]) -> Ratio:
    """The same in processor time: steadier where neighbours use the machine, blind to waiting."""
    return Ratio.over([trial.floor.cpu_us / trial.broker.cpu_us for trial in trials])


def moto_ratio(trials: Sequence[Trial]) -> Ratio | None:
    ratios = [trial.broker.rate / trial.moto.rate for trial in trials if trial.moto]
    return Ratio.over(ratios) if ratios else None


def table(series: Series) -> Iterator[str]:
    """Medians over the rounds."""
    yield _COLUMNS.format("", "requests/s", "p50 ms", "p99 ms", "CPU us", "x H", "(by CPU)", "x moto").rstrip()
    yield _row(FLOOR, [trial.floor for trial in series.trials])
    for operation in BARS:
        trials = series.of(operation)
        motos = [trial.moto for trial in trials if trial.moto]
        ratios = (str(floor_ratio(trials)), f"{floor_cpu_ratio(trials).median:.2f}", str(moto_ratio(trials) or ""))
        yield _row(operation, [trial.broker for trial in trials], ratios)
        if motos:
            yield _row(f"  moto's {operation}", motos)


def _row(name: str, runs: Sequence[Measurement], ratios: tuple[str, str, str] = ("", "", "")) -> str:
    def middle(values: Sequence[float], digits: int) -> str:
        return f"{statistics.median(values):.{digits}f}"

    return _COLUMNS.format(
        name,
        middle([run.rate for run in runs], 0),
        middle([run.p50_ms for run in runs], 1),
        middle([run.p99_ms for run in runs], 1),
        middle([run.cpu_us for run in runs], 0),
        *ratios,
    ).rstrip()


def verdicts(series: Series) -> Iterator[str]:
    """A line for every bar."""
    for operation, bar in BARS.items():
        trials = series.of(operation)
        floor, moto = floor_ratio(trials), moto_ratio(trials)
        yield verdict(floor.median >= bar.floor, f"{operation} >= {bar.floor} H: {floor}")
        if moto is not None:
            yield verdict(moto.median >= bar.moto, f"{operation} >= {bar.moto:g} x moto: {moto}")
        yield verdict(floor.median >= bar.stretch, f"stretch: {operation} >= {bar.stretch} H", no="not yet")
    worst = max(series.worker_megabytes)
    yield verdict(worst <= MAX_WORKER_MEGABYTES, f"worker <= {MAX_WORKER_MEGABYTES:.0f} MB PSS: {worst:.0f} MB")
    ready = statistics.median(series.ready_seconds)
    yield verdict(ready <= MAX_READY_SECONDS, f"start to ready <= {MAX_READY_SECONDS:g} s: {ready:.2f} s")


def verdict(reached: bool, text: str, *, no: str = "MISSED") -> str:
    """One line that says whether a bar was reached; ``no`` is the word if it was not."""
    return f"{'reached' if reached else no:8} {text}"


def noise(series: Series) -> str:
    shares = [run.others for trial in series.trials for run in (trial.broker, trial.floor)]
    return f"others used {statistics.median(shares):.0%} of the machine (most: {max(shares):.0%})"
