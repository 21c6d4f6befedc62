"""Tags of users and roles: one way to add, to take away and to list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from broker.domain.session import Tag
from broker.iam.changes import record_change
from broker.iam.named import authorized_entity, changeable
from broker.iam.pages import page_within
from broker.iam.tags import parse_tags, tag_request, tagged, tags_of, untag_request, untagged
from broker.services import Caller, Services
from broker.store.entities import Kind, set_entity_tags


@dataclass(frozen=True, slots=True)
class TagList:
    """IAM ``ListUserTagsResponse`` and its like."""

    tags: Sequence[Tag]
    is_truncated: bool
    marker: str | None


def tag_entity(services: Services, caller: Caller, action: str, kind: Kind, name: str, tags: Sequence[Tag]) -> None:
    """Add tags, or give them new values. Raises LimitExceeded."""
    given = parse_tags(tags)
    entity = authorized_entity(services, caller, action, kind, name, tag_request(given))
    with services.database.change() as connection:
        present = changeable(connection, entity).tags
        set_entity_tags(connection, entity.id, tagged(present, given, services.settings.quotas.tags))
        record_change(connection, caller)


def untag_entity(services: Services, caller: Caller, action: str, kind: Kind, name: str, keys: Sequence[str]) -> None:
    """Take tags away."""
    entity = authorized_entity(services, caller, action, kind, name, untag_request(keys))
    with services.database.change() as connection:
        set_entity_tags(connection, entity.id, untagged(changeable(connection, entity).tags, keys))
        record_change(connection, caller)


def list_entity_tags(
    services: Services, caller: Caller, action: str, kind: Kind, name: str, marker: str | None, max_items: int | None
) -> TagList:
    """A page of the entity's tags, by key."""
    return tag_list(authorized_entity(services, caller, action, kind, name).tags, marker, max_items)


def tag_list(tags: Mapping[str, str], marker: str | None, max_items: int | None) -> TagList:
    """A page of any object's tags."""
    page = page_within(tags_of(tags), lambda tag: tag.key, marker, max_items)
    return TagList(page.items, page.is_truncated, page.marker)
