"""The account's alias: a name for its number (IAM User Guide, "Use an alias for your AWS account ID").

No two accounts have the same. One that ``accredit.toml`` gives is changed there alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from broker.authorization import authorize
from broker.domain.arn import ACCOUNT_ID
from broker.errors import AlreadyExists, NotFound, ValidationFailed
from broker.iam.changes import record_change
from broker.iam.named import declared
from broker.iam.pages import page_within
from broker.services import Caller, Services
from broker.store.accounts import find_account, get_alias, set_alias


@dataclass(frozen=True, slots=True)
class AliasList:
    """IAM ``ListAccountAliasesResponse``: one at most."""

    account_aliases: Sequence[str]
    is_truncated: bool
    marker: str | None


def create_account_alias(services: Services, caller: Caller, *, account_alias: str) -> None:
    """Give the account this alias, instead of the one it had (AWS IAM CreateAccountAlias). Raises AlreadyExists."""
    account = authorize(services, caller, "iam:CreateAccountAlias", "*").principal.account
    if ACCOUNT_ID.fullmatch(account_alias):  # at sign-in it would be taken for an account's number
        raise ValidationFailed("An account alias must not look like an account ID.")
    with services.database.change() as connection:
        _check_changeable(services, account)
        if find_account(connection, account_alias) is not None:
            raise AlreadyExists(f"The account alias {account_alias} already exists.")
        set_alias(connection, account, account_alias)
        record_change(connection, caller)


def delete_account_alias(services: Services, caller: Caller, *, account_alias: str) -> None:
    """Take the alias away (AWS IAM DeleteAccountAlias). Raises NotFound if it is not the account's."""
    account = authorize(services, caller, "iam:DeleteAccountAlias", "*").principal.account
    with services.database.change() as connection:
        if get_alias(connection, account) != account_alias:
            raise NotFound(f"The account alias {account_alias} cannot be found.")
        _check_changeable(services, account)
        set_alias(connection, account, "")
        record_change(connection, caller)


def list_account_aliases(
    services: Services, caller: Caller, *, marker: str | None = None, max_items: int | None = None
) -> AliasList:
    """The account's alias, if it has one (AWS IAM ListAccountAliases)."""
    account = authorize(services, caller, "iam:ListAccountAliases", "*").principal.account
    with services.database.read() as connection:
        alias = get_alias(connection, account)
    page = page_within([alias] if alias else [], str, marker, max_items)
    return AliasList(page.items, page.is_truncated, page.marker)


def _check_changeable(services: Services, account: str) -> None:
    """Raises Unmodifiable if the configuration gives the account an alias."""
    if any(entry.id == account and entry.alias for entry in services.settings.account):
        raise declared("The account's alias")
