"""Measurements against floors and peers, run by hand: ``python -m bench.sts``. See docs/benchmarks.md."""
