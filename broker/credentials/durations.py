"""How long credentials live (AWS STS API Reference, ``DurationSeconds``; IAM User Guide, "role chaining")."""

from __future__ import annotations

from broker.errors import ValidationFailed

DEFAULT_SECONDS = 3_600
CHAINED_MAXIMUM_SECONDS = 3_600
ROLE_MAXIMUM_SECONDS = 43_200
ROLE_MINIMUM_MAXIMUM_SECONDS = 3_600
"""The least value of a role's MaxSessionDuration."""


USER_DEFAULT_SECONDS = 43_200
ROOT_MAXIMUM_SECONDS = 3_600


def user_session_seconds(requested: int | None, *, root: bool) -> int:
    """The duration of GetSessionToken's and GetFederationToken's sessions: the root user's is clamped to an hour."""
    wanted = USER_DEFAULT_SECONDS if requested is None else requested
    return min(wanted, ROOT_MAXIMUM_SECONDS) if root else wanted


def role_session_seconds(requested: int | None, *, role_maximum: int, chained: bool) -> int:
    """Decide the duration of a role session, in seconds.

    Raises ValidationFailed when more is asked than the role, or role chaining, allows: AWS refuses, it never clamps.
    """
    wanted = DEFAULT_SECONDS if requested is None else requested
    if chained and wanted > CHAINED_MAXIMUM_SECONDS:
        raise ValidationFailed(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
        )
    if wanted > role_maximum:
        raise ValidationFailed(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
            f" The maximum is {role_maximum} seconds."
        )
    return wanted
