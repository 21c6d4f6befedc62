"""A directory as an identity provider: a user name and a password become an identity with attributes and groups."""

from __future__ import annotations

import base64
import ssl
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from providers.base import Evidence, ExternalIdentity, LdapBind
from providers.errors import CredentialsRejected, MalformedEvidence, ProviderUnreachable
from providers.ldap.account import STATE_ATTRIBUTES, bind_problem, deactivation, entry_problem, is_about_the_server
from providers.ldap.gate import LoginGate
from providers.ldap.groups import GroupRules, Seeker
from providers.ldap.link import UNREACHABLE, LinkBroken, Reach
from providers.ldap.names import REFUSED, anybody, check_credentials, equals, fill_filter, fill_name, is_dn_template
from providers.ldap.search import Entry, Search, find_entries, find_few, read_entry
from providers.ldap.servers import Directory, ServiceAccount, Visit

UNIQUE_IDS = ("objectGUID", "entryUUID", "ipaUniqueID", "nsUniqueId")
"""What stays the same when an entry is renamed or moved, and never comes back: the first that an entry has."""
USERNAMES = ("sAMAccountName", "uid", "userPrincipalName", "cn")
MEMBER_OF = "memberOf"
EVERY = "*"
_NEVER = frozenset({"userpassword", "unicodepwd", "dn", "username", "groups"})
_REFUSAL_SECONDS = 0.1
"""Refusals leave at multiples of this time: how long the directory took says nothing of what was wrong."""
_IDS_A_QUERY = 100


