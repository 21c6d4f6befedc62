"""Console passwords of users (IAM User Guide, "Manage passwords for IAM users").

Hashes are made and compared before the transaction, because they take long; what they were made from is looked at again
inside it.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection

from broker.authorization import authorize
from broker.domain.principal import PrincipalKind
from broker.domain.secret import Secret
from broker.errors import (
    AccessDenied,
    AlreadyExists,
    InvalidUserType,
    NotFound,
    PasswordPolicyViolation,
    TemporarilyUnmodifiable,
    ValidationFailed,
)
from broker.iam.changes import record_change
from broker.iam.named import authorized_entity, entity_context, missing, still_there, user_or_caller
from broker.iam.password_policy import password_policy_of
from broker.iam.password_rules import PasswordPolicy, check_password
from broker.iam.sign_in import prove_password
from broker.policy.compile import compile_policy
from broker.policy.document import PolicyKind
from broker.policy.evaluate import PolicySource
from broker.services import Caller, Services
from broker.store.accounts import get_alias
from broker.store.entities import Entity, find_entity_by_id
from broker.store.login_profiles import (
    LoginProfile,
    find_login_profile,
    former_passwords,
    insert_login_profile,
    replace_password,
    set_reset_required,
)
from broker.store.login_profiles import delete_login_profile as delete_row

_OWN_PASSWORD = PolicySource(
    "account password policy",
    compile_policy(
        '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "iam:ChangePassword",'
        ' "Resource": "arn:aws:iam::*:user/*"}}',
        PolicyKind.IDENTITY,
    ),
)
"""What AllowUsersToChangePassword grants: nothing but one's own password can be changed with it."""


@dataclass(frozen=True, slots=True)
class LoginProfileView:
    """IAM ``LoginProfile``."""

    user_name: str
    create_date: datetime
    password_reset_required: bool


@dataclass(frozen=True, slots=True)
class LoginProfileAnswer:
    """IAM ``CreateLoginProfileResponse`` and ``GetLoginProfileResponse``."""

    login_profile: LoginProfileView


@dataclass(frozen=True, slots=True)
class _NewPassword:
    """A password that the rules allow, and what they were asked about."""

    policy: PasswordPolicy | None
    before: LoginProfile | None
    password_hash: str

    def check_unchanged(self, connection: Connection, user: Entity) -> None:
        """Raises TemporarilyUnmodifiable if somebody else changed the policy or the password meanwhile."""
        if password_policy_of(connection, user.account) != self.policy or not _same(
            find_login_profile(connection, user.id), self.before
        ):
            raise TemporarilyUnmodifiable(
                f"The login profile of {user.name} was changed by another request. Try again."
            )


def create_login_profile(
    services: Services,
    caller: Caller,
    *,
    user_name: str | None = None,
    password: Secret | None = None,
    password_reset_required: bool = False,
) -> LoginProfileAnswer:
    """Give a user a password (AWS IAM CreateLoginProfile). Raises AlreadyExists, PasswordPolicyViolation."""
    user = authorized_entity(services, caller, "iam:CreateLoginProfile", "user", user_or_caller(caller, user_name))
    if password is None:  # the model lets it out for the root user of a member account, which we do not have
        raise ValidationFailed("Value null at 'password' failed to satisfy constraint: Member must not be null")
    with services.database.read() as connection:
        if find_login_profile(connection, user.id) is not None:
            raise _exists(user)
    new = _new_password(services, user, password)
    moment = int(caller.now.timestamp())
    profile = LoginProfile(user.id, new.password_hash, password_reset_required, moment, moment)
    answer = LoginProfileAnswer(_view(user, profile))
    with services.database.change() as connection:
        still_there(connection, user)
        if find_login_profile(connection, user.id) is not None:
            raise _exists(user)
        new.check_unchanged(connection, user)
        insert_login_profile(connection, profile)
        record_change(connection, caller, answer)
    return answer


def get_login_profile(services: Services, caller: Caller, *, user_name: str | None = None) -> LoginProfileAnswer:
    """Whether and since when a user has a password (AWS IAM GetLoginProfile). Raises NotFound."""
    user = authorized_entity(services, caller, "iam:GetLoginProfile", "user", user_or_caller(caller, user_name))
    with services.database.read() as connection:
        return LoginProfileAnswer(_view(user, _there(connection, user)))


def update_login_profile(
    services: Services,
    caller: Caller,
    *,
    user_name: str,
    password: Secret | None = None,
    password_reset_required: bool | None = None,
) -> None:
    """Set another password, or have the user choose one (AWS IAM UpdateLoginProfile).

    Raises NotFound, PasswordPolicyViolation, TemporarilyUnmodifiable.
    """
    user = authorized_entity(services, caller, "iam:UpdateLoginProfile", "user", user_name)
    with services.database.read() as connection:
        _there(connection, user)
    new = None if password is None else _new_password(services, user, password)
    with services.database.change() as connection:
        profile = _there(connection, user)
        if new is not None:
            new.check_unchanged(connection, user)
            replace_password(connection, profile, new.password_hash, int(caller.now.timestamp()))
        if password_reset_required is not None:
            set_reset_required(connection, user.id, password_reset_required)
        record_change(connection, caller)


