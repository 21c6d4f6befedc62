"""The role list as a person has it: favourites first, then what was used last, searched and in pages."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

from broker.services import Services
from broker.store.accounts import list_account_rows
from broker.store.favourite_roles import Mark, find_marks
from broker.sts.external import external_operation
from broker.sts.reachable_roles import ReachableRole, roles_of_external, roles_of_user
from broker.sts.why_not import why_not_external, why_not_user
from broker.web.calls import caller_of, new_record
from broker.web.sessions import BrowserSession, Person
from broker.web.site import Site

STS = "sts.amazonaws.com"
PAGE = 50
_RECENT = 5
_KEPT, _KEPT_SECONDS = 256, 10.0
_NEVER = Mark(False, None)


@dataclass(frozen=True, slots=True)
class Listed:
    """A role with the person's own marks."""

    role: ReachableRole
    alias: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class RolePage:
    """``found`` of ``total`` fit the search; ``first`` is the number of the first one shown."""

    roles: list[Listed]
    recent: list[Listed]
    found: int
    total: int
    first: int

    @property
    def last(self) -> int:
        return self.first + len(self.roles) - 1


def person_key(person: Person) -> str:
    """Who it is, as marks are kept: a digest, for a directory's subjects are nobody else's business."""
    external = person.external
    text = person.user_id if external is None else f"{external.provider}\x00{external.identity.subject}"
    return hashlib.sha256((text or "").encode("utf-8", "replace")).hexdigest()


class RoleLists:
    """The roles that people may assume, kept for some seconds: whoever searches asks again with each letter.

    What is kept is only ever shown; a choice is decided anew.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._kept: dict[tuple[str, str], tuple[int, float, list[ReachableRole]]] = {}

    def of(self, session: BrowserSession) -> list[ReachableRole]:
        """Those of the session's person, as seen from its present address, in the store's present state."""
        key = (session.digest, self._site.visit().origin.source_ip)
        revision, now = self._site.services.database.revision(), monotonic()
        found = self._kept.get(key)
        if found is None or found[0] != revision or now - found[1] > _KEPT_SECONDS:
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            found = self._kept[key] = (revision, now, reachable_roles(self._site, session))
        return found[2]


def list_roles(
    site: Site, session: BrowserSession, reachable: Sequence[ReachableRole], query: str, start: int
) -> RolePage:
    """The page of the list that begins behind the first ``start`` roles."""
    services = site.services
    with services.database.read() as connection:
        marks = find_marks(connection, person_key(session.person))
        aliases = {row.id: row.alias for row in list_account_rows(connection)}
    listed = [Listed(role, aliases.get(role.account, ""), marks.get(role.arn, _NEVER)) for role in reachable]
    found = sorted((one for one in listed if _matches(one, query)), key=lambda one: not one.mark.favourite)
    used = [one for one in listed if one.mark.used_at is not None]
    recent = sorted(used, key=lambda one: -(one.mark.used_at or 0))[:_RECENT] if not query and not start else []
    return RolePage(found[start : start + PAGE], recent, len(found), len(listed), start + 1)


def reachable_roles(site: Site, session: BrowserSession) -> list[ReachableRole]:
    """The roles that this person may assume."""
    services, visit = site.services, site.visit()
    caller = caller_of(services, visit, session, new_record(visit, STS, "AssumeRole"))
    external = session.person.external
    if external is None:
        return roles_of_user(services, caller, caller.authenticated().principal.user_name or "")
    record = services.catalog.provider(external.provider)
    return [] if record is None else roles_of_external(services, caller, record, external.identity)


def why_not(site: Site, session: BrowserSession, role_arn: str) -> str:
    """Why a role is not among them."""
    services, visit = site.services, site.visit()
    caller = caller_of(services, visit, session, new_record(visit, STS, "AssumeRole"))
    external = session.person.external
    if external is None:
        return why_not_user(services, caller, role_arn)
    record = services.catalog.provider(external.provider)
    return "" if record is None else why_not_external(services, caller, record, external.identity, role_arn)


def operation_of(services: Services, session: BrowserSession) -> str:
    """The STS operation that a choice of role stands for."""
    external = session.person.external
    record = None if external is None else services.catalog.provider(external.provider)
    return "AssumeRole" if record is None else external_operation(record)


def _matches(listed: Listed, query: str) -> bool:
    role = listed.role
    shown = f"{role.name} {role.account} {listed.alias} {role.description} {role.arn}".lower()
    return all(word in shown for word in query.lower().split())
