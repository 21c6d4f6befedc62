"""Running the server: reload, drain, TLS, proxies, both engines, several workers, key rotation, a crash, the demo."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sqlite3
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from realm import wire
from realm.components import ROOT, program
from realm.server import ACCOUNT, REGION, BrokerServer, Keys, accredit, clean_environment, refused, serving
from realm.site import allow, federated, identity_provider, policy, role, role_arn, trust, user
from realm.token_issuer import TokenIssuer

MakeBroker = Callable[..., BrokerServer]
SOON = 15.0
OBJECTS = "\n".join(
    (
        user("ops", may=[allow("sts:*")], secret_file="ops.secret"),
        role("first", trust({"AWS": ACCOUNT}), may=[allow("sts:*")]),
    )
)
LATER = role("later", trust({"AWS": ACCOUNT}))


def _broker(make_broker: MakeBroker, objects: str = "", **fields: Any) -> BrokerServer:
    made = make_broker(**fields)
    secret_file = made.directory / "ops.secret"
    secret_file.touch(mode=0o600)
    secret_file.write_text("s" * 40)
    made.add(OBJECTS + objects)
    return made


def _ops(broker: BrokerServer) -> Keys:
    found = json.loads(accredit("config", "check", "--json", broker.directory))["access_keys"]
    return next(Keys(key_id, "s" * 40) for key_id, name in found.items() if name == "ops")


def _assume(broker: BrokerServer, keys: Keys, name: str = "first") -> wire.Answer:
    """On a connection of its own."""
    return wire.call(broker, keys, "AssumeRole", RoleArn=role_arn(name), RoleSessionName="operation")


@dataclass
class Load:
    """Callers that go on until told to stop; what went wrong is kept."""

    work: Callable[[], None]
    callers: int = 2
    done: int = 0
    failures: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.work()
            except Exception as error:  # noqa: BLE001  # whatever it is, the test tells it
                self.failures.append(f"{time.strftime('%X')} {error!r}"[:400])
            self.done += 1

    @contextlib.contextmanager
    def running(self) -> Iterator[Load]:
        threads = [threading.Thread(target=self._run) for _ in range(self.callers)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()


def _until(condition: Callable[[], bool], what: str, seconds: float = SOON) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def _good(answer: wire.Answer) -> None:
    assert answer.status == 200, answer


# --- reload and drain ---------------------------------------------------------------------------------------------

ENGINES = ("granian", "gunicorn")


@pytest.mark.parametrize("engine", ENGINES)
def test_reload_brings_new_objects_and_loses_no_request(make_broker: MakeBroker, engine: str) -> None:
    with serving(_broker(make_broker, settings={"server.engine": engine, "server.workers": 2})) as broker:
        keys = _ops(broker)
        with refused("AccessDenied"):
            broker.client(keys).assume_role(RoleArn=role_arn("later"), RoleSessionName="operation")
        before = set(broker.workers())
        again: list[str] = []

        def work() -> None:
            try:
                _good(_assume(broker, keys))
            except OSError as error:  # accepted by a worker that was just closing: every AWS client tries again
                again.append(repr(error))
                _good(_assume(broker, keys))

        with Load(work).running() as load:
            broker.add(LATER)
            broker.reload()
            _until(lambda: _assume(broker, keys, "later").status == 200, "the new role cannot be assumed")
            _until(lambda: not before & set(broker.workers()), "the workers were not replaced")
        assert not load.failures, (load.done, load.failures)
        assert load.done > 10
        assert len(again) <= 2, again


@pytest.mark.parametrize(("engine", "replaced_after"), [("granian", 3.5), ("gunicorn", 0.0)])
def test_a_reload_finishes_a_running_request(make_broker: MakeBroker, engine: str, replaced_after: float) -> None:
    """Half of the body is there when the worker is told to go, the rest comes later."""
    with serving(_broker(make_broker, settings={"server.engine": engine, "server.workers": 1})) as broker:
        body = wire.form("GetCallerIdentity")
        headers = wire.signed_headers(broker, _ops(broker), body) | {"Content-Length": str(len(body))}
        with socket.create_connection(("127.0.0.1", broker.port), timeout=20) as connection:
            connection.sendall(wire.head("POST", "/", headers) + body[:10])
            time.sleep(0.3)
            broker.reload()
            time.sleep(replaced_after + 1)
            connection.sendall(body[10:])
            _good(wire.receive(connection))


BROKEN = {
    "no TOML": "[[[",
    "unknown key": "[[role]]\nnam = 1",
    "bad policy": '[[role]]\nname = "broken"\ntrust_policy = "{"',
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_configuration_is_not_applied(make_broker: MakeBroker, engine: str, what: str) -> None:
    """The old state goes on in new workers, the log says what is wrong; a good file is applied afterwards."""
    with serving(_broker(make_broker, settings={"server.engine": engine, "server.workers": 2})) as broker:
        keys = _ops(broker)
        file = broker.directory / "accredit.toml"
        good, before = file.read_text(), set(broker.workers())
        broker.add(BROKEN[what])
        _reload_in_vain(broker, keys, before)
        os.kill(broker.workers()[0], signal.SIGKILL)  # one that is started later is built from the old state too
        _until(lambda: len(broker.workers()) == 2, "the worker does not come back")
        file.write_text(good)
        broker.add(LATER)
        broker.reload()
        _until(lambda: _call_again(broker, keys, "later").status == 200, "the good configuration is not applied")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_store_that_refuses_a_configuration_does_not_stop_the_service(make_broker: MakeBroker, engine: str) -> None:
    """An error that is none of ours on reload."""
    with serving(_broker(make_broker, settings={"server.engine": engine, "server.workers": 1})) as broker:
        keys, before = _ops(broker), set(broker.workers())
        with contextlib.closing(sqlite3.connect(broker.database, timeout=10)) as connection, connection:
            connection.execute(
                "CREATE TRIGGER refuse BEFORE INSERT ON entities BEGIN SELECT RAISE(ABORT, 'refused by the test'); END"
            )
        broker.add(LATER)
        _reload_in_vain(broker, keys, before)
        assert "refused by the test" in broker.log()
        started = time.monotonic()
        assert broker.stop() == 0
        assert time.monotonic() - started < 10


def _reload_in_vain(broker: BrokerServer, keys: Keys, before: set[int]) -> None:
    broker.reload()
    _until(lambda: "configuration not applied" in broker.log(), "the log does not say it")
    _until(lambda: broker.workers() and not before & set(broker.workers()), "the workers were not replaced")
    for _ in range(20):
        _good(_call_again(broker, keys, "first"))
        time.sleep(0.02)


def _call_again(broker: BrokerServer, keys: Keys, name: str) -> wire.Answer:
    """As clients do whose connection was accepted by a worker that was just ending."""
    try:
        return _assume(broker, keys, name)
    except OSError:
        return _assume(broker, keys, name)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_stop_finishes_a_running_request(make_broker: MakeBroker, engine: str) -> None:
    """Half of the body is there when SIGTERM comes, the rest later: the call is answered, then the server ends."""
    with serving(_broker(make_broker, settings={"server.engine": engine, "server.workers": 1})) as broker:
        body = wire.form("GetCallerIdentity")
        headers = wire.signed_headers(broker, _ops(broker), body) | {"Content-Length": str(len(body))}
        with socket.create_connection(("127.0.0.1", broker.port), timeout=20) as connection:
            connection.sendall(wire.head("POST", "/", headers) + body[:10])
            time.sleep(0.3)
            assert broker.process is not None
            broker.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            connection.sendall(body[10:])
            answer = wire.receive(connection)
        _good(answer)
        assert broker.stop() == 0
        assert len(broker.events(answer.request_id)) == 1


def test_a_hanging_issuer_holds_up_nobody_and_a_stop_waits_for_it(make_broker: MakeBroker) -> None:
    """The token's keys take a second to come: other calls are answered meanwhile, and a stop loses nothing."""
    issuer = _SlowIssuer()
    objects = identity_provider(issuer.issuer) + role("slow", federated(issuer.issuer))
    made = _broker(make_broker, objects, settings={"fetch.allow_http_loopback": True, "server.workers": 1})
    try:
        with serving(made) as broker, ThreadPoolExecutor(2) as pool:
            keys = _ops(broker)
            body = wire.form(
                "AssumeRoleWithWebIdentity",
                RoleArn=role_arn("slow"),
                RoleSessionName="slow",
                WebIdentityToken=issuer.token("somebody"),
            )
            waiting = pool.submit(wire.post, broker, body)
            _until(lambda: bool(issuer.requests), "the keys were not asked for")
            for _ in range(5):
                _good(wire.call(broker, keys))
            assert not waiting.done()
            assert broker.process is not None
            broker.process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            issuer.go.set()
            _good(waiting.result(20))
            assert broker.stop() == 0
    finally:
        issuer.go.set()
        issuer.close()


