"""The short form of ``bin/trial kill``."""

from __future__ import annotations

from pathlib import Path

import pytest
from trials.kill import kill_trial


@pytest.mark.timeout(300)
def test_killed_at_random_moments_it_loses_nothing(tmp_path: Path, broker_store: str) -> None:
    assert kill_trial(tmp_path, rounds=20, seed=20, say=print, store_url=broker_store).startswith("20 times killed:")
