"""Virtual MFA devices: authenticator applications (IAM User Guide, "Assign a virtual MFA device").

A device is made with a seed that is shown once, and is somebody's only after two consecutive codes have shown that the
seed is there. Of these codes none is good for anything afterwards.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import segno
from sqlalchemy import Connection

from broker.authorization import Context, authorize
from broker.domain.arn import mfa_device_arn, root_arn
from broker.domain.secret import Secret
from broker.domain.session import Tag
from broker.errors import (
    AlreadyExists,
    DeleteConflict,
    InvalidAuthenticationCode,
    InvalidInput,
    LimitExceeded,
    NotFound,
    ValidationFailed,
)
from broker.iam.changes import record_change
from broker.iam.named import account_of_caller, declared, resource_tag_context
from broker.iam.owners import Owner, authorized_owner
from broker.iam.pages import page_of, page_within
from broker.iam.tags import parse_tags, tag_request, tagged, tags_of
from broker.iam.users import UserView, user_view
from broker.mfa import consecutive_steps, is_seed, new_seed, open_seed, provisioning_uri, seal_seed
from broker.services import Caller, Services
from broker.store.accounts import get_alias, get_created_at
from broker.store.entities import Entity
from broker.store.mfa_devices import (
    MfaDevice,
    accept_step,
    assign_mfa_device,
    count_mfa_devices,
    delete_mfa_device,
    find_mfa_device,
    insert_mfa_device,
    is_mfa_device,
    list_enabled_mfa_devices,
    users_of,
)
from broker.store.mfa_devices import list_mfa_devices as list_rows

_LONGEST_SERIAL_NUMBER = 256
_QR_SCALE = 4
_ASSIGNED = {"Assigned": True, "Unassigned": False}


@dataclass(frozen=True, slots=True)
class VirtualDevice:
    """IAM ``VirtualMFADevice``. The seed and its picture are in the answer that makes the device, and nowhere else."""

    serial_number: str
    base32_string_seed: bytes | None = None
    qr_code_png: bytes | None = None
    user: UserView | None = None
    enable_date: datetime | None = None
    tags: Sequence[Tag] | None = None


@dataclass(frozen=True, slots=True)
class VirtualDeviceAnswer:
    """IAM ``CreateVirtualMFADeviceResponse``."""

    virtual_mfa_device: VirtualDevice


@dataclass(frozen=True, slots=True)
class VirtualDeviceList:
    """IAM ``ListVirtualMFADevicesResponse``."""

    virtual_mfa_devices: Sequence[VirtualDevice]
    is_truncated: bool
    marker: str | None


@dataclass(frozen=True, slots=True)
class AssignedDevice:
    """IAM ``MFADevice`` and ``GetMFADeviceResponse``."""

    user_name: str | None
    serial_number: str
    enable_date: datetime | None


@dataclass(frozen=True, slots=True)
class AssignedDeviceList:
    """IAM ``ListMFADevicesResponse``."""

    mfa_devices: Sequence[AssignedDevice]
    is_truncated: bool
    marker: str | None


def create_virtual_mfa_device(
    services: Services, caller: Caller, *, virtual_mfa_device_name: str, path: str = "/", tags: Sequence[Tag] = ()
) -> VirtualDeviceAnswer:
    """Make a device that is nobody's yet (AWS IAM CreateVirtualMFADevice). Raises AlreadyExists, LimitExceeded."""
    account = account_of_caller(caller)
    serial_number = mfa_device_arn(account, f"{path}{virtual_mfa_device_name}"[1:])
    given = parse_tags(tags)
    authorize(services, caller, "iam:CreateVirtualMFADevice", serial_number, tag_request(given))
    if given:
        authorize(services, caller, "iam:TagMFADevice", serial_number, tag_request(given))
    if len(serial_number) > _LONGEST_SERIAL_NUMBER:
        raise ValidationFailed("The path and the name of the virtual MFA device are too long together.")
    quotas = services.settings.quotas
    kept, seed = tagged({}, given, quotas.tags), new_seed()
    sealed, moment = seal_seed(services.master_key, serial_number, seed), int(caller.now.timestamp())
    with services.database.change() as connection:
        if is_mfa_device(connection, serial_number):
            raise AlreadyExists("MFADevice entity at the same path and name already exists.")
        if count_mfa_devices(connection, account) >= quotas.users:
            raise LimitExceeded(f"Cannot exceed quota for VirtualMFADevicesPerAccount: {quotas.users}")
        label = get_alias(connection, account) or account
        device = MfaDevice(serial_number, account, None, sealed, tags=kept, created_at=moment)
        insert_mfa_device(connection, device)
        shown = tags_of(kept) or None
        record_change(connection, caller, VirtualDeviceAnswer(VirtualDevice(serial_number, tags=shown)))
    picture = _picture(provisioning_uri(seed, virtual_mfa_device_name, label))
    return VirtualDeviceAnswer(VirtualDevice(serial_number, seed.encode("ascii"), picture, tags=shown))


