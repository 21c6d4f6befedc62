"""How fast are decisions? ``python -m bench.policy``; see docs/benchmarks.md."""
