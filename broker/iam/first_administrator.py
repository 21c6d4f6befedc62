"""An account's first administrator, made through a link that ``accredit init`` printed: it is good once, for a day.

Whoever has the link is nobody yet, so there is no permission to ask for: the link itself is the permission.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
from sqlalchemy import Connection

from broker.audit.event import CallRecord, render
from broker.credentials.keyids import USER_ID, new_unique_id
from broker.domain.arn import PRODUCT_ACCOUNT, mfa_device_arn, policy_arn, user_arn
from broker.domain.role import User
from broker.domain.secret import Secret
from broker.errors import AccessDenied, AlreadyExists, InvalidAuthenticationCode, NotFound, ValidationFailed
from broker.iam.changes import record_change
from broker.iam.password_policy import password_policy_of
from broker.iam.password_rules import check_password
from broker.iam.sign_in import NAME
from broker.identifiers import new_uuid
from broker.mfa import consecutive_steps, is_seed, new_seed, seal_seed
from broker.services import Caller, Services
from broker.settings import Settings
from broker.store.accounts import get_alias, list_accounts
from broker.store.audit_events import append_records
from broker.store.engine import Database
from broker.store.entities import Entity, find_entity_by_name, insert_entity
from broker.store.login_profiles import LoginProfile, insert_login_profile
from broker.store.mfa_devices import MfaDevice, assign_mfa_device, insert_mfa_device, is_mfa_device
from broker.store.policy_usage import attach
from broker.store.tickets import delete_tickets
from broker.store.users import find_user
from broker.tickets import Tickets, put_ticket

KIND = "setup"
PATH = "/setup"
_LIFE = timedelta(days=1)
_DEVICE = "authenticator"


class SetUp(msgspec.Struct, frozen=True):
    """What a link stands for. ``seed`` (base32) is that of the first user's authenticator."""

    account: str
    seed: str


def new_setup_link(connection: Connection, settings: Settings, master_key: bytes, account: str, now: datetime) -> str:
    """A link for this account; the one before it is good no more."""
    delete_tickets(connection, KIND, account)
    value = put_ticket(connection, master_key, KIND, account, SetUp(account, new_seed()), now, _LIFE)
    return f"{settings.pages_url()}{PATH}/{value}"


def make_setup_link(database: Database, settings: Settings, master_key: bytes, account: str) -> str:
    """As ``new_setup_link``, with its audit event: what ``accredit account setup-link`` does. Raises NotFound."""
    now = datetime.now(UTC)
    with database.change() as connection:
        if account not in list_accounts(connection):
            raise NotFound(f"There is no account {account}.")
        record = CallRecord(new_uuid(), now, event_source="accredit", event_name="CreateSetupLink", read_only=False)
        record.recipient, record.parameters = account, {"account_id": account}
        append_records(connection, [render(record)])
        return new_setup_link(connection, settings, master_key, account, now)


def find_setup(services: Services, value: str, now: datetime) -> SetUp:
    """What the link stands for. Raises AccessDenied if it was used, or is too old."""
    found = Tickets(services.database, services.master_key).look(KIND, value, SetUp, now)
    if found is None or not is_seed(found.seed):
        raise AccessDenied(
            "This link was used already, or is too old. Whoever runs the server can make another one:"
            " accredit account setup-link DIRECTORY ACCOUNT"
        )
    return found


def create_first_administrator(
    services: Services,
    caller: Caller,
    *,
    link: str,
    user_name: str,
    password: Secret,
    authentication_code1: Secret,
    authentication_code2: Secret,
) -> User:
    """Make a user with a password, an authenticator and AdministratorAccess; the link is used up with it.

    Raises AccessDenied, AlreadyExists, InvalidAuthenticationCode, PasswordPolicyViolation, ValidationFailed.
    """
    setup = find_setup(services, link, caller.now)
    account, moment = setup.account, int(caller.now.timestamp())
    if not NAME.fullmatch(user_name):
        raise ValidationFailed("A user name has 1 to 64 letters, digits and any of _+=,.@-")
    with services.database.read() as connection:
        policy = password_policy_of(connection, account)
        names = (user_name, account, get_alias(connection, account))
    check_password(policy, password.reveal(), names)
    steps = consecutive_steps(setup.seed, authentication_code1, authentication_code2, moment)
    if steps is None:
        raise InvalidAuthenticationCode("These are not two codes of the authenticator that follow each other.")
    profile = LoginProfile("", services.passwords.hash(password), False, moment, moment)
    user = _user(account, user_name, moment)
    serial = mfa_device_arn(account, f"{user_name}/{_DEVICE}")
    sealed = seal_seed(services.master_key, serial, setup.seed)
    device = MfaDevice(serial, account, None, sealed, last_step=steps[1], created_at=moment)
    with services.database.change() as connection:
        if not Tickets(services.database, services.master_key).use(connection, link):
            raise AccessDenied("This link was used already.")
        if find_entity_by_name(connection, account, "user", user_name) or is_mfa_device(connection, serial):
            raise AlreadyExists(f"User with name {user_name} already exists.")
        insert_entity(connection, user)
        insert_login_profile(connection, replace(profile, user_id=user.id))
        insert_mfa_device(connection, device)
        assign_mfa_device(connection, serial, user.id, moment)
        attach(connection, user.id, policy_arn(PRODUCT_ACCOUNT, "/", "AdministratorAccess"))
        caller.record.recipient = account
        record_change(connection, caller, {"userName": user_name, "arn": user.arn})
        made = find_user(connection, user.id)
    assert made is not None, "it was made above"
    return made


def _user(account: str, name: str, now: int) -> Entity:
    arn = user_arn(account, "/", name)
    return Entity(new_unique_id(USER_ID), "user", account, name, "/", arn, None, {}, False, now)
