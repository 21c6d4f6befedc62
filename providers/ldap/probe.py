"""A login looked at stage by stage, for whoever connects a directory: what happened, and what to do about it."""

from __future__ import annotations

import shlex
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

import ldap3

from providers.base import ExternalIdentity
from providers.errors import ProviderError, ProviderUnreachable
from providers.ldap.account import entry_problem
from providers.ldap.link import Endpoint, Link, LinkBroken, connect, look_up
from providers.ldap.names import fill_name, is_dn_template
from providers.ldap.provider import LdapProvider, prove
from providers.ldap.search import Entry, find_few
from providers.ldap.servers import Visit

_ANY = "(objectClass=*)"


@dataclass(frozen=True, slots=True)
class Stage:
    """One step. ``passed`` is None if it was left out; ``fix`` says what to change, ``command`` how to see the same
    with OpenLDAP's client."""

    name: str
    passed: bool | None
    said: str
    fix: str = ""
    command: str = ""


@dataclass
class Probe:
    """Walks through a login by hand. ``identity`` is there if everything passed."""

    provider: LdapProvider
    username: str
    password: str | None
    now: datetime
    identity: ExternalIdentity | None = None
    _entry: Entry | None = field(default=None, repr=False)

    def stages(self) -> Iterator[Stage]:
        """Each stage as it ends; after one that failed only those that do not need it."""
        good: list[Link] = []
        for server in self.provider.directory.servers:
            for stage in self._reach(server.endpoint, good):
                yield stage
                if not stage.passed:
                    break
        if not good:
            return
        for step in (self._bind, self._base, self._find, self._prove, self._groups):
            stage = self._settled(step, good[0].endpoint)
            yield stage
            if stage.passed is False:
                return

    def _settled(self, step: Callable[[Visit], Stage], endpoint: Endpoint) -> Stage:
        """The stage, whatever the directory does."""
        server = next(one for one in self.provider.directory.servers if one.endpoint == endpoint)
        try:
            return self.provider.directory.follow(
                server, step, time.monotonic() + 2 * self.provider.reach.answer_seconds
            )
        except ProviderError as error:
            name = step.__name__.strip("_")
            return Stage(name, False, error.detail or error.message, "read what the directory says", self._command())

    def _reach(self, endpoint: Endpoint, good: list[Link]) -> Iterator[Stage]:
        reach = self.provider.reach
        until = time.monotonic() + reach.connect_seconds
        try:
            yield Stage("DNS", True, f"{endpoint.host} is {', '.join(look_up(endpoint, until))}")
        except OSError as error:
            yield Stage(
                "DNS", False, f"{endpoint.host}: {error}", "check the host in servers, and this machine's resolver"
            )
            return
        try:
            connect(endpoint, reach.allows, until).close()
            yield Stage("TCP", True, f"{endpoint.host} takes connections on port {endpoint.port}")
        except OSError as error:
            yield Stage("TCP", False, f"{endpoint.url}: {error}", _tcp_fix(endpoint, error))
            return
        link = Link(endpoint, reach)
        try:
            link.open(time.monotonic() + reach.connect_seconds)
            good.append(link)
            yield Stage("TLS", True, f"{endpoint.url} {'speaks TLS' if endpoint.tls else 'took StartTLS'}; verified")
            link.close()
        except LinkBroken as error:
            yield Stage("TLS", False, error.detail, _tls_fix(endpoint, error.detail), _s_client(endpoint))

    def _bind(self, visit: Visit) -> Stage:
        rules = self.provider.rules
        if self.provider.searches_as_user:
            return Stage("bind", None, "there is no service account: people search for themselves")
        name = rules.service.name or "nobody (anonymous)"
        link = visit.login_link()
        outcome = link.bind(rules.service.name, rules.service.password, visit.deadline)
        if outcome.code == 0:
            return Stage("bind", True, f"bound as {name}")
        fix = {
            49: "check bind_dn and the bind password: the directory knows no such pair",
            48: "the directory wants a service account: give bind_dn and its password",
            53: "the directory wants a service account: give bind_dn and its password",
        }.get(outcome.code, "read what the directory says")
        said = f"{name} was refused with result {outcome.code} {outcome.message}"
        return Stage("bind", False, said, fix, self._command(scope="base", base="", query=_ANY))

    def _base(self, visit: Visit) -> Stage:
        base = self.provider.rules.user_base
        if base is None or self.provider.searches_as_user:
            return Stage("base", None, "nobody is searched for before the login")
        page = visit.search_link().search(base, _ANY, ["1.1"], visit.deadline, scope=ldap3.BASE)
        command = self._command(scope="base", base=base, query=_ANY)
        if page.code == 0 and page.entries:
            return Stage("base", True, f"{base} is there", command=command)
        root = visit.search_link().search("", _ANY, ["namingContexts"], visit.deadline, scope=ldap3.BASE)
        contexts = [
            value.decode("utf-8", "replace") for _, found in root.entries for value in found.get("namingContexts", ())
        ]
        fix = f"correct base_dn, or let the service account read there; the directory has {', '.join(contexts) or '?'}"
        return Stage("base", False, f"{base}: result {page.code} {page.message}", fix, command)

    def _find(self, visit: Visit) -> Stage:
        """The user filter, and the DN that it leads to."""
        rules = self.provider.rules
        if rules.user_template is not None and is_dn_template(rules.user_template):
            self._entry = Entry(fill_name(rules.user_template, self.username), {})
            return Stage("user", True, f"the template makes {self._entry.dn}")
        if self.provider.searches_as_user:
            return Stage("user", None, "the search is made after the login")
        wanted = rules.search_for(self.username)
        found = find_few(self.provider.directory, visit, wanted)
        command = self._command(base=wanted.base, query=wanted.query)
        if len(found) == 1:
            self._entry = found[0]
            return Stage("user", True, f"{wanted.query} finds {found[0].dn}", command=command)
        if found:
            said, fix = f"{wanted.query} finds several", "narrow the filter: a user name must lead to one entry"
        else:
            said, fix = (
                f"{wanted.query} finds nobody",
                "check the filter, the base and what the service account may read",
            )
        return Stage("user", False, said, fix, command)

    def _prove(self, visit: Visit) -> Stage:
        if self.password is None:
            return Stage("password", None, "no password was given")
        template = self.provider.rules.user_template
        name = fill_name(template, self.username) if template else self._entry.dn if self._entry else ""
        problem = prove(visit, name, self.password)
        if problem is None and self._entry is not None:
            problem = entry_problem(self._entry.values, self.now)
        if problem is None:
            return Stage("password", True, f"{name} is who logs in")
        return Stage(
            "password",
            False,
            f"{name}: {problem}",
            _password_fix(problem),
            self._command(bind=name, base=name, scope="base"),
        )

    def _groups(self, visit: Visit) -> Stage:
        """The rest of the login, as it is made."""
        try:
            self.identity = self.provider.identify(visit, self.username, self.password, self.now)
        except ProviderError as error:
            return Stage("groups", False, error.detail, _groups_fix(error), self._command())
        if self.identity is None:
            return Stage("groups", None, "groups are found after the login alone")
        groups = self.identity.attributes["groups"]
        said = f"{len(groups)} groups: {', '.join(groups)}" if groups else "no groups"
        fix = "" if groups else "if there should be some, check group_search"
        return Stage("groups", True, said, fix, self._group_command())

    def _group_command(self) -> str:
        groups = self.provider.rules.groups
        if groups is None or self.identity is None:
            return ""
        (dn,) = self.identity.attributes["dn"]
        query = groups.first_query(dn, self.identity.attributes["username"][0])
        return self._command(base=groups.base, query=query)

    def _command(
        self, *, base: str | None = None, query: str = _ANY, scope: str = "sub", bind: str | None = None
    ) -> str:
        """``ldapsearch`` as the provider does it."""
        rules = self.provider.rules
        endpoint = self.provider.directory.servers[0].endpoint
        words = ["LDAPTLS_CACERT=ca.pem"] if rules.authority else []
        words += ["ldapsearch", "-x", "-H", f"{'ldaps' if endpoint.tls else 'ldap'}://{_host(endpoint)}"]
        words += [] if endpoint.tls else ["-ZZ"]
        who = bind or rules.service.name
        words += ["-D", who, "-W"] if who else []
        words += ["-s", scope, "-b", base if base is not None else (rules.user_base or ""), query]
        return " ".join(word if word.startswith("LDAPTLS") else shlex.quote(word) for word in words)