def import_hardware_mfa_device(
    services: Services, caller: Caller, *, serial_number: str, base32_string_seed: Secret
) -> None:
    """Bring a hardware OATH token into the account, by serial number and seed (``ImportHardwareMFADevice``).

    It is nobody's until EnableMFADevice has seen two of its codes. Raises AlreadyExists, InvalidInput, LimitExceeded.
    """
    account = account_of_caller(caller)
    authorize(services, caller, "iam:ImportHardwareMFADevice", mfa_device_arn(account, serial_number))
    seed = base32_string_seed.reveal()
    if serial_number.startswith("arn:") or not is_seed(seed):
        raise InvalidInput("A hardware token has a serial number that is no ARN, and a seed of at least 80 bits.")
    sealed, limit = seal_seed(services.master_key, serial_number, seed), services.settings.quotas.users
    device = MfaDevice(serial_number, account, None, sealed, created_at=int(caller.now.timestamp()))
    with services.database.change() as connection:
        if is_mfa_device(connection, serial_number):
            raise AlreadyExists("An MFA device of this serial number exists already.")
        if count_mfa_devices(connection, account) >= limit:
            raise LimitExceeded(f"Cannot exceed quota for VirtualMFADevicesPerAccount: {limit}")
        insert_mfa_device(connection, device)
        record_change(connection, caller)


def enable_mfa_device(
    services: Services,
    caller: Caller,
    *,
    user_name: str,
    serial_number: str,
    authentication_code1: Secret,
    authentication_code2: Secret,
) -> None:
    """Give a device to a user who has it at hand (AWS IAM EnableMFADevice).

    Root enables its own under its account's number as user name. Raises AlreadyExists, InvalidAuthenticationCode,
    LimitExceeded, NotFound.
    """
    owner = authorized_owner(services, caller, "iam:EnableMFADevice", user_name)
    limit, moment = services.settings.quotas.mfa_devices_per_user, int(caller.now.timestamp())
    with services.database.change() as connection:
        owner.check_there(connection)
        device = find_device(connection, owner.account, serial_number)
        if device.enabled_at is not None:
            raise AlreadyExists(f"MFA device with serial number {serial_number} is already in use.")
        if len(list_enabled_mfa_devices(connection, owner.account, owner.user_id)) >= limit:
            raise LimitExceeded(f"Cannot exceed quota for MFADevicesPerUser: {limit}")
        _use_up(services, connection, device, authentication_code1, authentication_code2, moment)
        assign_mfa_device(connection, serial_number, owner.user_id, moment)
        record_change(connection, caller)


def resync_mfa_device(
    services: Services,
    caller: Caller,
    *,
    user_name: str,
    serial_number: str,
    authentication_code1: Secret,
    authentication_code2: Secret,
) -> None:
    """Show that a device is at hand still, after which no wrong codes count any more (AWS IAM ResyncMFADevice).

    Raises InvalidAuthenticationCode, NotFound.
    """
    owner = authorized_owner(services, caller, "iam:ResyncMFADevice", user_name)
    with services.database.change() as connection:
        device = _device_of(connection, owner, serial_number)
        moment = int(caller.now.timestamp())
        _use_up(services, connection, device, authentication_code1, authentication_code2, moment)
        record_change(connection, caller)


def deactivate_mfa_device(
    services: Services, caller: Caller, *, serial_number: str, user_name: str | None = None
) -> None:
    """Take a device from its user; it can be given to somebody again (AWS IAM DeactivateMFADevice). Raises NotFound."""
    owner = authorized_owner(services, caller, "iam:DeactivateMFADevice", user_name)
    with services.database.change() as connection:
        check_changeable(_device_of(connection, owner, serial_number))
        assign_mfa_device(connection, serial_number, None, None)
        record_change(connection, caller)


def delete_virtual_mfa_device(services: Services, caller: Caller, *, serial_number: str) -> None:
    """Delete a device that nobody has (AWS IAM DeleteVirtualMFADevice). Raises DeleteConflict, NotFound."""
    account = account_of_caller(caller)
    authorized_device(services, caller, "iam:DeleteVirtualMFADevice", serial_number)
    with services.database.change() as connection:
        device = check_changeable(find_device(connection, account, serial_number))
        if device.enabled_at is not None:
            raise DeleteConflict("MFA VirtualDevice in use. Must deactivate first.")
        delete_mfa_device(connection, serial_number)
        record_change(connection, caller)


def get_mfa_device(
    services: Services, caller: Caller, *, serial_number: str, user_name: str | None = None
) -> AssignedDevice:
    """A device of a user, or of the caller itself (AWS IAM GetMFADevice). Raises NotFound."""
    owner = authorized_owner(services, caller, "iam:GetMFADevice", user_name)
    with services.database.read() as connection:
        return _assigned(owner, _device_of(connection, owner, serial_number))


