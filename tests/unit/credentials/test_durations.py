"""Session durations (AWS STS API Reference, ``DurationSeconds``)."""

import pytest

from broker.credentials.durations import role_session_seconds
from broker.errors import ValidationFailed


@pytest.mark.parametrize(
    ("requested", "role_maximum", "chained", "seconds"),
    [
        (None, 3600, False, 3600),
        (None, 43200, False, 3600),
        (None, 43200, True, 3600),
        (900, 3600, False, 900),
        (43200, 43200, False, 43200),
        (3600, 43200, True, 3600),
    ],
)
def test_allowed(requested: int | None, role_maximum: int, chained: bool, seconds: int) -> None:
    assert role_session_seconds(requested, role_maximum=role_maximum, chained=chained) == seconds


@pytest.mark.parametrize(
    ("requested", "role_maximum", "chained", "words"),
    [
        (3601, 3600, False, "MaxSessionDuration"),
        (43200, 3600, False, "MaxSessionDuration"),
        (3601, 43200, True, "role chaining"),
        (43200, 3600, True, "role chaining"),
    ],
)
def test_refused_never_clamped(requested: int, role_maximum: int, chained: bool, words: str) -> None:
    with pytest.raises(ValidationFailed, match=words):
        role_session_seconds(requested, role_maximum=role_maximum, chained=chained)