def _host(endpoint: Endpoint) -> str:
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return f"{host}:{endpoint.port}"


def _s_client(endpoint: Endpoint) -> str:
    options = "" if endpoint.tls else " -starttls ldap"
    return f"openssl s_client -connect {_host(endpoint)}{options} -showcerts"


def _tcp_fix(endpoint: Endpoint, error: OSError) -> str:
    if "allow_networks" in str(error):
        return "name the directory's network in allow_networks of [fetch]"
    return f"is the directory listening on port {endpoint.port}, and does a firewall let this machine through?"


def _tls_fix(endpoint: Endpoint, detail: str) -> str:
    if "Hostname mismatch" in detail or "IP address mismatch" in detail:
        return f"name the server as its certificate does: it is not for {endpoint.host}"
    if "expired" in detail:
        return "the directory's certificate has expired: it needs a new one"
    if ssl.SSLCertVerificationError.__name__ in detail:
        return "give the authority that signed the directory's certificate (ca_file, CertificateAuthority)"
    if "StartTLS" in detail:
        return "the directory does not take StartTLS: use ldaps:// in servers"
    return "does the directory speak TLS on this port? ldaps:// is port 636, ldap:// with StartTLS is port 389"


def _password_fix(problem: str) -> str:
    if "wrong password" in problem:
        return "type the password again"
    return "the account's owner or the directory's administrator has to put that right"


def _groups_fix(error: ProviderError) -> str:
    if isinstance(error, ProviderUnreachable) and "shows no" in error.detail:
        return "let the service account read that attribute, or name another one as unique_id_attribute"
    return "check group_search: base_dn, filter, and what the service account may read"