def list_mfa_devices(
    services: Services,
    caller: Caller,
    *,
    user_name: str | None = None,
    marker: str | None = None,
    max_items: int | None = None,
) -> AssignedDeviceList:
    """The devices of a user, or of the caller itself (AWS IAM ListMFADevices)."""
    owner = authorized_owner(services, caller, "iam:ListMFADevices", user_name)
    with services.database.read() as connection:
        devices = list_enabled_mfa_devices(connection, owner.account, owner.user_id)
    page = page_within(devices, lambda device: device.serial_number, marker, max_items)
    return AssignedDeviceList([_assigned(owner, device) for device in page.items], page.is_truncated, page.marker)


def list_virtual_mfa_devices(
    services: Services,
    caller: Caller,
    *,
    assignment_status: str = "Any",
    marker: str | None = None,
    max_items: int | None = None,
) -> VirtualDeviceList:
    """The account's devices, and who has them (AWS IAM ListVirtualMFADevices)."""
    account = account_of_caller(caller)
    authorize(services, caller, "iam:ListVirtualMFADevices", mfa_device_arn(account, ""))
    with services.database.read() as connection:
        page = page_of(
            lambda after, limit: list_rows(
                connection, account, assigned=_ASSIGNED.get(assignment_status), after=after, limit=limit
            ),
            lambda device: device.serial_number,
            marker,
            max_items,
        )
        users = users_of(connection, page.items)
        root = UserView("/", None, account, root_arn(account), _time(get_created_at(connection, account)))
    shown = [
        VirtualDevice(one.serial_number)
        if one.enabled_at is None
        else VirtualDevice(one.serial_number, user=_holder(users, one) or root, enable_date=_time(one.enabled_at))
        for one in page.items
    ]
    return VirtualDeviceList(shown, page.is_truncated, page.marker)


def authorized_device(
    services: Services, caller: Caller, action: str, serial_number: str, more: Context | None = None
) -> MfaDevice:
    """The device of this serial number, to which the caller may do ``action``. Raises AccessDenied, NotFound."""
    _check_virtual(serial_number)
    account = account_of_caller(caller)
    with services.database.read() as connection:
        found = find_mfa_device(connection, serial_number)
    if found is not None and found.account != account:
        found = None
    tags = resource_tag_context(found.tags) if found is not None else {}
    authorize(services, caller, action, serial_number, {**tags, **(more or {})})
    if found is None:
        raise _missing(serial_number)
    return found


def find_device(connection: Connection, account: str, serial_number: str) -> MfaDevice:
    """The account's device. Raises NotFound, InvalidInput."""
    found = find_mfa_device(connection, serial_number)
    if found is None or found.account != account:
        _check_virtual(serial_number)
        raise _missing(serial_number)
    return found


def check_changeable(device: MfaDevice) -> MfaDevice:
    """Raises Unmodifiable if the configuration declares it."""
    if device.declared:
        raise declared(f"The MFA device {device.serial_number}")
    return device


def _device_of(connection: Connection, owner: Owner, serial_number: str) -> MfaDevice:
    """A device that ``owner`` has. Raises NotFound."""
    found = find_device(connection, owner.account, serial_number)
    if found.enabled_at is None or found.user_id != owner.user_id:
        raise _missing(serial_number)
    return found


def _use_up(
    services: Services, connection: Connection, device: MfaDevice, first: Secret, second: Secret, moment: int
) -> None:
    """Accept two consecutive codes of the device, once. Raises InvalidAuthenticationCode."""
    steps = consecutive_steps(open_seed(services.master_key, device), first, second, moment)
    if steps is None or not accept_step(connection, device.serial_number, steps[1], since=steps[0]):
        raise InvalidAuthenticationCode(
            "Authentication code for device is not valid.",
            detail="wrong codes" if steps is None else "the codes were used before",
        )


def _check_virtual(serial_number: str) -> None:
    """Raises InvalidInput for what is no virtual device's number."""
    if not serial_number.startswith("arn:"):
        raise InvalidInput("The serial number is neither a virtual MFA device's ARN nor that of an imported token.")


def _picture(uri: str) -> bytes:
    """The QR code of a URI."""
    png = io.BytesIO()
    segno.make(uri, micro=False).save(png, kind="png", scale=_QR_SCALE)
    return png.getvalue()


def _assigned(owner: Owner, device: MfaDevice) -> AssignedDevice:
    return AssignedDevice(owner.user_name, device.serial_number, _time(device.enabled_at or 0))


def _holder(users: dict[str, Entity], device: MfaDevice) -> UserView | None:
    return None if device.user_id is None else user_view(users[device.user_id])


def _time(moment: int) -> datetime:
    return datetime.fromtimestamp(moment, UTC)


def _missing(serial_number: str) -> NotFound:
    return NotFound(f"VirtualMFADevice with serial number {serial_number} doesn't exist.")
