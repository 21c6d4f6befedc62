"""From rates to a table, and to a verdict for every bar."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from bench.policy.measure import CompileCost, Series
from bench.policy.nasty import Cost
from bench.report import Ratio, verdict

RATE_BARS = {10: 100_000, 100: 100_000, 1_000: 40_000, 10_000: 10_000}
CEDAR_BARS = {100: 30, 1_000: 100, 10_000: 100}
MAX_COMPILE_MS = 0.5
MAX_DECISION_MS = 10.0
_COLUMNS = "{:>10} {:<24} {:>9} {:>9} {:>9} {:>19} {:>22}"


def heading() -> str:
    return _COLUMNS.format("statements", "", "broker/s", "cedarpy/s", "casbin/s", "x cedarpy", "x pycasbin").rstrip()


def row(series: Series) -> str:
    """Medians over the rounds; a peer that cannot express the workload, or is not installed, has no figure."""
    names = ("broker", "cedarpy", "pycasbin")
    medians = [f"{statistics.median(series.rates[name]):.0f}" if name in series.rates else "-" for name in names]
    ratios = [str(ratio(series, name) or "-") for name in names[1:]]
    return _COLUMNS.format(series.workload.size, series.workload.name, *medians, *ratios).rstrip()


def ratio(series: Series, peer: str) -> Ratio | None:
    """The broker's rate over the peer's, round by round."""
    if peer not in series.rates:
        return None
    return Ratio.over([own / other for own, other in zip(series.rates["broker"], series.rates[peer], strict=True)])


def rate_verdicts(everything: Sequence[Series]) -> Iterator[str]:
    """The bars of the plain workload, by its size."""
    plain = [series for series in everything if series.workload.name == "plain"]
    for series in plain:
        size = series.workload.size
        rate = statistics.median(series.rates["broker"])
        least = min(series.rates["broker"])
        yield verdict(
            rate >= RATE_BARS[size], f"{size} statements >= {RATE_BARS[size]}/s: {rate:.0f} (least {least:.0f})"
        )
    for series in plain:
        size = series.workload.size
        found = ratio(series, "cedarpy")
        if found is not None and size in CEDAR_BARS:
            yield verdict(
                found.median >= CEDAR_BARS[size], f"{size} statements >= {CEDAR_BARS[size]} x cedarpy: {found}"
            )


def compile_verdict(costs: Sequence[CompileCost]) -> str:
    worst = max(costs, key=lambda cost: cost.compile_ms)
    text = f"compile <= {MAX_COMPILE_MS} ms a statement: {worst.compile_ms:.3f} ms ({worst.name})"
    return verdict(worst.compile_ms <= MAX_COMPILE_MS, text)


def nasty_table(costs: Sequence[Cost]) -> Iterator[str]:
    yield "{:<32} {:>12} {:>14}".format("", "one document", "all of a role")
    for cost in costs:
        yield f"{cost.name:<32} {cost.document_ms:>9.2f} ms {cost.everything_ms:>11.2f} ms"


def nasty_verdicts(costs: Sequence[Cost]) -> Iterator[str]:
    document = max(costs, key=lambda cost: cost.document_ms)
    text = f"nastiest document <= {MAX_DECISION_MS:g} ms: {document.document_ms:.1f} ms ({document.name})"
    yield verdict(document.document_ms <= MAX_DECISION_MS, text)
    full = max(costs, key=lambda cost: cost.everything_ms)
    text = f"nastiest role, every quota full <= {MAX_DECISION_MS:g} ms: {full.everything_ms:.1f} ms ({full.name})"
    yield verdict(full.everything_ms <= MAX_DECISION_MS, text)
