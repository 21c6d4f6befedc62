"""What people do to second factors of their own on the pages, in one step each.

On the wire an authenticator is made first and enabled then; here both are one, so that nothing is left over from an
enrolment that nobody finished.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from broker.authorization import authorize
from broker.domain.arn import mfa_device_arn
from broker.domain.role import User
from broker.domain.secret import Secret
from broker.errors import AlreadyExists, InvalidAuthenticationCode, LimitExceeded, NotFound, ValidationFailed
from broker.iam.changes import record_change
from broker.iam.mfa_devices import check_changeable
from broker.mfa import consecutive_steps, seal_seed
from broker.policy.compile import compile_policy
from broker.policy.document import PolicyKind
from broker.policy.evaluate import PolicySource
from broker.services import Caller, Services
from broker.store.mfa_devices import (
    MfaDevice,
    assign_mfa_device,
    delete_mfa_device,
    find_mfa_device,
    insert_mfa_device,
    is_mfa_device,
    list_enabled_mfa_devices,
)
from broker.store.passkeys import list_passkeys, replace_recovery_codes

OWN_FACTORS = PolicySource(
    "own second factors",
    compile_policy(
        """{"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["iam:EnableMFADevice", "iam:DeactivateMFADevice", "iam:ListMFADevices"],
         "Resource": ["arn:aws:iam::*:user/${aws:username}", "arn:aws:iam::*:user/*/${aws:username}"]},
        {"Effect": "Allow", "Action": ["iam:CreateVirtualMFADevice", "iam:DeleteVirtualMFADevice"],
         "Resource": "arn:aws:iam::*:mfa/${aws:username}/*"}]}""",
        PolicyKind.IDENTITY,
    ),
)
"""Everybody may make its own sign-in safer; pages ask for a second factor first, where there is one already."""
_NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)


def check_device_name(name: str) -> str:
    """Raises ValidationFailed."""
    if not _NAME.fullmatch(name):
        raise ValidationFailed("A device's name has 1 to 64 letters, digits and any of _+=,.@-")
    return name


def enrol_authenticator(
    services: Services, caller: Caller, user: User, *, name: str, seed: str, first: Secret, second: Secret
) -> None:
    """Give the caller an authenticator that has this seed, which two codes show; neither counts again.

    Raises AlreadyExists, InvalidAuthenticationCode, LimitExceeded, ValidationFailed.
    """
    serial = mfa_device_arn(user.account, f"{user.name}/{check_device_name(name)}")
    caller.record.parameters = {"user_name": user.name, "serial_number": serial}
    authorize(services, caller, "iam:CreateVirtualMFADevice", serial)
    authorize(services, caller, "iam:EnableMFADevice", user.arn)
    moment = int(caller.now.timestamp())
    steps = consecutive_steps(seed, first, second, moment)
    if steps is None:
        raise InvalidAuthenticationCode("These are not two codes of the authenticator that follow each other.")
    sealed = seal_seed(services.master_key, serial, seed)
    device = MfaDevice(serial, user.account, None, sealed, last_step=steps[1], created_at=moment)
    limit = services.settings.quotas.mfa_devices_per_user
    with services.database.change() as connection:
        if is_mfa_device(connection, serial):
            raise AlreadyExists("You have a device of this name already.")
        devices = list_enabled_mfa_devices(connection, user.account, user.user_id)
        if len(devices) + len(list_passkeys(connection, user.user_id)) >= limit:
            raise LimitExceeded(f"Cannot exceed quota for MFADevicesPerUser: {limit}")
        insert_mfa_device(connection, device)
        assign_mfa_device(connection, serial, user.user_id, moment)
        record_change(connection, caller)


def remove_authenticator(services: Services, caller: Caller, user: User, *, serial_number: str) -> None:
    """Take a device of the caller's own away; one that was made on these pages is deleted. Raises NotFound."""
    caller.record.parameters = {"user_name": user.name, "serial_number": serial_number}
    authorize(services, caller, "iam:DeactivateMFADevice", user.arn)
    own = serial_number.startswith(mfa_device_arn(user.account, f"{user.name}/"))
    with services.database.change() as connection:
        device = find_mfa_device(connection, serial_number)
        if device is None or device.user_id != user.user_id:
            raise NotFound("You have no such device.")
        check_changeable(device)
        if own:
            delete_mfa_device(connection, serial_number)
        else:
            assign_mfa_device(connection, serial_number, None, None)
        record_change(connection, caller)


def renew_recovery_codes(services: Services, caller: Caller, user: User, digests: Sequence[str]) -> None:
    """The caller's recovery codes are these from now on; all earlier ones are good no more."""
    caller.record.parameters = {"user_name": user.name, "count": len(digests)}
    authorize(services, caller, "iam:EnableMFADevice", user.arn)
    with services.database.change() as connection:
        replace_recovery_codes(connection, user.user_id, digests, int(caller.now.timestamp()))
        record_change(connection, caller)
