"""The broker on PostgreSQL: the main job, two nodes, outages, and who may initialize and join."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from realm import wire
from realm.components import BIN
from realm.server import ACCOUNT, BrokerServer, Keys, accredit, clean_environment, refused, request_id, serving
from realm.site import SUBJECT, allow, federated, identity_provider, role, role_arn, trust, user
from realm.token_issuer import TokenIssuer

if TYPE_CHECKING:
    from realm.postgres import PostgresServer

MakeBroker = Callable[..., BrokerServer]
MakeSite = Callable[..., BrokerServer]
PASSWORD = "the database's pass:word/@%"
_SECRET = "s" * 40
_SOON = 1.0
"""Seconds until every node knows."""
_BACK = 5.0
"""Seconds after which a node serves again when the database does."""
_PATIENCE = 12.0
"""Seconds after which a request must be answered, whatever the database does."""
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture
def make_site(postgres: PostgresServer, make_broker: MakeBroker, issuer: TokenIssuer) -> MakeSite:
    """Makes a broker on a database of its own; ``joins`` makes it a node of another's store."""
    postgres.execute("DROP ROLE IF EXISTS node")
    postgres.execute(f"CREATE ROLE node LOGIN PASSWORD '{PASSWORD.replace(chr(39), chr(39) * 2)}'")

    def make(**fields: Any) -> BrokerServer:
        if "joins" in fields:
            return make_broker(**fields)
        name = postgres.make_database()
        postgres.execute(f"ALTER DATABASE {name} OWNER TO node")
        made = make_broker(
            store_url=f"postgresql+psycopg://node@127.0.0.1:{postgres.port}/{name}",
            environment={"ACCREDIT_STORE_PASSWORD": PASSWORD},
            settings={"fetch.allow_http_loopback": True, "server.workers": 2, "server.threads": 8},
            **fields,
        )
        secret_file = made.directory / "user.secret"
        secret_file.touch(mode=0o600)
        secret_file.write_text(_SECRET)
        made.add(identity_provider(issuer.issuer))
        made.add(user("ci", may=[allow("sts:*")], secret_file="user.secret"))
        made.add(role("web", federated(issuer.issuer), may=[allow("sts:*")]))
        made.add(role("second", trust({"AWS": ACCOUNT}), may=[allow("sts:*")]))
        return made

    yield make
    for (name,) in postgres.execute("SELECT datname FROM pg_database WHERE datdba = 'node'::regrole"):
        postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _command(broker: BrokerServer, *arguments: str) -> str:
    return accredit(*arguments, broker.directory, environment=broker.environment)


def _ci(broker: BrokerServer) -> Keys:
    found = json.loads(_command(broker, "config", "check", "--json"))["access_keys"]
    return Keys(next(iter(found)), _SECRET)


def _web(broker: BrokerServer, issuer: TokenIssuer) -> dict[str, Any]:
    answer = broker.client().assume_role_with_web_identity(
        RoleArn=role_arn("web"), RoleSessionName="build", WebIdentityToken=issuer.token(SUBJECT)
    )
    return dict(answer)


def _assume(broker: BrokerServer, keys: Keys) -> wire.Answer:
    return wire.call(broker, keys, "AssumeRole", RoleArn=role_arn("second"), RoleSessionName="outage")


