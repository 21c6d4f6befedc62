"""Tags of MFA devices (IAM User Guide, "Tag virtual MFA devices")."""

from __future__ import annotations

from collections.abc import Sequence

from broker.domain.session import Tag
from broker.iam.changes import record_change
from broker.iam.entity_tags import TagList, tag_list
from broker.iam.mfa_devices import authorized_device, check_changeable, find_device
from broker.iam.tags import parse_tags, tag_request, tagged, untag_request, untagged
from broker.services import Caller, Services
from broker.store.mfa_devices import set_mfa_device_tags


def tag_mfa_device(services: Services, caller: Caller, *, serial_number: str, tags: Sequence[Tag]) -> None:
    """Add tags, or give them new values (AWS IAM TagMFADevice)."""
    given = parse_tags(tags)
    account = authorized_device(services, caller, "iam:TagMFADevice", serial_number, tag_request(given)).account
    with services.database.change() as connection:
        present = check_changeable(find_device(connection, account, serial_number)).tags
        set_mfa_device_tags(connection, serial_number, tagged(present, given, services.settings.quotas.tags))
        record_change(connection, caller)


def untag_mfa_device(services: Services, caller: Caller, *, serial_number: str, tag_keys: Sequence[str]) -> None:
    """Take tags away (AWS IAM UntagMFADevice)."""
    more = untag_request(tag_keys)
    account = authorized_device(services, caller, "iam:UntagMFADevice", serial_number, more).account
    with services.database.change() as connection:
        present = check_changeable(find_device(connection, account, serial_number)).tags
        set_mfa_device_tags(connection, serial_number, untagged(present, tag_keys))
        record_change(connection, caller)


def list_mfa_device_tags(
    services: Services, caller: Caller, *, serial_number: str, marker: str | None = None, max_items: int | None = None
) -> TagList:
    """A device's tags, by key (AWS IAM ListMFADeviceTags)."""
    device = authorized_device(services, caller, "iam:ListMFADeviceTags", serial_number)
    return tag_list(device.tags, marker, max_items)
