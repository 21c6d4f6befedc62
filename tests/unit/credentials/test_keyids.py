"""Access key ids carry the account, unique ids look like AWS's."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.credentials.keyids import (
    LONG_TERM,
    ROLE_ID,
    TEMPORARY,
    account_of,
    derived_access_key_id,
    new_access_key_id,
    new_secret_access_key,
    new_unique_id,
)
from broker.errors import ValidationFailed

accounts = st.integers(0, 999_999_999_999).map(lambda number: f"{number:012d}")


def test_a_key_id_of_aws_is_read() -> None:
    assert account_of("ASIAY34FZKBOKMUTVV7A") == "609629065308"


@given(accounts, st.sampled_from([LONG_TERM, TEMPORARY]))
def test_every_account_comes_back(account: str, prefix: str) -> None:
    key_id = new_access_key_id(prefix, account)
    assert re.fullmatch(prefix + "[A-Z2-7]{16}", key_id)
    assert account_of(key_id) == account


@given(accounts)
def test_derived_ids_are_stable_and_differ_by_handle(account: str) -> None:
    one = derived_access_key_id(account, b"k" * 32, "user/a")
    assert one == derived_access_key_id(account, b"k" * 32, "user/a")
    assert one != derived_access_key_id(account, b"k" * 32, "user/b")
    assert account_of(one) == account


@pytest.mark.parametrize(
    "text", ["", "AKIA", "AKIA0189", "AKIA" + "a" * 16, "ASIA" + "7" * 16, "AKIA" + "Q" * 17, "AKIA" + "é" * 16]
)
def test_what_holds_no_account_is_refused(text: str) -> None:
    with pytest.raises(ValidationFailed):
        account_of(text)


def test_unique_ids_and_secrets_do_not_repeat() -> None:
    assert re.fullmatch("AROA[A-Z2-7]{17}", new_unique_id(ROLE_ID))
    assert len({new_unique_id(ROLE_ID) for _ in range(1000)}) == 1000
    assert len({new_secret_access_key() for _ in range(1000)}) == 1000
    assert len(new_secret_access_key()) == 40
