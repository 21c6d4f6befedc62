"""The short form of ``bin/trial audit-kill``, which is ``bin/trial kill`` with more to hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from trials.audit_kill import audit_kill_trial


@pytest.mark.timeout(300)
def test_killed_at_random_moments_it_loses_nothing(tmp_path: Path, broker_store: str) -> None:
    told = audit_kill_trial(tmp_path, rounds=20, seed=20, say=print, store_url=broker_store)
    assert told.startswith("20 times killed:")
    assert "the tree verified each time" in told
