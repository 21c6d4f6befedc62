"""Why somebody may not log in: what directories say, in their codes and attributes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from made_directory import number, tlv

from providers.ldap.account import bind_problem, deactivation, entry_problem, is_about_the_server
from providers.ldap.link import Outcome

NOW = datetime(2027, 1, 1, tzinfo=UTC)
AD = "80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data {}, v4563"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("525", "no such account"),
        ("52e", "wrong password"),
        ("530", "at this time"),
        ("531", "from here"),
        ("532", "password has expired"),
        ("533", "disabled"),
        ("701", "account has expired"),
        ("773", "must be changed"),
        ("775", "locked"),
        ("0775", "locked"),
        ("52E", "wrong password"),
        ("999", "refused by Active Directory"),
    ],
)
def test_active_directory_s_codes(code: str, words: str) -> None:
    problem = bind_problem(Outcome(49, AD.format(code), None))
    assert problem is not None
    assert words in problem


def policy(*, error: int | None = None, expires: int | None = None, grace: int | None = None) -> bytes:
    warning = b""
    if expires is not None:
        warning = tlv(0xA0, number(expires, 0x80))
    if grace is not None:
        warning = tlv(0xA0, number(grace, 0x81))
    return tlv(0x30, warning, b"" if error is None else number(error, 0x81))


@pytest.mark.parametrize(
    ("control", "words"),
    [
        (policy(error=0), "expired"),
        (policy(error=1), "locked"),
        (policy(error=2), "must be changed"),
        (policy(error=3), "password policy"),
        (policy(error=0, expires=10), "expired"),
        (policy(grace=0), "only to change it"),
        (policy(grace=3), "only to change it"),
    ],
)
@pytest.mark.parametrize("code", [0, 49])
def test_the_password_policy_control(control: bytes, words: str, code: int) -> None:
    """Also beside a success: a password that is only good for changing it does not count."""
    problem = bind_problem(Outcome(code, "", control))
    assert problem is not None
    assert words in problem


@pytest.mark.parametrize(
    "control", [None, b"", policy(), policy(expires=86_400), b"\x30\x84", b"\xff" * 9, b"0\x02\x81"]
)
def test_controls_that_say_nothing(control: bytes | None) -> None:
    assert bind_problem(Outcome(0, "", control)) is None


@pytest.mark.parametrize("code", [19, 32, 34, 48, 49, 50, 53])
def test_codes_about_the_account(code: int) -> None:
    assert bind_problem(Outcome(code, "", None)) is not None
    assert not is_about_the_server(Outcome(code, "", None))


@pytest.mark.parametrize("code", [1, 2, 3, 8, 10, 13, 14, 51, 52, 80, 999])
def test_codes_about_the_server(code: int) -> None:
    assert is_about_the_server(Outcome(code, "", None))


GONE = [
    {"useraccountcontrol": (b"514",)},
    {"useraccountcontrol": (b"66050",)},
    {"accountexpires": (b"116444736000000000",)},
    {"accountexpires": (b"1",)},
    {"nsaccountlock": (b"TRUE",)},
    {"nsaccountlock": (b"true",)},
    {"pwdaccountlockedtime": (b"000001010000Z",)},
]
KEPT_OUT = [
    {"msds-user-account-control-computed": (b"16",)},
    {"msds-user-account-control-computed": (b"8388608",)},
    {"useraccountcontrol": (b"512",), "pwdlastset": (b"0",)},
    {"pwdreset": (b"TRUE",)},
]
WELL = [
    {},
    {"useraccountcontrol": (b"512",), "pwdlastset": (b"133000000000000000",)},
    {"useraccountcontrol": (b"66048",), "pwdlastset": (b"0",)},
    {"accountexpires": (b"0",)},
    {"accountexpires": (b"9223372036854775807",)},
    {"accountexpires": (b"9223372036854775806",)},
    {"accountexpires": (b"nonsense",)},
    {"useraccountcontrol": (b"",)},
    {"nsaccountlock": (b"FALSE",)},
    {"pwdaccountlockedtime": (b"20260101000000Z",)},
    {"pwdreset": (b"FALSE",)},
]


@pytest.mark.parametrize("values", GONE)
def test_accounts_that_are_gone(values: dict[str, tuple[bytes, ...]]) -> None:
    assert deactivation(values, NOW) is not None
    assert entry_problem(values, NOW) is not None


@pytest.mark.parametrize("values", KEPT_OUT)
def test_accounts_that_cannot_log_in_but_keep_their_sessions(values: dict[str, tuple[bytes, ...]]) -> None:
    assert deactivation(values, NOW) is None
    assert entry_problem(values, NOW) is not None


@pytest.mark.parametrize("values", WELL)
def test_accounts_in_order(values: dict[str, tuple[bytes, ...]]) -> None:
    assert entry_problem(values, NOW) is None
