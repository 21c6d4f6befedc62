"""The claims of tokens for relying parties, and the condition keys that guard them."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from msgspec import structs

from broker.credentials.signer import SigningAlgorithm
from broker.domain.principal import Principal, PrincipalKind
from broker.services import Identity
from broker.sts.tokens import NAMESPACE, TokenRequest, token_claims

ACCOUNT = "123456789012"
ISSUER = f"https://sts.example.com/oidc/{ACCOUNT}"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MOMENT = int(NOW.timestamp())
USER = Identity(
    Principal(PrincipalKind.USER, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/a", "AIDA1", user_name="a"), tags={"Team": "x"}
)
REQUEST = TokenRequest(("one",), SigningAlgorithm.ES384, 300, {})


def _claims(identity: Identity = USER, request: TokenRequest = REQUEST, region: str = "eu-west-1"):
    made = token_claims(identity, request, issuer=ISSUER, issued_at=NOW, region=region)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", str(made.pop("jti")))
    return made


def test_a_users_claims() -> None:
    assert _claims() == {
        "iss": ISSUER,
        "sub": f"arn:aws:iam::{ACCOUNT}:user/a",
        "aud": "one",
        "iat": MOMENT,
        "exp": MOMENT + 300,
        NAMESPACE: {
            "aws_account": ACCOUNT,
            "source_region": "eu-west-1",
            "principal_id": f"arn:aws:iam::{ACCOUNT}:user/a",
            "principal_tags": {"Team": "x"},
        },
    }


def test_a_sessions_claims() -> None:
    principal = Principal(
        PrincipalKind.ROLE_SESSION,
        ACCOUNT,
        f"arn:aws:sts::{ACCOUNT}:assumed-role/r/s",
        "AROA1:s",
        role_arn=f"arn:aws:iam::{ACCOUNT}:role/path/r",
        role_id="AROA1",
    )
    session = SimpleNamespace(expires_at=NOW + timedelta(hours=1), source_identity="alice", provider="accounts.example")
    claims = _claims(Identity(principal, session))  # type: ignore[arg-type]  # what the claims need of any session
    assert claims["sub"] == f"arn:aws:iam::{ACCOUNT}:role/path/r"
    assert claims[NAMESPACE] == {
        "aws_account": ACCOUNT,
        "source_region": "eu-west-1",
        "principal_id": f"arn:aws:iam::{ACCOUNT}:role/path/r",
        "original_session_exp": "2026-01-02T04:04:05Z",
        "federated_provider": "accounts.example",
        "source_identity": "alice",
    }


def test_roots_subject_is_the_account() -> None:
    root = Identity(Principal(PrincipalKind.ROOT, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT))
    assert _claims(root)["sub"] == f"arn:aws:iam::{ACCOUNT}:root"


def test_what_is_not_known_is_left_out() -> None:
    bare = structs.replace(USER, tags={})
    assert _claims(bare, region="")[NAMESPACE].keys() == {"aws_account", "principal_id"}


def test_several_audiences_are_a_list_and_tags_are_claims() -> None:
    claims = _claims(request=replace(REQUEST, audience=("one", "two"), tags={"Job": "1", "Empty": ""}))
    assert claims["aud"] == ["one", "two"]
    assert claims[NAMESPACE]["request_tags"] == {"Job": "1", "Empty": ""}


def test_condition_keys() -> None:
    request = replace(REQUEST, audience=("one", "two"), tags={"Job": "1"})
    assert request.context() == {
        "aws:RequestTag/Job": ("1",),
        "aws:TagKeys": ("Job",),
        "sts:IdentityTokenAudience": ("one", "two"),
        "sts:SigningAlgorithm": ("ES384",),
        "sts:DurationSeconds": ("300",),
    }


@pytest.mark.parametrize(
    ("tags", "actions"),
    [
        ({}, ("sts:GetWebIdentityToken",)),
        ({"a": ""}, ("sts:GetWebIdentityToken", "sts:TagGetWebIdentityToken")),
    ],
)
def test_tags_need_a_permission_of_their_own(tags: dict[str, str], actions: tuple[str, ...]) -> None:
    assert replace(REQUEST, tags=tags).actions() == actions
