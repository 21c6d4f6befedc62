"""How large and how many the policies of an account may be, in AWS's sentences.

Sizes are in characters, white space outside of strings not counted (IAM User Guide, "IAM and AWS STS quotas"). What may
be read at all is bounded before, white space included: ``reader.MAX_CHARACTERS``. Limits are arguments because accounts
may raise them; every function raises LimitExceeded.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from broker.errors import LimitExceeded
from broker.policy.reader import policy_size

Holder = Literal["user", "group", "role"]
"""What policies are attached to."""


def check_trust_policy_size(document: str, limit: int) -> None:
    """A role's trust policy; AWS: 2,048, on request up to 8,192."""
    if policy_size(document) > limit:
        raise LimitExceeded(f"Cannot exceed quota for ACLSizePerRole: {limit}")


def check_managed_policy_size(document: str, limit: int) -> None:
    """One version of a managed policy; AWS: 6,144."""
    if policy_size(document) > limit:
        raise LimitExceeded(f"Cannot exceed quota for PolicySize: {limit}")


def check_inline_policies_size(holder: Holder, name: str, documents: Iterable[str], limit: int) -> None:
    """All inline policies of the entity together; AWS: user 2,048, group 5,120, role 10,240."""
    if sum(map(policy_size, documents)) > limit:
        raise LimitExceeded(f"Maximum policy size of {limit} bytes exceeded for {holder} {name}")


def check_attached_policies(holder: Holder, count: int, limit: int) -> None:
    """The number of managed policies attached to one entity; AWS: 10."""
    if count > limit:
        raise LimitExceeded(f"Cannot exceed quota for PoliciesPer{holder.capitalize()}: {limit}")
