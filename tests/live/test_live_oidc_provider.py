"""A real OpenID provider (npm's oidc-provider): discovery, three algorithms, several clients, rotation of its keys."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import realm
from realm.oidc_provider import CLIENTS, OTHER_CLIENT, OidcProvider
from realm.server import ACCOUNT, BrokerServer, Keys, refused, serving
from realm.site import allow, federated, identity_provider, role, role_arn, trust

UNKNOWN_KEY_SECONDS = 1.0
IMPATIENT = Path(realm.__path__[0]) / "impatient_accredit.py"


@pytest.fixture
def federation(make_broker: Callable[..., BrokerServer], oidc_provider: OidcProvider) -> Iterator[BrokerServer]:
    """A broker that trusts three of the provider's clients."""
    issuer = oidc_provider.issuer
    host = issuer.partition("://")[2]
    broker = make_broker(
        "\n".join(
            (
                identity_provider(issuer, *CLIENTS.values()),
                role("people", federated(issuer), may=[allow("sts:*")]),
                role("alice", federated(issuer, StringEquals={f"{host}:sub": "alice"})),
                role("admins", federated(issuer, **{"ForAnyValue:StringEquals": {f"{host}:groups": "aws-admins"}})),
                role("verified", federated(issuer, Bool={f"{host}:email_verified": "true"})),
                role("engineers", trust({"AWS": ACCOUNT}, ["sts:AssumeRole", "sts:TagSession"],
                     StringEquals={"aws:PrincipalTag/Department": "engineering"})),
            )
        ),
        settings={"fetch.allow_http_loopback": True, "server.workers": 1},
        command=(sys.executable, IMPATIENT),
    )  # fmt: skip
    with serving(broker):
        yield broker


def _assume(broker: BrokerServer, token: str, name: str = "people") -> dict[str, Any]:
    client = broker.client()
    return client.assume_role_with_web_identity(
        RoleArn=role_arn(name), RoleSessionName="person", WebIdentityToken=token
    )


def _assume_soon(broker: BrokerServer, token: str) -> float:
    """Try until the token's key is known; the seconds that it took."""
    started = time.monotonic()
    while True:
        try:
            _assume(broker, token)
            return time.monotonic() - started
        except broker.client().exceptions.InvalidIdentityTokenException:
            assert time.monotonic() - started < 10, "the new key was never fetched"
            time.sleep(0.1)


def test_people_sign_in(federation: BrokerServer, oidc_provider: OidcProvider) -> None:
    """Each algorithm; claims and groups as condition keys; tags of the token; another client's token."""
    for algorithm, client in CLIENTS.items():
        answer = _assume(federation, oidc_provider.id_token(algorithm))
        assert (answer["SubjectFromWebIdentityToken"], answer["Audience"]) == ("alice", client)
        assert answer["Provider"] == oidc_provider.issuer
        session = federation.client(Keys.of(answer))
        assert session.get_caller_identity()["Arn"].endswith(":assumed-role/people/person")
        assert session.assume_role(RoleArn=role_arn("engineers"), RoleSessionName="person")["Credentials"]
    alice, bob = oidc_provider.id_token(), oidc_provider.id_token(user="bob")
    for name in ("alice", "admins", "verified"):
        assert _assume(federation, alice, name)["Credentials"]
    for name in ("alice", "admins"):
        with refused("AccessDenied", status=403):
            _assume(federation, bob, name)
    with refused("AccessDenied", status=403):
        _assume(federation, oidc_provider.id_token(user="unverified"), "verified")
    for odd in ("manygroups", "weird", "dave"):
        assert _assume(federation, oidc_provider.id_token(user=odd))["Credentials"]
    with refused("InvalidIdentityToken", status=400, message="Incorrect token audience"):
        _assume(federation, oidc_provider.id_token(client=OTHER_CLIENT))


def test_rotation(federation: BrokerServer, oidc_provider: OidcProvider) -> None:
    """New keys work when they are seen, old ones as long as they are published and no longer."""
    first = oidc_provider.id_token()
    assert _assume(federation, first)["Credentials"]

    oidc_provider.rotate()
    second = oidc_provider.id_token()
    assert _assume_soon(federation, second) < UNKNOWN_KEY_SECONDS + 2
    assert _assume(federation, first)["Credentials"]

    oidc_provider.drop()
    oidc_provider.rotate()
    third = oidc_provider.id_token()
    _assume_soon(federation, third)
    assert _assume(federation, second)["Credentials"]
    with refused("InvalidIdentityToken", status=400):
        _assume(federation, first)


def test_a_broker_started_after_the_rotation_knows_the_new_keys(
    federation: BrokerServer, oidc_provider: OidcProvider
) -> None:
    old = oidc_provider.id_token("ES256")
    oidc_provider.rotate()
    oidc_provider.drop()
    federation.restart()
    assert _assume(federation, oidc_provider.id_token("ES256"))["Credentials"]
    with refused("InvalidIdentityToken", status=400):
        _assume(federation, old)


def test_known_keys_outlive_their_issuer(federation: BrokerServer, oidc_provider: OidcProvider) -> None:
    """An issuer that is away does not lock out those whose keys are known; after a restart there are none."""
    token = oidc_provider.id_token()
    assert _assume(federation, token)["Credentials"]
    oidc_provider.stop()
    assert _assume(federation, token)["Credentials"]
    federation.restart()
    with refused("IDPCommunicationError", status=400):
        _assume(federation, token)
