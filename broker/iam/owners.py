"""Whose credentials a request is about: a user's, or the account's root user's own.

IAM API Reference: without ``UserName`` "IAM determines the user name implicitly based on the access key ID signing the
request", and root manages its own credentials so.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from broker.domain.arn import root_arn
from broker.domain.principal import PrincipalKind
from broker.iam.named import account_of_caller, authorized_entity, still_there, user_or_caller
from broker.services import Caller, Services
from broker.store.entities import Entity, find_entity_by_name


@dataclass(frozen=True, slots=True)
class Owner:
    """Who has credentials; without a user it is the root user."""

    account: str
    user: Entity | None

    @property
    def user_id(self) -> str | None:
        """As rows of credentials have it."""
        return None if self.user is None else self.user.id

    @property
    def user_name(self) -> str | None:
        return None if self.user is None else self.user.name

    @property
    def arn(self) -> str:
        return root_arn(self.account) if self.user is None else self.user.arn

    def check_there(self, connection: Connection) -> None:
        """Raises NotFound if the user went meanwhile."""
        if self.user is not None:
            still_there(connection, self.user)


def authorized_owner(services: Services, caller: Caller, action: str, user_name: str | None) -> Owner:
    """The user of this name, or the caller itself, whose credentials the caller may so treat.

    Root is itself without a name, or under its account's number where the model demands a name. Raises AccessDenied,
    NotFound, ValidationFailed.
    """
    account = account_of_caller(caller)
    if caller.authenticated().principal.kind is PrincipalKind.ROOT and (
        user_name is None or (user_name == account and not _is_user(services, account, user_name))
    ):
        return Owner(account, None)
    return Owner(account, authorized_entity(services, caller, action, "user", user_or_caller(caller, user_name)))


def _is_user(services: Services, account: str, name: str) -> bool:
    with services.database.read() as connection:
        return find_entity_by_name(connection, account, "user", name) is not None