class _SlowIssuer(TokenIssuer):
    """Publishes nothing before ``go`` is set."""

    def __init__(self) -> None:
        self.go = threading.Event()
        super().__init__()

    def document(self, path: str) -> dict[str, Any] | None:
        self.requests.append(path)
        self.go.wait(20)
        return super().document(path)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_stop_does_not_wait_for_a_worker_that_is_starting(make_broker: MakeBroker, engine: str) -> None:
    """It has no request to finish."""
    settings = {"server.engine": engine, "server.workers": 2, "server.drain_seconds": 10}
    with serving(_broker(make_broker, settings=settings)) as broker:
        before = broker.workers()
        os.kill(before[0], signal.SIGKILL)
        _until(lambda: bool(set(broker.workers()) - set(before)), "the worker does not come back")
        started = time.monotonic()
        broker.stop()
        assert time.monotonic() - started < 5


# --- engines and workers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_two_workers_know_each_others_credentials(make_broker: MakeBroker, engine: str) -> None:
    """Both engines; every call on a connection of its own, so that both workers get some."""
    with serving(_broker(make_broker, options=("--engine", engine, "--workers", "2"))) as broker:
        _until(lambda: len(broker.workers()) == 2, "the second worker does not start")
        keys = _ops(broker)
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: _assume(broker, keys), range(40)))
            for answer in answers:
                _good(answer)
            sessions = [_keys(answer) for answer in answers]
            for answer in pool.map(lambda one: wire.call(broker, one), sessions):
                _good(answer)
        issued = {
            event["responseElements"]["credentials"]["accessKeyId"] for event in broker.events(eventName="AssumeRole")
        }
        assert issued == {session.access_key_id for session in sessions}


