"""What an evaluation answers: a "no" is a value too, and it says whose no it was."""

from __future__ import annotations

from enum import Enum

import msgspec

from broker.policy.document import Statement


class PolicyType(Enum):
    """The types of policy, in the words of AWS's AccessDenied text (without article and with it)."""

    IDENTITY = ("identity-based policy", "an identity-based policy")
    RESOURCE = ("resource-based policy", "a resource-based policy")
    SESSION = ("session policy", "a session policy")
    BOUNDARY = ("permissions boundary", "a permissions boundary")

    @property
    def noun(self) -> str:
        return self.value[0]

    @property
    def noun_with_article(self) -> str:
        return self.value[1]


class Decision(msgspec.Struct, frozen=True):
    """The answer to one request.

    ``policy_type`` is the type that denied explicitly, that failed to allow, or that allowed; None if evaluation
    failed (``error`` then says how, for the audit record) or the root user needed no policy. ``source`` and
    ``statement`` name the deciding statement of an explicit deny or an allow.
    """

    allowed: bool
    explicit_deny: bool
    policy_type: PolicyType | None
    action: str
    source: str | None = None
    statement: Statement | None = None
    error: str | None = None

    @property
    def sid(self) -> str | None:
        return self.statement.sid if self.statement else None

    @property
    def statement_index(self) -> int | None:
        return self.statement.index if self.statement else None

    def sentence(self) -> str:
        """The tail of AWS's AccessDenied text (IAM User Guide, "Troubleshoot access denied error messages")."""
        if self.policy_type is None:
            return "" if self.allowed else "because the policies could not be evaluated"
        if self.allowed:
            return f"because {self.policy_type.noun_with_article} allows the {self.action} action"
        if self.explicit_deny:
            return f"with an explicit deny in {self.policy_type.noun_with_article}"
        return f"because no {self.policy_type.noun} allows the {self.action} action"
