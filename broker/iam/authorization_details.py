"""The whole account, page by page: who there is, with which policies (AWS IAM GetAccountAuthorizationDetails).

Users, groups, roles and policies are one sequence, in this order and each by name, so that a page holds what it shows
and nothing else. Of the product's policies those are shown that somebody in the account uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from broker.authorization import authorize
from broker.iam.entity_details import (
    GroupDetail,
    RoleDetail,
    UserDetail,
    group_details,
    role_details,
    user_details,
)
from broker.iam.named import account_of_caller
from broker.iam.pages import page_of
from broker.iam.policy_details import PolicyDetail, policy_details
from broker.services import Caller, Services
from broker.store.entities import Entity, Kind, list_entities
from broker.store.managed_policies import PolicyRecord, list_managed_policies
from broker.store.policy_usage import USAGES

_Item = Entity | PolicyRecord


@dataclass(frozen=True, slots=True)
class AuthorizationDetails:
    """IAM ``GetAccountAuthorizationDetailsResponse``."""

    user_detail_list: Sequence[UserDetail]
    group_detail_list: Sequence[GroupDetail]
    role_detail_list: Sequence[RoleDetail]
    policies: Sequence[PolicyDetail]
    is_truncated: bool
    marker: str | None


def get_account_authorization_details(
    services: Services,
    caller: Caller,
    *,
    filter: Sequence[str] = (),
    marker: str | None = None,
    max_items: int | None = None,
) -> AuthorizationDetails:
    """A page of everything, or of the kinds that ``filter`` names."""
    account = account_of_caller(caller)
    authorize(services, caller, "iam:GetAccountAuthorizationDetails", "*")
    sections = [name for name in _SECTIONS if not filter or name in filter]
    with services.database.read() as connection:

        def read(after: str, limit: int) -> Sequence[tuple[str, _Item]]:
            number, key = after[:1], after[1:]
            found: list[tuple[str, _Item]] = []
            for name in sections:
                own = _number(name)
                if own >= number and len(found) < limit:
                    behind = key if own == number else ""
                    items = _SECTIONS[name](connection, account, behind, limit - len(found))
                    found += [(own + _sort_key(item), item) for item in items]
            return found

        page = page_of(read, lambda item: item[0], marker, max_items)
        shown = [item for _, item in page.items]
        return AuthorizationDetails(
            user_details(connection, _of_kind(shown, "user")),
            group_details(connection, _of_kind(shown, "group")),
            role_details(connection, _of_kind(shown, "role")),
            policy_details(connection, account, [item for item in shown if isinstance(item, PolicyRecord)]),
            page.is_truncated,
            page.marker,
        )


_Read = Callable[[Connection, str, str, int], Sequence[_Item]]


def _entities(kind: Kind) -> _Read:
    return lambda connection, account, after, limit: list_entities(connection, account, kind, after=after, limit=limit)


def _own_policies(connection: Connection, account: str, after: str, limit: int) -> Sequence[_Item]:
    return list_managed_policies(connection, account, owners=("account",), after=after, limit=limit)


def _used_product_policies(connection: Connection, account: str, after: str, limit: int) -> Sequence[_Item]:
    return list_managed_policies(connection, account, owners=("product",), usages=USAGES, after=after, limit=limit)


_SECTIONS: Mapping[str, _Read] = {
    "User": _entities("user"),
    "Group": _entities("group"),
    "Role": _entities("role"),
    "LocalManagedPolicy": _own_policies,
    "AWSManagedPolicy": _used_product_policies,
}
"""The parts of the sequence: at most so many of an account, from behind a sort key."""


def _number(section: str) -> str:
    """One digit: sort keys begin with it."""
    return str(list(_SECTIONS).index(section))


def _sort_key(item: _Item) -> str:
    return item.sort_key if isinstance(item, PolicyRecord) else item.name.lower()


def _of_kind(items: Sequence[_Item], kind: Kind) -> list[Entity]:
    return [item for item in items if isinstance(item, Entity) and item.kind == kind]