def _keys(answer: wire.Answer) -> Keys:
    return Keys(*(answer.element(name) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")))


@pytest.mark.parametrize("engine", ENGINES)
def test_log_lines_are_json_from_start_to_stop(make_broker: MakeBroker, engine: str) -> None:
    with serving(_broker(make_broker, settings={"server.engine": engine})) as broker:
        wire.send(broker, b"nonsense\r\n\r\n", finished=True)
        wire.call(broker, _ops(broker))
        broker.reload()
        _until(lambda: wire.ask(broker, "GET", "/readyz").status == 200, "not ready after a reload")
    for line in broker.log().splitlines():
        assert json.loads(line)["level"] in ("debug", "info", "warning", "error"), line
    assert '"serving"' in broker.log()


def test_a_provider_that_cannot_be_used_does_not_stop_housekeeping(make_broker: MakeBroker) -> None:
    """Other providers' keys are fetched all the same, and changes of another node are still noticed."""
    issuer = TokenIssuer()
    objects = identity_provider("https://broken.example.com") + identity_provider(issuer.issuer)
    settings = {"fetch.allow_http_loopback": True, "server.workers": 1}
    with contextlib.closing(issuer), serving(_broker(make_broker, objects, settings=settings)) as broker:
        keys = _ops(broker)
        _until(lambda: bool(issuer.requests), "the keys were not fetched")
        _good(_assume(broker, keys))
        _other_node(
            broker,
            "UPDATE identity_providers SET settings = json_set(settings, '$.jwks', 'no JWKS') "
            "WHERE issuer = 'https://broken.example.com'",
        )
        _until(lambda: "cannot be prepared" in broker.log(), "the log does not say it")
        for name in ("first", "second"):
            _other_node(broker, f"UPDATE entities SET arn = '{role_arn(name)}' WHERE kind = 'role'")
            _until(lambda name=name: _assume(broker, keys, name).status == 200, "a change was not noticed")


def _other_node(broker: BrokerServer, statement: str) -> None:
    """Change the store as another node does: nobody here is told."""
    with contextlib.closing(sqlite3.connect(broker.database, timeout=10)) as connection, connection:
        connection.execute(statement)
        connection.execute("UPDATE revision SET value = value + 1")


# --- keys ---------------------------------------------------------------------------------------------------------


def test_keys_rotate_under_load(make_broker: MakeBroker) -> None:
    """Zero failures, in calls with new and with old credentials."""
    with serving(_broker(make_broker, settings={"keys.activation_seconds": 1, "server.workers": 2})) as broker:
        keys = _ops(broker)
        oldest = _keys(_assume(broker, keys))

        def work() -> None:
            answer = _assume(broker, keys)
            _good(answer)
            _good(wire.call(broker, _keys(answer)))
            _good(wire.call(broker, oldest))

        with Load(work).running() as load:
            for count in (2, 3):
                accredit("keys", "rotate", broker.directory)
                wanted = ["sealing", *["opening"] * (count - 1)]
                _until(lambda wanted=wanted: _states(broker) == wanted, "the new key does not become active")
            newest = _listed(broker)[0]["key_id"]
            _until(lambda: _sealed_by(_keys(_assume(broker, keys))) == newest, "the new key does not seal")
        assert not load.failures, (load.done, load.failures)
        assert _sealed_by(oldest) != newest
        assert len(broker.events(eventName="RotateKey")) == 2


def _listed(broker: BrokerServer) -> list[dict[str, Any]]:
    return json.loads(accredit("keys", "list", broker.directory, "--json"))


def _states(broker: BrokerServer) -> list[str]:
    return [key["state"] for key in _listed(broker)]


def _sealed_by(keys: Keys) -> int:
    from broker.credentials.session_token import parse_token

    return parse_token(str(keys.session_token)).unverified_key_id


# --- a crash ------------------------------------------------------------------------------------------------------


def test_no_credential_without_its_event_when_a_worker_is_killed(make_broker: MakeBroker) -> None:
    """kill -9 in the middle of AssumeRole load: what a caller holds is in the record; the worker comes back."""
    with serving(_broker(make_broker, settings={"server.workers": 2, "server.drain_seconds": 5})) as broker:
        keys = _ops(broker)
        received: list[str] = []

        def work() -> None:
            with contextlib.suppress(OSError):  # connections to the killed worker break
                answer = _assume(broker, keys)
                if answer.status == 200:
                    received.append(answer.element("AccessKeyId"))

        with Load(work, callers=4).running() as load:
            for _ in range(2):
                count = len(received)
                _until(lambda count=count: len(received) > count + 40, "too slow")
                before = broker.workers()
                os.kill(before[0], signal.SIGKILL)
                _until(
                    lambda before=before: len(broker.workers()) == 2 and before[0] not in broker.workers(),
                    "the worker does not come back",
                )
        assert not load.failures, load.failures
        events = broker.events(eventName="AssumeRole")
        recorded = [
            event["responseElements"]["credentials"]["accessKeyId"] for event in events if "errorCode" not in event
        ]
        assert len(received) > 80
        assert not set(received) - set(recorded)
        assert len(set(recorded)) == len(recorded)
        _until(broker.is_ready, "nobody answers")  # both workers may have been on their way back
        _good(_assume(broker, keys))


# --- TLS ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``certs/make`` makes."""
    directory = tmp_path_factory.mktemp("certs")
    subprocess.run([ROOT / "certs" / "make", directory], check=True, timeout=60, stdout=subprocess.DEVNULL)
    return directory


def test_certificates_are_made_once_and_for_the_owner_alone(certificates: Path) -> None:
    before = {path.name: path.read_bytes() for path in certificates.iterdir()}
    assert set(before) == {"ca.pem", "ca.key", "server.pem", "server.key"}
    subprocess.run([ROOT / "certs" / "make", certificates], check=True, timeout=60, stdout=subprocess.DEVNULL)
    assert {path.name: path.read_bytes() for path in certificates.iterdir()} == before
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in certificates.glob("*.key"))
    (certificates / "server.pem").unlink()
    subprocess.run([ROOT / "certs" / "make", certificates], check=True, timeout=60, stdout=subprocess.DEVNULL)
    assert (certificates / "ca.pem").read_bytes() == before["ca.pem"]


SECURE = role("secure", trust({"AWS": ACCOUNT}, Bool={"aws:SecureTransport": "true"}))


@pytest.mark.parametrize("engine", ENGINES)
def test_tls(make_broker: MakeBroker, certificates: Path, engine: str) -> None:
    options = ("--tls-cert", str(certificates / "server.pem"), "--tls-key", str(certificates / "server.key"))
    options += ("--workers", "1", "--engine", engine)
    with serving(_broker(make_broker, SECURE, options=options, scheme="https")) as broker:
        keys = _ops(broker)
        bundle = str(certificates / "ca.pem")
        for host in ("127.0.0.1", "localhost"):
            sts = boto3.session.Session(keys.access_key_id, keys.secret_access_key, region_name=REGION).client(
                "sts", endpoint_url=f"https://{host}:{broker.port}", verify=bundle
            )
            assert sts.get_caller_identity()["Account"] == ACCOUNT
            assert sts.assume_role(RoleArn=role_arn("secure"), RoleSessionName="tls")["Credentials"]
            sts.close()
        done = subprocess.run(
            [program("aws"), "sts", "get-caller-identity", "--region", REGION],
            env=clean_environment()
            | keys.environment()
            | {"AWS_CA_BUNDLE": bundle, "AWS_ENDPOINT_URL_STS": broker.url},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert json.loads(done.stdout)["Account"] == ACCOUNT, done.stderr
        with pytest.raises(ssl.SSLCertVerificationError), socket.create_connection(("127.0.0.1", broker.port)) as plain:
            ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")


# --- behind a proxy -----------------------------------------------------------------------------------------------

OFFICE = "203.0.113.0/24"
BEHIND_PROXY = role("from-office", trust({"AWS": ACCOUNT}, IpAddress={"aws:SourceIp": OFFICE})) + SECURE


def _forwarded(broker: BrokerServer, keys: Keys, name: str, **headers: str) -> tuple[int, str]:
    """The status, and the source address in the record."""
    body = wire.form("AssumeRole", RoleArn=role_arn(name), RoleSessionName="proxy")
    signed = wire.signed_headers(broker, keys, body)
    extra = {f"X-Forwarded-{key.capitalize()}": value for key, value in headers.items()}
    answer = wire.post(broker, body, signed | extra)
    return answer.status, broker.event(answer.request_id)["sourceIPAddress"]


@pytest.mark.parametrize("engine", ENGINES)
def test_forwarded_addresses_are_believed_of_configured_proxies_alone(make_broker: MakeBroker, engine: str) -> None:
    networks = ["127.0.0.0/8", "10.0.0.0/8"]
    settings = {"server.trusted_proxies": networks, "server.workers": 1, "server.engine": engine}
    with serving(_broker(make_broker, BEHIND_PROXY, settings=settings)) as broker:
        keys = _ops(broker)
        assert _forwarded(broker, keys, "from-office") == (403, "127.0.0.1")
        assert _forwarded(broker, keys, "from-office", **{"for": "203.0.113.7"}) == (200, "203.0.113.7")
        assert _forwarded(broker, keys, "from-office", **{"for": "1.2.3.4, 203.0.113.7, 10.1.1.1"}) == (
            200,
            "203.0.113.7",
        )
        assert _forwarded(broker, keys, "from-office", **{"for": "203.0.113.7, 1.2.3.4"}) == (403, "1.2.3.4")
        assert _forwarded(broker, keys, "from-office", **{"for": "203.0.113.7, nonsense"})[0] == 403
        assert _forwarded(broker, keys, "secure", **{"for": "1.2.3.4", "proto": "https"})[0] == 200
        assert _forwarded(broker, keys, "secure", **{"for": "1.2.3.4", "proto": "http"})[0] == 403


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("networks", [[], ["10.0.0.0/8"]])
def test_forwarded_addresses_of_anybody_else_are_not_believed(
    make_broker: MakeBroker, networks: list[str], engine: str
) -> None:
    settings = {"server.trusted_proxies": networks, "server.workers": 1, "server.engine": engine}
    with serving(_broker(make_broker, BEHIND_PROXY, settings=settings)) as broker:
        keys = _ops(broker)
        assert _forwarded(broker, keys, "from-office", **{"for": "203.0.113.7"}) == (403, "127.0.0.1")
        assert _forwarded(broker, keys, "secure", proto="https") == (403, "127.0.0.1")


# --- the command line ---------------------------------------------------------------------------------------------


def test_the_demonstration() -> None:
    """The README's first command."""
    done = subprocess.run(
        [ROOT / "bin" / "demo", "--check"], env=clean_environment(), capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all steps passed" in done.stdout
    assert "AssumeRoleWithWebIdentity" in done.stdout


def test_a_configured_root_cannot_be_locked_in(make_broker: MakeBroker) -> None:
    """The key that init showed works, and the audit record can be read from the command line."""
    with serving(_broker(make_broker, settings={"server.workers": 1})) as broker:
        identity = broker.client(broker.root).get_caller_identity()
        assert identity["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"
        broker.event(identity["ResponseMetadata"]["RequestId"])
        events = [json.loads(line) for line in accredit("audit", "tail", broker.directory).splitlines()]
        assert events[-1]["userIdentity"]["type"] == "Root"
        with pytest.raises(ClientError):
            broker.client(broker.root).assume_role(
                RoleArn=role_arn("first"), RoleSessionName="root", Policy=policy(allow("*"))
            )


def test_the_data_directory_is_for_its_owner_alone(make_broker: MakeBroker, tmp_path: Path) -> None:
    """Also one that was there before and open to others; whatever the umask of the caller is."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o755)
    before = os.umask(0o022)
    try:
        accredit("init", tmp_path / "data", "--account-id", ACCOUNT)
        accredit("keys", "rotate", tmp_path / "data")
        with serving(_broker(make_broker, settings={"server.workers": 1})) as broker:
            for directory in (broker.directory, tmp_path / "data"):
                assert directory.stat().st_mode & 0o777 == 0o700
                files = [path for path in directory.iterdir() if path.suffix != ".secret"]
                assert len(files) > 4
                assert not [path for path in files if path.stat().st_mode & 0o077]
    finally:
        os.umask(before)
    (tmp_path / "data").chmod(0o755)
    with pytest.raises(RuntimeError, match="chmod 700"):
        accredit("serve", tmp_path / "data")


def test_a_configuration_that_cannot_be_used_stops_the_start(make_broker: MakeBroker) -> None:
    made = make_broker()
    good = (made.directory / "accredit.toml").read_text()
    for change, named in (
        ("[[role]]\nnam = 1", "nam"),
        ("[nonsense]\nx = 1", "nonsense"),
        ('[[user]]\nname = "a b"', "a b"),
        ("[[[", "accredit.toml"),
    ):
        (made.directory / "accredit.toml").write_text(good + change)
        with pytest.raises(RuntimeError, match=named):
            accredit("config", "check", made.directory)
    with pytest.raises(RuntimeError, match=named):
        accredit("serve", made.directory)
    (made.directory / "accredit.toml").write_text(good)
    with pytest.raises(RuntimeError, match="ACCREDIT_SERVER_BINDD"):
        accredit("serve", made.directory, environment={"ACCREDIT_SERVER_BINDD": "127.0.0.1:1"})
