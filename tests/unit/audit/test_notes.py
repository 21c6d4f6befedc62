"""Signed heads: what a note has to be, and that nothing else passes for one."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.audit.notes import (
    Head,
    NoteRefused,
    Verifier,
    open_head,
    parse_verifiers,
    render_head,
    render_note,
    split_notes,
)

KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
ORIGIN = "accredit-audit/0123456789abcdef"
VERIFIER = Verifier(ORIGIN, KEY.public_key().public_bytes_raw())
HEAD = Head(ORIGIN, 17, bytes(range(32)), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


def note(head: Head = HEAD, key: Ed25519PrivateKey = KEY, verifier: Verifier = VERIFIER, text: str = "") -> str:
    signed = text or render_head(head)
    return render_note(signed, [(verifier, key.sign(signed.encode()))])


def test_a_head_comes_back() -> None:
    assert open_head(note(), [VERIFIER]) == HEAD
    assert note().splitlines()[:2] == [ORIGIN, "17"]


def test_the_published_example_of_a_verifier_key() -> None:
    """golang.org/x/mod/sumdb/note, the key of its example."""
    text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    (found,) = parse_verifiers(f"# comment\n\n{text}\n")
    assert found.name == "PeterNeumann"
    assert found.text() == text


def test_any_of_several_keys_may_have_signed() -> None:
    rotated = Verifier(ORIGIN, OTHER.public_key().public_bytes_raw())
    assert open_head(note(key=OTHER, verifier=rotated), [VERIFIER, rotated]) == HEAD


SPOILED = {
    "another size": note().replace("\n17\n", "\n18\n"),
    "another origin": note().replace(ORIGIN, "accredit-audit/other", 1),
    "another time": note().replace("03:04:05", "03:04:06"),
    "no signature": render_head(HEAD),
    "signed by nobody known": note(key=OTHER, verifier=Verifier(ORIGIN, OTHER.public_key().public_bytes_raw())),
    "another's signature under a known id": note(key=OTHER),
    "a known key under another name": note(verifier=Verifier("somebody", VERIFIER.public_key)),
    "no base64": note().replace("— ", "— x ", 1),
    "root too short": note(text=f"{ORIGIN}\n17\n{base64.b64encode(bytes(31)).decode()}\ntime 2026-01-02T03:04:05Z\n"),
    "size with a sign": note(
        text=f"{ORIGIN}\n+17\n{base64.b64encode(bytes(32)).decode()}\ntime 2026-01-02T03:04:05Z\n"
    ),
    "no time": note(text=f"{ORIGIN}\n17\n{base64.b64encode(bytes(32)).decode()}\n"),
    "a time that is none": note(text=f"{ORIGIN}\n17\n{base64.b64encode(bytes(32)).decode()}\ntime soon\n"),
    "too long": note() + "x" * 70_000,
    "empty": "",
}


@pytest.mark.parametrize("spoiled", SPOILED.values(), ids=SPOILED)
def test_what_is_refused(spoiled: str) -> None:
    with pytest.raises(NoteRefused):
        open_head(spoiled, [VERIFIER])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "name",
        "name+00000000+AQ==",
        f"{ORIGIN}+00000000+{base64.b64encode(b'1' + bytes(32)).decode()}",
        VERIFIER.text().replace(ORIGIN, "other"),
        VERIFIER.text() + "!",
    ],
    ids=["empty", "a comment", "a name alone", "key too short", "another kind of key", "another name", "no base64"],
)
def test_verifier_keys_that_are_refused(text: str) -> None:
    with pytest.raises(NoteRefused):
        parse_verifiers(text)


def test_an_anchor_file_falls_into_its_notes() -> None:
    assert split_notes(f"{note()}\n{note()}\n") == [note(), note()]
    assert split_notes(note()) == [note()]
    assert split_notes("\n") == []
