"""What people type, on its way into a filter or a DN: checked, and escaped so that it can be nothing but a value."""

from __future__ import annotations

import re
import unicodedata

from ldap3.utils.conv import escape_filter_chars
from ldap3.utils.dn import escape_rdn

from providers.errors import CredentialsRejected

LONGEST_BYTES = 1_024
"""Of a user name, and of a password."""
REFUSED = "The user name or the password is incorrect."
"""The one sentence for whoever does not get in, whatever the reason."""
USERNAME = "{username}"
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_PLACEHOLDER = re.compile(r"\{(username|dn|gidNumber)\}")
_BOUND_TO_DN = re.compile(r"\(([A-Za-z][A-Za-z0-9-]*)=\{dn\}\)")
_IN_CHAIN = "1.2.840.113556.1.4.1941"
"""LDAP_MATCHING_RULE_IN_CHAIN (Microsoft, [MS-ADTS] 3.1.1.3.4.4)."""
NOBODY = "\x00"
"""The value of what an entry does not have: no directory stores it."""


def check_credentials(username: str, password: str) -> None:
    """Raises CredentialsRejected, before anything is sent.

    An empty password would be an unauthenticated bind, which directories answer with success (RFC 4513, 5.1.2).
    """
    if not password or "\x00" in password:
        raise CredentialsRejected(REFUSED, detail="the password is empty or has a NUL")
    if any("\ud800" <= one <= "\udfff" for one in password):
        raise CredentialsRejected(REFUSED, detail="the password is no Unicode text")
    if _bytes(password) > LONGEST_BYTES or _bytes(username) > LONGEST_BYTES:
        raise CredentialsRejected(REFUSED, detail=f"the user name or the password is longer than {LONGEST_BYTES} bytes")
    if not username.strip() or any(unicodedata.category(one) in _UNPRINTABLE for one in username):
        raise CredentialsRejected(REFUSED, detail="the user name is empty or has characters that cannot be seen")


def fill_filter(template: str, *, username: str = NOBODY, dn: str = NOBODY, gid_number: str = NOBODY) -> str:
    """The filter for one person or group (RFC 4515, section 3)."""
    values = {"username": username, "dn": dn, "gidNumber": gid_number}
    return _PLACEHOLDER.sub(lambda found: escape_filter_chars(values[found[1]]), template)


def anybody(template: str) -> str:
    """The filter for whoever could log in by ``template``."""
    return template.replace(USERNAME, "*")


def follow_chain(template: str) -> str:
    """The filter with Active Directory's rule that follows groups of groups."""
    return _BOUND_TO_DN.sub(rf"(\1:{_IN_CHAIN}:={{dn}})", template)


def fill_name(template: str, username: str) -> str:
    """The name to bind with: a DN (RFC 4514, section 2.4), or ``{username}@domain`` and ``DOMAIN\\{username}``.

    Raises CredentialsRejected for what would change the domain.
    """
    if is_dn_template(template):
        return template.replace(USERNAME, escape_rdn(username))
    if "@" in username or "\\" in username or "/" in username:
        raise CredentialsRejected(REFUSED, detail="the user name names a domain of its own")
    return template.replace(USERNAME, username)


def is_dn_template(template: str) -> bool:
    """Whether a template makes DNs, and not Active Directory's other names."""
    return "=" in template


def equals(attribute: str, value: bytes) -> str:
    """A filter for exactly these bytes."""
    octets = "".join(f"\\{octet:02x}" for octet in value)
    return f"({attribute}={octets})"


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
