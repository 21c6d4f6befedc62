"""Which managed policy a request names, and whether the caller may do this to it.

As with users (``named``): what is asked is the policy's ARN and its tags, whether it exists is told only to those who
may ask, and a change works on the very policy that was authorised.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection

from broker.authorization import authorize
from broker.domain.arn import Arn
from broker.errors import AccessDenied, InvalidInput, NotFound, Unmodifiable, ValidationFailed
from broker.iam.named import DECLARED, account_of_caller, resource_tag_context
from broker.services import Caller, Services
from broker.store.managed_policies import PolicyRecord, find_managed_policy


def check_policy_arn(arn: str) -> Arn:
    """Raises InvalidInput unless it has the form of a managed policy's ARN."""
    try:
        parsed = Arn.parse(arn)
    except ValidationFailed:
        parsed = None
    if parsed is None or parsed.service != "iam" or parsed.region or parsed.kind != "policy" or not parsed.name:
        raise InvalidInput(f"ARN {arn} is not valid.")
    return parsed


def authorized_policy(
    services: Services, caller: Caller, action: str, arn: str, more: Mapping[str, tuple[str, ...]] = {}
) -> PolicyRecord:
    """The policy to which the caller may do ``action``: of its own account, or the product's.

    Raises InvalidInput, AccessDenied, NotFound.
    """
    check_policy_arn(arn)
    found = _authorized(services, caller, action, arn, more)
    if found is None:
        raise missing_policy(arn)
    return found


def authorized_own_policy(
    services: Services, caller: Caller, action: str, arn: str, more: Mapping[str, tuple[str, ...]] = {}
) -> PolicyRecord:
    """As ``authorized_policy``, for changes: others' and the product's are not the caller's to change."""
    owner = check_policy_arn(arn).account
    found = _authorized(services, caller, action, arn, more)
    if owner != account_of_caller(caller):
        raise AccessDenied("Policy is outside your own account.")
    if found is None:
        raise missing_policy(arn)
    return found


def changeable_policy(connection: Connection, policy: PolicyRecord) -> PolicyRecord:
    """The same policy as it is in this transaction.

    Raises NotFound if it went meanwhile, Unmodifiable if the configuration declares it.
    """
    found = find_managed_policy(connection, policy.arn)
    if found is None or found.id != policy.id:
        raise missing_policy(policy.arn)
    if found.declared:
        raise Unmodifiable(f"The policy {found.name} cannot be changed. {DECLARED}")
    return found


def missing_policy(arn: str) -> NotFound:
    return NotFound(f"Policy {arn} was not found.")


def _authorized(
    services: Services, caller: Caller, action: str, arn: str, more: Mapping[str, tuple[str, ...]]
) -> PolicyRecord | None:
    """The policy if the caller can know of it. Raises AccessDenied."""
    with services.database.read() as connection:
        found = find_managed_policy(connection, arn)
    if found is not None and found.account not in (account_of_caller(caller), ""):
        found = None
    authorize(services, caller, action, arn, {**(resource_tag_context(found.tags) if found else {}), **more})
    return found
