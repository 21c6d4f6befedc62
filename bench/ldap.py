"""What a directory login costs, against ldap3 as most programs use it, and what one that hangs costs the others.

``python -m bench.ldap`` starts OpenLDAP (slapd has to be installed) with 180 people and measures, with TLS verified on
either side: 1. logins (search, bind, groups) in one thread and in eight, the naive way, with two new connections for
each, and the broker's provider; 2. ``AssumeRoleWithLDAPIdentity`` over HTTP against H, the floor of ``bench.sts``; 3.
the latency of ``GetCallerIdentity`` at a fixed rate, while logins come in at a directory that answers, and at one that
hangs.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import ldap3
from ldap3.utils.conv import escape_filter_chars

from bench import calls
from bench.calls import AccessKey, read_access_key
from bench.load import require_wrk, run_wrk, send_all, write_requests
from bench.servers import Server, free_port
from bench.site import ACCOUNT, Site
from providers.base import LdapBind
from providers.ldap.gate import LoginGate
from providers.ldap.groups import GroupRules
from providers.ldap.provider import LdapProvider, LdapRules
from providers.ldap.servers import ServiceAccount

ONE_BAR, EIGHT_BAR, WIRE_BAR, HANG_BAR = 1.3, 1.5, 0.03, 2.0
_SCRIPT = Path(__file__).resolve().parents[1] / "tests" / "realm" / "openldap.sh"
_PEOPLE = 180
_LOGINS = 240
_CONNECTIONS = 4
"""Of wrk for logins: as many as one worker lets in at a time."""
_RATE, _ATTEMPTS = 200, 40
"""Calls of GetCallerIdentity a second, and attempts to log in a second meanwhile."""

Login = Callable[[str], int]
"""Log in; the number of groups."""


def naive(variables: Mapping[str, str]) -> Login:
    """Two new connections for each login, as ldap3's own documentation does it."""
    tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=variables["LDAP_CA_FILE"])

    def log_in(name: str) -> int:
        server = ldap3.Server(variables["LDAPS_URI"], tls=tls, get_info=ldap3.NONE)
        reader = ldap3.Connection(
            server, variables["LDAP_READER_DN"], variables["LDAP_READER_PASSWORD"], auto_bind=True
        )
        attributes = ["mail", "departmentNumber", "entryUUID", "uid"]
        reader.search(variables["LDAP_USER_BASE"], f"(uid={escape_filter_chars(name)})", attributes=attributes)
        dn = reader.response[0]["dn"]
        ldap3.Connection(server, dn, variables["LDAP_USER_PASSWORD"], auto_bind=True).unbind()
        reader.search(variables["LDAP_GROUP_BASE"], f"(member={escape_filter_chars(dn)})", attributes=["cn"])
        found = len(reader.response)
        reader.unbind()
        return found

    return log_in


def ours(variables: Mapping[str, str]) -> Login:
    """The broker's provider."""
    rules = LdapRules(
        servers=(variables["LDAPS_URI"],),
        authority=Path(variables["LDAP_CA_FILE"]).read_text(),
        service=ServiceAccount(variables["LDAP_READER_DN"], variables["LDAP_READER_PASSWORD"].encode()),
        user_base=variables["LDAP_USER_BASE"],
        user_filter="(uid={username})",
        user_template=None,
        groups=GroupRules(variables["LDAP_GROUP_BASE"], "(member={dn})", "cn", "None"),
        attributes=("mail", "departmentNumber"),
        unique_id_attribute=None,
        username_attribute=None,
        referral_servers=(),
        connect_seconds=2,
        answer_seconds=5,
        page_size=50,
    )
    provider = LdapProvider("bench", rules, LoginGate(8), lambda _: True)
    password = variables["LDAP_USER_PASSWORD"]

    def log_in(name: str) -> int:
        identity = provider.authenticate(LdapBind(name, password), now=datetime.now(UTC))
        return len(identity.attributes["groups"])

    return log_in


def rate(log_in: Login, threads: int, logins: int) -> tuple[float, float]:
    """Logins a second, and the processor milliseconds that each takes in this process."""
    numbers = itertools.count()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            while (number := next(numbers)) < logins:
                if log_in(f"user{number % _PEOPLE:03d}") != 1:
                    raise RuntimeError("a wrong answer")
        except BaseException as error:  # noqa: BLE001  # told by the main thread
            failures.append(error)

    began, used = time.perf_counter(), time.process_time()
    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failures:
        raise failures[0]
    return logins / (time.perf_counter() - began), (time.process_time() - used) / logins * 1e3


