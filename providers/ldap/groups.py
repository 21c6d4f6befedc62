"""The groups of an entry: those that name it, by every kind of membership, and groups of groups.

``memberOf`` is what the directory says itself. A group search finds the rest: groups of names and ``posixGroup``;
nested ones by Active Directory's matching rule, or step by step with a limit to depth and number; and the primary
group, which Active Directory keeps out of ``memberOf``. The answer is whole, or there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from providers.errors import ProviderUnreachable
from providers.ldap.link import UNREACHABLE
from providers.ldap.names import NOBODY, equals, fill_filter, follow_chain
from providers.ldap.search import Entry, Search, find_entries
from providers.ldap.servers import Directory, Visit

DN = "dn"
"""As ``name_attribute``: a group is called by its DN."""
MAX_DEPTH = 20
MAX_GROUPS = 10_000
_DNS_A_QUERY = 50
"""Of a level of groups, as many are asked for together."""
_SECURITY_ENABLED = 0x80000000


@dataclass(frozen=True, slots=True)
class GroupRules:
    """Where groups are searched for. ``nested``: ``None``, ``Walk`` or ``InChain``."""

    base: str
    query: str
    name_attribute: str
    nested: str

    def template(self) -> str:
        """The filter, with Active Directory's rule in it if it is to follow groups of groups."""
        return follow_chain(self.query) if self.nested == "InChain" else self.query

    def first_query(self, dn: str, username: str, gid_number: str = NOBODY) -> str:
        """The filter for the groups that hold somebody."""
        return fill_filter(self.template(), dn=dn, username=username, gid_number=gid_number)

    def attributes(self) -> list[str]:
        return [*([] if self.name_attribute == DN else [self.name_attribute]), "groupType"]


@dataclass(frozen=True, slots=True)
class Seeker:
    """Asks one directory."""

    directory: Directory
    rules: GroupRules
    page_size: int

    def names(self, visit: Visit, person: Entry, username: str) -> tuple[str, ...]:
        """The names of every group of ``person``. Raises LinkBroken, ProviderUnreachable."""
        found = self._groups(visit, person, username)
        names = [name for group in found.values() if _grants(group) for name in self._called(group)]
        return tuple(sorted(set(names)))

    def _groups(self, visit: Visit, person: Entry, username: str) -> dict[str, Entry]:
        gid = next(iter(person.texts("gidNumber")), NOBODY)
        found = self._search(visit, self.rules.first_query(person.dn, username, gid))
        primary = self._primary(visit, person)
        if self.rules.nested == "None":
            return found | primary
        if self.rules.nested == "InChain":
            return found | primary | self._holders(visit, [group.dn for group in primary.values()])
        return self._walk(visit, found | primary)

    def _walk(self, visit: Visit, found: dict[str, Entry]) -> dict[str, Entry]:
        """Level by level, each group once: a loop ends by itself."""
        level = found
        for _ in range(MAX_DEPTH):
            if not level:
                return found
            holders = self._holders(visit, [group.dn for group in level.values()])
            level = {dn: group for dn, group in holders.items() if dn not in found}
            found = found | level
            if len(found) > MAX_GROUPS:
                raise _too_much(f"more than {MAX_GROUPS} groups")
        if level:
            raise _too_much(f"groups are nested deeper than {MAX_DEPTH}")
        return found

    def _holders(self, visit: Visit, dns: Sequence[str]) -> dict[str, Entry]:
        """The groups that hold one of ``dns``."""
        found: dict[str, Entry] = {}
        for start in range(0, len(dns), _DNS_A_QUERY):
            queries = "".join(fill_filter(self.rules.template(), dn=dn) for dn in dns[start : start + _DNS_A_QUERY])
            found |= self._search(visit, f"(|{queries})")
        return found

    def _primary(self, visit: Visit, person: Entry) -> dict[str, Entry]:
        """Active Directory's primary group: the account's SID with another last part ([MS-ADTS] 3.1.1.4.5.6)."""
        sid, group = person.first("objectSid"), person.first("primaryGroupID")
        if sid is None or group is None or len(sid) < 12 or not group.isdigit():
            return {}
        primary = sid[:-4] + int(group).to_bytes(4, "little")
        return self._search(visit, equals("objectSid", primary))

    def _search(self, visit: Visit, query: str) -> dict[str, Entry]:
        wanted = Search(self.rules.base, query, self.rules.attributes(), MAX_GROUPS)
        return {one.dn.lower(): one for one in find_entries(self.directory, visit, wanted, self.page_size)}

    def _called(self, group: Entry) -> Iterable[str]:
        return (group.dn,) if self.rules.name_attribute == DN else group.texts(self.rules.name_attribute)


def _grants(group: Entry) -> bool:
    """Active Directory's distribution groups are for mail alone ([MS-ADTS] 2.2.12, groupType)."""
    kind = group.first("groupType")
    return kind is None or bool(int(kind) & _SECURITY_ENABLED)


def _too_much(detail: str) -> ProviderUnreachable:
    return ProviderUnreachable(UNREACHABLE, detail=f"the account's groups are not whole: {detail}")
