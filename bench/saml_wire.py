"""How fast is AssumeRoleWithSAML, end to end? ``python -m bench.saml_wire`` measures it and the floor in turns.

Every request has a response of its own, signed just before the run: an assertion counts once for a role. A refused
request ends the run, and so does a run after which the audit record has not grown by the number of answers.
"""

from __future__ import annotations

import argparse
import base64
import statistics
import sys
import tempfile
import time
import uuid
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from bench import calls, saml
from bench.floor import check_same_settings
from bench.load import CONNECTIONS, Measurement, require_wrk, run_wrk, send_all, write_requests
from bench.servers import Server, free_port
from bench.site import ACCOUNT, Site

BAR = 0.15
_SETTLE_SECONDS = 0.3
_AWS = "https://aws.amazon.com/SAML/Attributes/"
_ROLE = f"arn:aws:iam::{ACCOUNT}:role/person"
_PROVIDER = f"arn:aws:iam::{ACCOUNT}:saml-provider/bench"


class Stoppable(closing):  # type: ignore[type-arg]
    """A server that ends with its block."""

    def __exit__(self, *_: object) -> None:
        self.thing.stop()


def declared() -> str:
    trust = (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Federated": "'
        + _PROVIDER
        + '"}, "Action": "sts:AssumeRoleWithSAML", "Condition": {"StringEquals": {"saml:aud": "'
        + saml.ACS
        + '"}}}]}'
    )
    return (
        f'\n[[identity_provider]]\nkind = "saml"\nname = "bench"\nmetadata_file = "bench.xml"\n'
        f'audiences = ["{saml.AUDIENCE}"]\nacs_urls = ["{saml.ACS}"]\n'
        f"[[role]]\nname = \"person\"\ntrust_policy = '{trust}'\n"
    )


def make_text(number: int) -> str:
    """A response of its own; number -1 is signed by somebody else."""
    texts = {f"{_AWS}Role": f"{_ROLE},{_PROVIDER}", f"{_AWS}RoleSessionName": "alice"}
    more = "".join(
        f'<saml:Attribute Name="{name}"><saml:AttributeValue>{text}</saml:AttributeValue></saml:Attribute>'
        for name, text in texts.items()
    )
    key = {} if number >= 0 else {"signing_key": rsa.generate_private_key(65_537, 2_048)}
    xml = saml.make_response(now=datetime.now(UTC), assertion_id=f"_{uuid.uuid4().hex}", more=more, **key)
    return base64.b64encode(xml).decode()


def make_requests(port: int, numbers: range, pool: ProcessPoolExecutor) -> list[bytes]:
    texts = pool.map(make_text, numbers, chunksize=100)
    return [calls.assume_role_with_saml(port, _ROLE, _PROVIDER, text) for text in texts]


def check(port: int, pool: ProcessPoolExecutor) -> None:
    """Raises SystemExit unless a good request is accepted once, and somebody else's never."""
    forged, good = make_requests(port, range(-1, 1), pool)
    for request, wanted in ((forged, 400), (good, 200), (good, 400)):
        ((status, body),) = send_all(port, [request], connections=1)
        if status != wanted:
            raise SystemExit(f"{status} instead of {wanted}: {body.decode(errors='replace')}")


def measure(options: argparse.Namespace, directory: Path, pool: ProcessPoolExecutor) -> list[tuple[Measurement, ...]]:
    """The floor and the broker, in turns."""
    site = Site(directory / "data", options.store_url)
    (site.directory / "bench.xml").write_text(saml.metadata_document(), encoding="ascii")
    with (site.directory / "accredit.toml").open("a", encoding="utf-8") as file:
        file.write(declared())
    requests, ports = directory / "requests", (free_port(), free_port())
    command = [sys.executable, "-m", "bench.floor", str(ports[0]), str(options.workers), str(options.threads)]
    serve = site.serve_command(ports[1], options.workers, options.threads)
    rounds = []
    with (
        Stoppable(Server("floor", command, ports[0], path="/", directory=directory)) as floor,
        Stoppable(Server("accredit", serve, ports[1], path="/readyz", directory=directory)) as broker,
    ):
        check(broker.port, pool)
        for number in range(options.rounds):
            fresh = make_requests(broker.port, range(options.responses), pool)
            write_requests(requests, [calls.constant_view(floor.port)])
            bottom = run_wrk(floor, requests, seconds=options.seconds)
            write_requests(requests, fresh)
            before = site.last_event()
            own = run_wrk(broker, requests, seconds=options.seconds)
            if own.requests + CONNECTIONS > len(fresh):
                raise SystemExit(f"{own.requests} requests were answered: give more --responses than {len(fresh)}")
            if own.refused or own.socket_errors or bottom.refused or not own.requests:
                raise SystemExit(f"round {number + 1}: {own}")
            time.sleep(_SETTLE_SECONDS)
            events = site.events_after(before)
            if not own.requests <= events <= own.requests + CONNECTIONS:  # wrk leaves its last requests behind
                raise SystemExit(f"{own.requests} requests were answered, {events} events recorded")
            rounds.append((own, bottom))
            print(f"round {number + 1}: {own.rate:.0f} of {bottom.rate:.0f} a second, {own.rate / bottom.rate:.2f} H")
        print("PSS of the workers:", ", ".join(f"{one:.0f} MB" for one in broker.worker_megabytes()))
    return rounds


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.saml_wire", description="Measure AssumeRoleWithSAML.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of each run of wrk")
    parser.add_argument("--responses", type=int, default=10_000, help="signed for each round")
    parser.add_argument("--threads", type=int, default=8, help="a worker")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--store-url", default="", help="an empty PostgreSQL database instead of an SQLite file")
    parser.add_argument("--directory", type=Path, help="where the temporary data directory is made; use a real disk")
    options = parser.parse_args()
    require_wrk()
    check_same_settings()
    with (
        ProcessPoolExecutor(max_workers=2, mp_context=get_context("fork")) as pool,
        tempfile.TemporaryDirectory(prefix="accredit-bench-", dir=options.directory) as directory,
    ):
        rounds = measure(options, Path(directory), pool)
    ratios = [own.rate / bottom.rate for own, bottom in rounds]
    costs = [own.cpu_us / bottom.cpu_us for own, bottom in rounds]
    print(
        f"AssumeRoleWithSAML: {statistics.median(ratios):.2f} H ({min(ratios):.2f} to {max(ratios):.2f}; by CPU"
        f" {1 / statistics.median(costs):.2f} H), p50 {statistics.median(own.p50_ms for own, _ in rounds):.1f} ms,"
        f" p99 {statistics.median(own.p99_ms for own, _ in rounds):.1f} ms,"
        f" {statistics.median(own.cpu_us for own, _ in rounds):.0f} us; bar {BAR} H"
    )


if __name__ == "__main__":
    main()
