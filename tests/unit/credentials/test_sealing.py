"""Sealing: a key for every message, nothing opens but what was sealed for this purpose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.credentials.long_term import seal_secret, unseal_secret
from broker.credentials.masterkey import create_master_key, load_master_key
from broker.credentials.sealing import SealBroken, seal, unseal
from broker.errors import ConfigurationError
from broker.settings import MASTER_KEY_VARIABLE

KEY = b"k" * 32


@given(st.binary(max_size=200), st.binary(max_size=40))
def test_round_trip(plaintext: bytes, purpose: bytes) -> None:
    assert unseal(KEY, seal(KEY, plaintext, purpose=purpose), purpose=purpose) == plaintext


def test_the_same_text_is_never_sealed_alike() -> None:
    assert len({seal(KEY, b"text", purpose=b"p") for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    "change", [lambda s: s[:-1], lambda s: s[:20], lambda s: b"", lambda s: bytes([s[0] ^ 1]) + s[1:]]
)
def test_changed_bytes_do_not_open(change) -> None:
    with pytest.raises(SealBroken):
        unseal(KEY, change(seal(KEY, b"text", purpose=b"p")), purpose=b"p")


def test_another_purpose_does_not_open() -> None:
    with pytest.raises(SealBroken):
        unseal(KEY, seal(KEY, b"text", purpose=b"p"), purpose=b"q")


def test_a_secret_moved_to_another_access_key_does_not_open() -> None:
    sealed = seal_secret(KEY, "AKIAONE", "secret")
    assert unseal_secret(KEY, "AKIAONE", sealed).reveal() == "secret"
    with pytest.raises(SealBroken):
        unseal_secret(KEY, "AKIATWO", sealed)


def test_master_key_file(tmp_path) -> None:
    path = tmp_path / "master.key"
    create_master_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(load_master_key(path, {})) == 32
    with pytest.raises(FileExistsError):
        create_master_key(path)
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="owner alone"):
        load_master_key(path, {})


def test_master_key_of_the_environment_takes_precedence(tmp_path) -> None:
    text = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="
    assert load_master_key(tmp_path / "missing", {MASTER_KEY_VARIABLE: text}) == b"A" * 32


@pytest.mark.parametrize("text", ["", "short", "QUFB", "not base64!", "QUFB" * 20])
def test_a_bad_master_key_is_refused_without_being_shown(tmp_path, text) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_master_key(tmp_path / "missing", {MASTER_KEY_VARIABLE: text})
    assert text == "" or text not in refused.value.message
