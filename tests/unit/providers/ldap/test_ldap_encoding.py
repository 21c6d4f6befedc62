"""Our search requests are those that ldap3 would make, octet for octet."""

from __future__ import annotations

import ldap3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3.core.exceptions import LDAPInvalidFilterError
from ldap3.operation.search import search_operation
from ldap3.protocol.convert import build_controls_list
from ldap3.protocol.rfc2696 import paged_search_control
from ldap3.protocol.rfc4511 import LDAPMessage, MessageID, ProtocolOp
from ldap3.utils.asn1 import encode

from providers.ldap.encoding import search_message
from providers.ldap.names import equals, fill_filter

NAMES = st.lists(st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,20}", fullmatch=True), min_size=1, max_size=30)
TYPED = st.text(min_size=1, max_size=200)
SCOPES = {0: ldap3.BASE, 2: ldap3.SUBTREE}


def theirs(
    number: int, base: str, scope: int, query: str, attributes: list[str], limit: int, page: tuple[int, bytes] | None
) -> bytes:
    request = search_operation(
        base, query, SCOPES[scope], ldap3.DEREF_NEVER, attributes, limit, 0, False, False, False, None, None, False
    )
    message = LDAPMessage()
    message["messageID"] = MessageID(number)
    message["protocolOp"] = ProtocolOp().setComponentByName("searchRequest", request)
    if page is not None:
        message["controls"] = build_controls_list([paged_search_control(False, page[0], page[1] or None)])
    made: bytes = encode(message)
    return made


@given(
    st.integers(1, 2**31 - 1),
    TYPED,
    st.sampled_from([0, 2]),
    TYPED,
    NAMES,
    st.integers(0, 20_000),
    st.none() | st.tuples(st.integers(1, 1_000), st.binary(max_size=300)),
)
def test_every_request(
    number: int, base: str, scope: int, typed: str, attributes: list[str], limit: int, page: tuple[int, bytes] | None
) -> None:
    query = fill_filter(
        "(&(objectClass=person)(|(uid={username})(member:1.2.840.113556.1.4.1941:={dn})))", username=typed
    )
    ours = search_message(number, base, scope, query, attributes, size_limit=limit, page=page)
    assert ours == theirs(number, base, scope, query, attributes, limit, page)


@pytest.mark.parametrize(
    "query",
    [
        "(objectClass=*)",
        "(!(uid=alice))",
        "(uid=a*b*c)",
        "(uid=*a)",
        "(uid>=a)",
        "(uid<=a)",
        "(uid~=a)",
        "(cn:dn:2.5.13.5:=a)",
        equals("objectGUID", bytes(range(256))),
    ],
)
def test_every_kind_of_filter(query: str) -> None:
    assert search_message(7, "dc=x", 2, query, ["cn"]) == theirs(7, "dc=x", 2, query, ["cn"], 0, None)


@pytest.mark.parametrize("query", ["", "uid=alice", "(uid=alice", "(uid)", "()"])
def test_what_is_no_filter(query: str) -> None:
    with pytest.raises(LDAPInvalidFilterError):
        search_message(7, "dc=x", 2, query, ["cn"])