def delete_login_profile(services: Services, caller: Caller, *, user_name: str | None = None) -> None:
    """Take the password away (AWS IAM DeleteLoginProfile); the user's access keys stay. Raises NotFound."""
    user = authorized_entity(services, caller, "iam:DeleteLoginProfile", "user", user_or_caller(caller, user_name))
    with services.database.change() as connection:
        _there(connection, user)
        delete_row(connection, user.id)
        record_change(connection, caller)


def change_password(services: Services, caller: Caller, *, old_password: Secret, new_password: Secret) -> None:
    """Replace the caller's own password (AWS IAM ChangePassword).

    A wrong old password is AccessDenied, and guessing it is slowed down as at sign-in. Users may do this by their
    policies, or because the account's password policy lets all of them. Raises InvalidUserType, NotFound, Throttled,
    PasswordPolicyViolation, TemporarilyUnmodifiable.
    """
    principal = caller.authenticated().principal
    if principal.kind is not PrincipalKind.USER:
        raise InvalidUserType("Only IAM Users can change their own password")
    with services.database.read() as connection:
        user = find_entity_by_id(connection, principal.unique_id)
        policy = password_policy_of(connection, principal.account)
    granted = _OWN_PASSWORD if policy is not None and policy.allow_users_to_change_password else None
    context = {} if user is None else entity_context(user)
    authorize(services, caller, "iam:ChangePassword", principal.arn, context, granted=granted)
    if user is None:
        raise missing("user", principal.user_name or "")
    with services.database.read() as connection:
        profile = _there(connection, user)
    moment = int(caller.now.timestamp())
    prove_password(services, user.id, profile, old_password, caller.record.source_ip, moment)
    if hmac.compare_digest(old_password.reveal().encode(), new_password.reveal().encode()):
        raise PasswordPolicyViolation("Password should not be the old one")
    new = _new_password(services, user, new_password)
    with services.database.change() as connection:
        new.check_unchanged(connection, user)
        replace_password(connection, _there(connection, user), new.password_hash, moment)
        set_reset_required(connection, user.id, False)
        record_change(connection, caller)


def renew_password(services: Services, caller: Caller, *, new_password: Secret, proved_at: datetime) -> None:
    """Replace a password that has to be another one, at sign-in, right after it was proved.

    Nobody needs a permission for that. Raises AccessDenied if the password was replaced since, NotFound,
    PasswordPolicyViolation, TemporarilyUnmodifiable.
    """
    principal = caller.authenticated().principal
    with services.database.read() as connection:
        user = find_entity_by_id(connection, principal.unique_id)
        if user is None:
            raise missing("user", principal.user_name or "")
        profile = _there(connection, user)
    if profile.changed_at > proved_at.timestamp():
        raise AccessDenied("The password was changed meanwhile. Please sign in again.")
    new = _new_password(services, user, new_password)
    if services.passwords.matches(profile.password_hash, new_password):
        raise PasswordPolicyViolation("Password should not be the old one")
    with services.database.change() as connection:
        new.check_unchanged(connection, user)
        replace_password(connection, _there(connection, user), new.password_hash, int(caller.now.timestamp()))
        set_reset_required(connection, user.id, False)
        record_change(connection, caller)


def _new_password(services: Services, user: Entity, password: Secret) -> _NewPassword:
    """Raises PasswordPolicyViolation."""
    with services.database.read() as connection:
        policy = password_policy_of(connection, user.account)
        before = find_login_profile(connection, user.id)
        former = former_passwords(connection, user.id)
        names = (user.name, user.account, get_alias(connection, user.account))
    check_password(policy, password.reveal(), names)
    forbidden = 0 if policy is None else policy.password_reuse_prevention or 0
    used = [before.password_hash, *former] if before is not None else []
    if any(services.passwords.matches(one, password) for one in used[:forbidden]):
        raise PasswordPolicyViolation(f"Password should not be one of the last {forbidden} passwords")
    return _NewPassword(policy, before, services.passwords.hash(password))


def _same(now: LoginProfile | None, before: LoginProfile | None) -> bool:
    return (now and now.password_hash) == (before and before.password_hash)


def _there(connection: Connection, user: Entity) -> LoginProfile:
    found = find_login_profile(connection, user.id)
    if found is None:
        raise NotFound(f"Login Profile for User {user.name} cannot be found.")
    return found


def _exists(user: Entity) -> AlreadyExists:
    return AlreadyExists(f"Login Profile for user {user.name} already exists.")


def _view(user: Entity, profile: LoginProfile) -> LoginProfileView:
    return LoginProfileView(user.name, datetime.fromtimestamp(profile.created_at, UTC), profile.reset_required)