def _until(condition: Callable[[], bool], seconds: float) -> float:
    """How long it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds
        time.sleep(0.02)
    return time.monotonic() - started


def _page(broker: BrokerServer, path: str) -> int:
    try:
        with _OPENER.open(f"{broker.url}{path}", timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_the_main_job(make_site: MakeSite, issuer: TokenIssuer) -> None:
    with serving(make_site()) as broker:
        first = _web(broker, issuer)
        identity = broker.client(Keys.of(first)).get_caller_identity()
        assert identity["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/web/build"
        second = broker.client(Keys.of(first)).assume_role(RoleArn=role_arn("second"), RoleSessionName="chained")
        assert broker.client(Keys.of(second)).get_caller_identity()["Account"] == ACCOUNT
        for answer in (first, identity, second):
            assert "errorCode" not in broker.event(request_id(answer))

        listed = json.loads(_command(broker, "sessions", "list", "--json"))
        assert {one["access_key_id"] for one in listed} == {
            answer["Credentials"]["AccessKeyId"] for answer in (first, second)
        }
        assert "seals from" in _command(broker, "keys", "rotate")
        assert len(json.loads(_command(broker, "keys", "list", "--json"))) == 2
        assert json.loads(_command(broker, "audit", "tail", "-n", "1"))["eventName"] == "RotateKey"
        assert _page(broker, "/oidc/12%0034/.well-known/jwks.json") == 404
        everything = broker.log() + "".join(path.read_text() for path in broker.directory.glob("*.toml"))
        assert PASSWORD not in everything
        assert "Traceback" not in everything


def test_a_change_is_seen_at_once_here_and_within_a_second_there(make_site: MakeSite, issuer: TokenIssuer) -> None:
    with serving(make_site()) as one, serving(make_site(joins=one)) as two:
        assert one.directory != two.directory
        held = Keys.of(_web(one, issuer))
        for node in (one, two):  # sealed by one, opened by both
            assert node.client(held).get_caller_identity()["Account"] == ACCOUNT

        iam = {node.port: node.client(one.root, service="iam") for node in (one, two)}
        iam[one.port].enable_outbound_web_identity_federation()
        for _ in range(8):  # whichever worker takes it
            with refused("FeatureEnabled"):
                one.client(one.root, service="iam").enable_outbound_web_identity_federation()
        _until(lambda: _page(two, f"/oidc/{ACCOUNT}/.well-known/jwks.json") == 200, _SOON)
        iam[two.port].disable_outbound_web_identity_federation()
        with refused("FeatureDisabled"):
            iam[one.port].disable_outbound_web_identity_federation()

        _command(two, "sessions", "revoke", "--session", held.access_key_id)
        for _ in range(8):
            with refused("ExpiredToken"):
                two.client(held).get_caller_identity()
        _until(lambda: wire.call(one, held, "GetCallerIdentity").status == 403, _SOON)


@pytest.mark.parametrize("how", ["stop", "crash"])
def test_an_outage_is_told_and_over_when_it_is_over(
    make_site: MakeSite, issuer: TokenIssuer, postgres: PostgresServer, how: str
) -> None:
    with serving(make_site()) as broker:
        ci = _ci(broker)
        assert _assume(broker, ci).status == 200
        held = _web(broker, issuer)["Credentials"]["AccessKeyId"]
        getattr(postgres, how)()
        try:
            for _ in range(4):
                started = time.monotonic()
                answer = _assume(broker, ci)
                assert (answer.status, answer.code) == (503, "ServiceUnavailable"), answer
                assert time.monotonic() - started < _PATIENCE
            assert _page(broker, f"/oidc/{ACCOUNT}/.well-known/jwks.json") == 503
            assert _page(broker, "/readyz") == 503
            assert _page(broker, "/healthz") == 200
            failed = subprocess.run(
                [BIN / "accredit", "keys", "list", broker.directory],
                capture_output=True,
                text=True,
                env=clean_environment() | dict(broker.environment),
                timeout=30,
            )
            assert failed.returncode == 1
            assert failed.stderr.startswith("Error: the store does not answer: ")
            assert PASSWORD not in failed.stderr
        finally:
            postgres.start()
        _until(lambda: _assume(broker, ci).status == 200, _BACK)
        assert _page(broker, "/readyz") == 200
        for _ in range(8):  # every connection of every worker
            assert _assume(broker, ci).status == 200
        issued = {
            event["responseElements"]["credentials"]["accessKeyId"]
            for event in broker.events(eventName="AssumeRole")
            if "errorCode" not in event
        }
        assert len(issued) >= 10
        assert (
            broker.events(eventName="AssumeRoleWithWebIdentity")[0]["responseElements"]["credentials"]["accessKeyId"]
            == held
        )
        assert "Traceback" not in broker.log()


def test_a_database_that_is_frozen_holds_nobody_for_long(make_site: MakeSite, postgres: PostgresServer) -> None:
    with serving(make_site()) as broker:
        ci = _ci(broker)
        assert _assume(broker, ci).status == 200
        with postgres.frozen(), ThreadPoolExecutor(6) as pool:
            started = time.monotonic()
            answers = list(pool.map(lambda _: _assume(broker, ci), range(6)))
            assert {answer.status for answer in answers} == {503}
            assert time.monotonic() - started < 2 * _PATIENCE
        _until(lambda: _assume(broker, ci).status == 200, _BACK)


def test_a_store_is_initialized_once(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.url(postgres.make_database())
    processes = [
        subprocess.Popen(
            [BIN / "accredit", "init", tmp_path / f"node-{number}", "--store-url", url, "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environment(),
        )
        for number in range(3)
    ]
    outputs = [process.communicate(timeout=60) for process in processes]
    assert sorted(process.returncode for process in processes) == [0, 1, 1], outputs
    for number, process in enumerate(processes):
        left = sorted(path.name for path in (tmp_path / f"node-{number}").iterdir())
        if process.returncode:
            assert "the store was initialized before" in outputs[number][1]
            assert left == []
        else:
            assert {"accredit.toml", "master.key"} <= set(left)


def test_a_node_with_another_master_key_is_refused(make_site: MakeSite) -> None:
    one = make_site()
    two = make_site(joins=one)
    (two.directory / "master.key").unlink()
    other = make_site()
    (two.directory / "master.key").write_bytes((other.directory / "master.key").read_bytes())
    (two.directory / "master.key").chmod(0o600)
    with pytest.raises(RuntimeError, match="the master key is not the one"):
        two.start()
    with serving(one):
        pass


@pytest.mark.parametrize("source", ["file", "wrong file", "open file"])
def test_where_the_password_comes_from(postgres: PostgresServer, tmp_path: Path, source: str) -> None:
    password_file = tmp_path / "store.password"
    password_file.write_text("wrong\n" if source == "wrong file" else "Passw0rd!\n")
    password_file.chmod(0o644 if source == "open file" else 0o600)
    url = f"postgresql+psycopg://postgres@127.0.0.1:{postgres.port}/{postgres.make_database()}"
    done = subprocess.run(
        [BIN / "accredit", "init", tmp_path / "data", "--store-url", url],
        capture_output=True,
        text=True,
        env=clean_environment() | {"ACCREDIT_STORE_PASSWORD_FILE": str(password_file)},
        timeout=60,
    )
    said = done.stdout + done.stderr
    assert done.returncode == (0 if source == "file" else 1), said
    if source == "wrong file":
        assert "password authentication failed" in said
    if source == "open file":
        assert f"chmod 600 {password_file}" in said
    assert "wrong\n" not in said.replace("wrong file", "")


def test_a_url_is_never_shown(tmp_path: Path) -> None:
    for url in ("postgresql+psycopg://u:hunter2@[::1/x", "mysql://u:hunter2@host/x", "hunter2"):
        done = subprocess.run(
            [BIN / "accredit", "init", tmp_path / "data"],
            capture_output=True,
            text=True,
            env=clean_environment() | {"ACCREDIT_STORE_URL": url},
            timeout=60,
        )
        assert done.returncode == 1
        assert "store.url" in done.stderr
        assert "hunter2" not in done.stdout + done.stderr
