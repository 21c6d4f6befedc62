"""The command line in this process: what it changes of the process is changed back."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """``accredit`` writes files for their owner alone; other tests' servers run as other users."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)
