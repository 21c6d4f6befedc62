"""The account's password policy (IAM User Guide, "Set an account password policy for IAM users")."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import Connection

from broker.authorization import authorize
from broker.errors import NotFound
from broker.iam.changes import record_change
from broker.iam.password_rules import PasswordPolicy
from broker.services import Caller, Services
from broker.store.password_policies import delete_password_policy, find_password_policy, put_password_policy


@dataclass(frozen=True, slots=True)
class PasswordPolicyAnswer:
    """IAM ``GetAccountPasswordPolicyResponse``."""

    password_policy: PasswordPolicy


def get_account_password_policy(services: Services, caller: Caller) -> PasswordPolicyAnswer:
    """The policy that the account has (AWS IAM GetAccountPasswordPolicy). Raises NotFound if it never got one."""
    account = authorize(services, caller, "iam:GetAccountPasswordPolicy", "*").principal.account
    with services.database.read() as connection:
        policy = password_policy_of(connection, account)
    if policy is None:
        raise _missing(account)
    return PasswordPolicyAnswer(policy)


def update_account_password_policy(
    services: Services,
    caller: Caller,
    *,
    minimum_password_length: int = 6,
    require_symbols: bool = False,
    require_numbers: bool = False,
    require_uppercase_characters: bool = False,
    require_lowercase_characters: bool = False,
    allow_users_to_change_password: bool = False,
    max_password_age: int | None = None,
    password_reuse_prevention: int | None = None,
    hard_expiry: bool | None = None,
) -> None:
    """Replace the policy, all of it: what is not given gets its default (AWS IAM UpdateAccountPasswordPolicy)."""
    account = authorize(services, caller, "iam:UpdateAccountPasswordPolicy", "*").principal.account
    policy = PasswordPolicy(
        minimum_password_length,
        require_symbols,
        require_numbers,
        require_uppercase_characters,
        require_lowercase_characters,
        allow_users_to_change_password,
        max_password_age,
        password_reuse_prevention,
        hard_expiry,
    )
    with services.database.change() as connection:
        put_password_policy(connection, account, asdict(policy))
        record_change(connection, caller)


def delete_account_password_policy(services: Services, caller: Caller) -> None:
    """Go back to the rules of an account without one (AWS IAM DeleteAccountPasswordPolicy). Raises NotFound."""
    account = authorize(services, caller, "iam:DeleteAccountPasswordPolicy", "*").principal.account
    with services.database.change() as connection:
        if not delete_password_policy(connection, account):
            raise _missing(account)
        record_change(connection, caller)


def password_policy_of(connection: Connection, account: str) -> PasswordPolicy | None:
    """None for an account that never got one."""
    settings = find_password_policy(connection, account)
    return None if settings is None else PasswordPolicy(**settings)


def _missing(account: str) -> NotFound:
    return NotFound(f"The Password Policy with domain name {account} cannot be found.")