def compare(variables: Mapping[str, str], rounds: int) -> None:
    """1 of the module's text."""
    library, own = naive(variables), ours(variables)
    for threads, bar in ((1, ONE_BAR), (8, EIGHT_BAR)):
        ratios, costs = [], []
        for _ in range(rounds):
            slow, slow_cpu = rate(library, threads, _LOGINS // 2)
            fast, fast_cpu = rate(own, threads, _LOGINS * 2)
            ratios.append(fast / slow)
            costs.append(slow_cpu / fast_cpu)
            say(f"{threads} threads: naive {slow:.1f}/s {slow_cpu:.2f} ms CPU, ours {fast:.1f}/s {fast_cpu:.2f} ms CPU")
        verdict(f"logins, {threads} threads, x naive", statistics.median(ratios), bar)
        verdict(f"logins, {threads} threads, x naive by CPU", statistics.median(costs), bar)


class Served:
    """A broker with a directory that answers and one that hangs, and the floor."""

    def __init__(self, directory: Path, variables: Mapping[str, str], hanging_port: int) -> None:
        self._directory = directory
        self.site = Site(directory / "data")
        for name, text, mode in (
            ("ldap.password", variables["LDAP_READER_PASSWORD"], 0o600),
            ("ldap.pem", Path(variables["LDAP_CA_FILE"]).read_text(), 0o644),
        ):
            path = directory / "data" / name
            path.touch(mode=mode)
            path.write_text(text)
        with (directory / "data" / "accredit.toml").open("a", encoding="utf-8") as file:
            file.write(_provider("bench", variables["LDAPS_URI"], variables) + _role("people", "bench"))
            file.write(_provider("hangs", f"ldaps://127.0.0.1:{hanging_port}", variables) + _role("never", "hangs"))

    @contextlib.contextmanager
    def broker(self) -> Iterator[Server]:
        port = free_port()
        with self._serving("accredit", self.site.serve_command(port, 2, 8), port, "/readyz") as server:
            yield server

    @contextlib.contextmanager
    def floor(self) -> Iterator[Server]:
        port = free_port()
        with self._serving("floor", [sys.executable, "-m", "bench.floor", str(port), "2", "8"], port, "/") as server:
            yield server

    @contextlib.contextmanager
    def _serving(self, name: str, command: list[str], port: int, path: str) -> Iterator[Server]:
        server = Server(name, command, port, path=path, directory=self._directory)
        try:
            yield server
        finally:
            server.stop()


def measure_wire(served: Served, rounds: int, seconds: int, requests: Path) -> None:
    """2 of the module's text. Every answer has to be credentials."""
    with served.floor() as floor, served.broker() as broker:
        shares, costs = [], []
        for _ in range(rounds):
            write_requests(requests, [calls.constant_view(floor.port)])
            bottom = run_wrk(floor, requests, seconds=seconds)
            write_requests(requests, [log_in_call(broker.port, number) for number in range(_PEOPLE)])
            own = run_wrk(broker, requests, seconds=seconds, connections=_CONNECTIONS)
            if own.refused or own.socket_errors or not own.requests:
                raise SystemExit(f"AssumeRoleWithLDAPIdentity: {own}")
            shares.append(own.rate / bottom.rate)
            costs.append(bottom.cpu_us / own.cpu_us)
            say(f"H {bottom.rate:8.0f}/s; logins {own.rate:6.0f}/s, p99 {own.p99_ms:5.1f} ms, {own.cpu_us:5.0f} us CPU")
        verdict("AssumeRoleWithLDAPIdentity, x H", statistics.median(shares), WIRE_BAR)
        verdict("AssumeRoleWithLDAPIdentity, x H by CPU", statistics.median(costs), WIRE_BAR)


def measure_hang(served: Served, rounds: int, seconds: int) -> None:
    """3 of the module's text."""
    with served.broker() as broker:
        (_, answer), *_ = send_all(broker.port, [log_in_call(broker.port, 0)])
        keys = read_access_key(answer)
        quiet, hanging = [], []
        paced(broker.port, keys, 2)
        for _ in range(rounds):
            quiet.append(paced(broker.port, keys, seconds))
            with logging_in(broker.port, "never", "hangs") as outcomes:
                hanging.append(paced(broker.port, keys, seconds))
            told = ", ".join(f"{code} x {count}" for code, count in sorted(outcomes.items()))
            say(f"p99 quiet {quiet[-1]:.2f} ms, while a directory hangs {hanging[-1]:.2f} ms; logins answered {told}")
        ratio = statistics.median(hanging) / statistics.median(quiet)
        say(f"GetCallerIdentity's p99 while a directory hangs, x quiet: {ratio:.2f} (bar: at most {HANG_BAR})")


def paced(port: int, keys: AccessKey, seconds: int) -> float:
    """GetCallerIdentity's 99th percentile in milliseconds, at a fixed rate: late answers delay no later request."""
    connections, latencies = 8, []
    request = calls.get_caller_identity(port, keys)
    lock = threading.Lock()
    began = time.perf_counter() + 0.1
    numbers = itertools.count()

    def work() -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while (due := began + next(numbers) / _RATE) < began + seconds:
                time.sleep(max(0.0, due - time.perf_counter()))
                connection.sendall(request)
                answer = connection.recv(65_536)
                took = time.perf_counter() - due
                if b" 200 " not in answer[:20]:
                    raise RuntimeError(answer[:500].decode())
                with lock:
                    latencies.append(took * 1e3)

    workers = [threading.Thread(target=work) for _ in range(connections)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return statistics.quantiles(latencies, n=100)[98]


@contextlib.contextmanager
def logging_in(port: int, role: str, provider: str) -> Iterator[dict[int, int]]:
    """Attempts to log in, at a fixed rate, as long as the block runs; status -> how often it was answered."""
    over = threading.Event()
    outcomes: dict[int, int] = {}

    def work(number: int) -> None:
        while not over.wait(16 / _ATTEMPTS):
            with contextlib.suppress(OSError):
                (status, _), *_ = send_all(port, [log_in_call(port, number, role, provider)], connections=1)
                outcomes[status] = outcomes.get(status, 0) + 1

    workers = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(16)]
    for worker in workers:
        worker.start()
    try:
        yield outcomes
    finally:
        over.set()
        for worker in workers:
            worker.join(15)


@contextlib.contextmanager
def hanging_directory() -> Iterator[int]:
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        yield listener.getsockname()[1]


@contextlib.contextmanager
def openldap(state: Path) -> Iterator[dict[str, str]]:
    environment = {**os.environ, "NO_REPLICA": "1"}
    done = subprocess.run(["bash", _SCRIPT, "start", state], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"slapd does not start (apt-get install slapd ldap-utils): {done.stderr[-1000:]}")
    try:
        pairs = (line.partition("=") for line in done.stdout.splitlines())
        yield {name: value.strip("'") for name, _, value in pairs}
    finally:
        subprocess.run(["bash", _SCRIPT, "stop", state], capture_output=True, check=True)


def log_in_call(port: int, number: int, role: str = "people", provider: str = "bench") -> bytes:
    form = {
        "Action": "AssumeRoleWithLDAPIdentity",
        "Version": "2011-06-15",
        "LDAPUsername": f"user{number % _PEOPLE:03d}",
        "LDAPPassword": "Passw0rd!",
        "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/{role}",
        "ProviderArn": f"arn:aws:iam::{ACCOUNT}:ldap-provider/{provider}",
    }
    return calls.form_request(port, urlencode(form))


def _provider(name: str, url: str, variables: Mapping[str, str]) -> str:
    return f"""
[[identity_provider]]
kind = "ldap"
name = "{name}"
servers = ["{url}"]
ca_file = "ldap.pem"
bind_dn = "{variables["LDAP_READER_DN"]}"
bind_password_file = "ldap.password"
user_search = {{ base_dn = "{variables["LDAP_USER_BASE"]}", filter = "(uid={{username}})" }}
group_search = {{ base_dn = "{variables["LDAP_GROUP_BASE"]}", filter = "(member={{dn}})" }}
page_size = 50
"""


def _role(name: str, provider: str) -> str:
    arn = f"arn:aws:iam::{ACCOUNT}:ldap-provider/{provider}"
    statement = (
        f'{{"Effect": "Allow", "Principal": {{"Federated": "{arn}"}}, "Action": "sts:AssumeRoleWithLDAPIdentity"}}'
    )
    document = f'{{"Version": "2012-10-17", "Statement": [{statement}]}}'
    return f"\n[[role]]\nname = \"{name}\"\ntrust_policy = '{document}'\n"


def verdict(what: str, figure: float, bar: float) -> None:
    say(f"{what}: {figure:.3g} (bar {bar}){'' if figure >= bar else '  MISSED'}")


def say(text: str) -> None:
    print(text, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.ldap", description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of each run over HTTP")
    parser.add_argument("--directory", type=Path, help="where the temporary data directory is made; use a real disk")
    options = parser.parse_args()
    require_wrk()
    with (
        tempfile.TemporaryDirectory(prefix="accredit-bench-", dir=options.directory) as name,
        openldap(Path(name) / "openldap") as variables,
        hanging_directory() as port,
    ):
        compare(variables, options.rounds)
        served = Served(Path(name), variables, port)
        measure_wire(served, options.rounds, options.seconds, Path(name) / "requests")
        measure_hang(served, options.rounds, options.seconds)


if __name__ == "__main__":
    main()