@dataclass(frozen=True, slots=True)
class LdapRules:
    """A registration. Either people are found by ``user_filter`` below ``user_base``, or ``user_template`` makes the
    name that they bind with; a template that makes no DN needs the search too. Times are in seconds."""

    servers: tuple[str, ...]
    authority: str | None
    service: ServiceAccount
    user_base: str | None
    user_filter: str | None
    user_template: str | None
    groups: GroupRules | None
    attributes: tuple[str, ...]
    unique_id_attribute: str | None
    username_attribute: str | None
    referral_servers: tuple[str, ...]
    connect_seconds: float
    answer_seconds: float
    page_size: int

    def unique_ids(self) -> tuple[str, ...]:
        return (self.unique_id_attribute,) if self.unique_id_attribute else UNIQUE_IDS

    def usernames(self) -> tuple[str, ...]:
        return (self.username_attribute,) if self.username_attribute else USERNAMES

    def search_for(self, username: str) -> Search:
        """The search for whoever has this user name."""
        return Search(self.user_base or "", fill_filter(self.user_filter or "", username=username), self.read())

    def read(self) -> list[str]:
        """What is read of somebody's entry."""
        of_groups = (MEMBER_OF,) if self.groups is None else ("gidNumber", "primaryGroupID", "objectSid")
        return list(
            dict.fromkeys((*self.attributes, *self.unique_ids(), *self.usernames(), *STATE_ATTRIBUTES, *of_groups))
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the directory says of a subject now: ``problem`` is why it should have no session, ``found`` whether it is
    there at all."""

    found: bool
    problem: str | None


class LdapProvider:
    """One registered directory."""

    def __init__(self, name: str, rules: LdapRules, gate: LoginGate, allows: Callable[[str], bool]) -> None:
        self._name, self._gate = name, gate
        self.rules = rules
        self.reach = Reach(_tls(rules.authority), allows, rules.connect_seconds, rules.answer_seconds)
        self.searches_as_user = rules.user_template is not None and not rules.service.name
        self.directory = Directory(
            rules.servers,
            self.reach,
            rules.service,
            2 * rules.answer_seconds,
            referrals=rules.referral_servers,
            by_themselves=self.searches_as_user,
        )

    def authenticate(self, evidence: Evidence, *, now: datetime) -> ExternalIdentity:
        """The identity of whoever has this name and password.

        1. The name and the password are of a form that may be sent. 2. There is a place for one more login. 3. The
        directory is asked, one server after the other. 4. A refusal waits until the next beat.

        Raises CredentialsRejected, ProviderBusy, ProviderUnreachable.
        """
        if not isinstance(evidence, LdapBind):
            raise MalformedEvidence("The evidence is not of this provider's kind.")
        check_credentials(evidence.username, evidence.password)  # 1
        with self._gate.place(self._name):  # 2
            began = time.monotonic()
            try:
                return self.directory.ask(lambda visit: self._log_in(visit, evidence, now))  # 3
            except CredentialsRejected:
                time.sleep(_REFUSAL_SECONDS - (time.monotonic() - began) % _REFUSAL_SECONDS)  # 4
                raise

    def prefetch(self) -> None:
        """There is nothing to fetch."""

    def close(self) -> None:
        """Close the kept connections."""
        self.directory.close()

    def check_subjects(self, subjects: Sequence[str], now: datetime) -> dict[str, Verdict]:
        """What the directory says of these subjects (``ExternalIdentity.subject``).

        Raises ProviderUnreachable, also if nobody but the people themselves may search.
        """
        if self.rules.user_base is None or self.rules.user_filter is None:
            raise ProviderUnreachable(UNREACHABLE, detail="without UserSearch nobody can be looked up")
        found: dict[str, Verdict] = {}
        for start in range(0, len(subjects), _IDS_A_QUERY):
            some = subjects[start : start + _IDS_A_QUERY]
            found |= self.directory.ask(lambda visit, some=some: self._check(visit, some, now))  # type: ignore[misc]  # a default holds the loop's value
        return found

    def _check(self, visit: Visit, subjects: Sequence[str], now: datetime) -> dict[str, Verdict]:
        ids = "".join(equals(name, value) for subject in subjects for name, value in self._id_values(subject))
        query = f"(&{anybody(self.rules.user_filter or '')}(|{ids}))"
        attributes = [*self.rules.unique_ids(), *STATE_ATTRIBUTES]
        entries = find_entries(
            self.directory, visit, Search(self.rules.user_base or "", query, attributes), self.rules.page_size
        )
        seen = {unique_id(self.rules, entry): entry for entry in entries}
        return {
            subject: Verdict(True, deactivation(seen[subject].values, now))
            if subject in seen
            else Verdict(False, "the directory has no such account any more")
            for subject in subjects
        }

    def _id_values(self, subject: str) -> Iterable[tuple[str, bytes]]:
        for name in self.rules.unique_ids():
            if name.lower() == "objectguid":
                try:
                    yield name, uuid.UUID(subject).bytes_le
                except ValueError:
                    continue
            else:
                yield name, subject.encode()

    def _log_in(self, visit: Visit, evidence: LdapBind, now: datetime) -> ExternalIdentity:
        """1. Who is it? 2. Does the password count for exactly that entry? 3. May the account log in? 4. Its groups.

        A name that is nobody's goes through step 2 too, with an entry that cannot be.
        """
        entry = self._find(visit, evidence)  # 1
        if entry is None:
            self._prove(visit, self._nobody(), evidence.password)  # 2
            raise CredentialsRejected(REFUSED, detail="nobody, or more than one, has this user name")
        problem = self._prove(visit, entry, evidence.password)
        if problem is None:
            entry = self._whole(visit, entry)
            problem = entry_problem(entry.values, now)  # 3
        if problem is not None:
            raise CredentialsRejected(REFUSED, detail=f"{entry.dn[:512]}: {problem}")
        return self._describe(visit, entry, now)  # 4

    def identify(self, visit: Visit, username: str, password: str | None, now: datetime) -> ExternalIdentity | None:
        """The identity that a login would make, for a probe; None if it takes a password and there is none.

        Raises LinkBroken, ProviderError.
        """
        if password is not None:
            return self._log_in(visit, LdapBind(username, password), now)
        if self.searches_as_user:
            return None
        entry = self._find(visit, LdapBind(username, ""))
        return None if entry is None else self._describe(visit, self._whole(visit, entry), now)

    def _describe(self, visit: Visit, entry: Entry, now: datetime) -> ExternalIdentity:
        username = self._username(entry)
        return self._identity(entry, username, self._groups(visit, entry, username), now)

    def _find(self, visit: Visit, evidence: LdapBind) -> Entry | None:
        """The one entry of this name; of none or several, None. One without values has still to be read."""
        template = self.rules.user_template
        if template is not None and is_dn_template(template):
            return Entry(fill_name(template, evidence.username), {})
        if template is not None:
            problem = prove(visit, fill_name(template, evidence.username), evidence.password)
            if problem is not None:
                raise CredentialsRejected(REFUSED, detail=problem)
        found = find_few(self.directory, visit, self.rules.search_for(evidence.username))
        return found[0] if len(found) == 1 else None

    def _prove(self, visit: Visit, entry: Entry, password: str) -> str | None:
        """Bind where the entry is: why the password does not count, or None."""
        if entry.server is None:
            return prove(visit, entry.dn, password)
        return self.directory.follow(entry.server, lambda there: prove(there, entry.dn, password), visit.deadline)

    def _nobody(self) -> Entry:
        return Entry(f"cn={uuid.uuid4()},{self.rules.user_base}", {})

    def _whole(self, visit: Visit, entry: Entry) -> Entry:
        """The entry with its values; that of a template has still to be read."""
        if entry.values:
            return entry
        found = read_entry(visit.search_link(), visit.deadline, entry.dn, self.rules.read())
        if found is None:
            raise ProviderUnreachable(UNREACHABLE, detail=f"{entry.dn[:512]} logged in, but nobody may read the entry")
        return found

    def _username(self, entry: Entry) -> str:
        """The directory's spelling, whatever was typed."""
        for attribute in self.rules.usernames():
            for value in entry.texts(attribute):
                return value
        raise ProviderUnreachable(UNREACHABLE, detail=f"{entry.dn[:512]} has no {' or '.join(self.rules.usernames())}")

    def _groups(self, visit: Visit, entry: Entry, username: str) -> tuple[str, ...]:
        if self.rules.groups is None:
            return tuple(sorted(entry.texts(MEMBER_OF)))
        return Seeker(self.directory, self.rules.groups, self.rules.page_size).names(visit, entry, username)

    def _identity(self, entry: Entry, username: str, groups: tuple[str, ...], now: datetime) -> ExternalIdentity:
        subject = unique_id(self.rules, entry)
        if subject is None:
            raise ProviderUnreachable(
                UNREACHABLE, detail=f"{entry.dn[:512]} shows no {' or '.join(self.rules.unique_ids())}"
            )
        own = {"dn": (entry.dn,), "username": (username,), "groups": groups}
        return ExternalIdentity(
            provider=self._name,
            issuer=self._name,
            subject=subject,
            audience=(self._name,),
            attributes={**_attributes(self.rules, entry), **own},
            assertion_id=None,
            authenticated_at=now,
            expires_at=now,
        )


def prove(visit: Visit, name: str, password: str) -> str | None:
    """Bind as ``name``: why the password does not count, or None. Raises LinkBroken.

    Whom the directory then takes us for must not be nobody (RFC 4513, 5.1.2).
    """
    link = visit.login_link()
    outcome = link.bind(name, password.encode(), visit.deadline)
    if is_about_the_server(outcome):
        raise LinkBroken(f"{link.endpoint.url} refused a bind with result {outcome.code} {outcome.message}")
    problem = bind_problem(outcome)
    if problem is None and link.who_am_i(visit.deadline) == "":
        problem = "the directory took the password for nobody's"
    return problem


def unique_id(rules: LdapRules, entry: Entry) -> str | None:
    """The subject: what stays the same in the directory."""
    for name in rules.unique_ids():
        value = entry.first(name)
        if value:
            return _text(name, value)
    return None


def _attributes(rules: LdapRules, entry: Entry) -> dict[str, tuple[str, ...]]:
    """Those that the registration names; ``*`` names all that are text."""
    found = {}
    if EVERY in rules.attributes:
        found = {name: entry.texts(name) for name in entry.values if name not in _NEVER}
    for name in rules.attributes:
        if name != EVERY:
            found.pop(name.lower(), None)
            found[name] = tuple(_text(name, value) for value in entry.values.get(name.lower(), ()))
    return {name: values for name, values in found.items() if values}


def _text(name: str, value: bytes) -> str:
    """UUIDs and SIDs as everybody writes them, other octets in base64."""
    if name.lower() == "objectguid" and len(value) == 16:
        return str(uuid.UUID(bytes_le=value))
    if name.lower() == "objectsid" and len(value) >= 8:
        return _sid(value)
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return base64.b64encode(value).decode()


def _sid(value: bytes) -> str:
    """``S-1-5-21-…`` ([MS-DTYP] 2.4.2)."""
    parts = [int.from_bytes(value[start : start + 4], "little") for start in range(8, len(value) - 3, 4)]
    return "-".join(map(str, ["S", value[0], int.from_bytes(value[2:8], "big"), *parts]))


def _tls(authority: str | None) -> ssl.SSLContext:
    """Verifies, and takes TLS 1.2 or later; ``authority`` (PEM) is then the only one."""
    context = ssl.create_default_context(cadata=authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
