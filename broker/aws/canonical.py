"""The canonical request of AWS Signature Version 4: the one text that both sides hash.

Source: AWS IAM User Guide, "Create a signed AWS API request", step 1, for services other than S3. What WSGI gives is
brought back to the bytes of the wire, decoded once and encoded once; nothing is normalised that the rest of the
program would read differently: ``//`` and ``/./`` stay, and a plus sign in a query is a space, as for the form.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

from broker.aws.errors import IncompleteSignature, SignatureDoesNotMatch

MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
_UNRESERVED = "-_.~"
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_BLANKS = re.compile(r"[ \t]{2,}|\t")


def canonical_request(
    method: str, path: str, query: str, headers: Mapping[str, str], signed_headers: Sequence[str], payload_hash: str
) -> bytes:
    """The canonical request. ``path`` is WSGI's, ``query`` already canonical, ``headers`` the WSGI environment.

    Raises SignatureDoesNotMatch if a signed header is not there.
    """
    lines = [method, "/" if path == "/" else _canonical_path(path), query]
    for name in signed_headers:
        value = headers.get(_environ_key(name))
        if value is None:
            raise SignatureDoesNotMatch(MISMATCH, detail="a signed header is not in the request")
        value = value.strip(" \t")
        if "  " in value or "\t" in value:
            value = _BLANKS.sub(" ", value)
        lines.append(f"{name}:{value}")
    lines += ("", ";".join(signed_headers), payload_hash)
    return _wire_bytes("\n".join(lines))


def canonical_query(query_string: str, *, without_signature: bool) -> str:
    """The query sorted and encoded by one rule; of a presigned URL without its signature.

    Raises IncompleteSignature for an escape that is none.
    """
    if not query_string:
        return ""
    pairs = [
        (quote(name, _UNRESERVED), quote(value, _UNRESERVED))
        for name, value in query_pairs(query_string)
        if not (without_signature and name == b"X-Amz-Signature")
    ]
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def query_pairs(query_string: str) -> list[tuple[bytes, bytes]]:
    """Names and values, decoded once, by the same rule by which the form is read.

    Raises IncompleteSignature for an escape that is none.
    """
    if _BAD_ESCAPE.search(query_string):
        raise IncompleteSignature("The query string has a malformed escape.")
    pairs = []
    for pair in _wire_bytes(query_string).replace(b"+", b" ").split(b"&"):
        name, _, value = pair.partition(b"=")
        pairs.append((unquote_to_bytes(name), unquote_to_bytes(value)))
    return pairs


def _canonical_path(path: str) -> str:
    """The path encoded twice, once by the wire's rule and once by the signature's."""
    return quote(quote(_wire_bytes(path), f"/{_UNRESERVED}"), f"/{_UNRESERVED}")


def _wire_bytes(text: str) -> bytes:
    """WSGI (PEP 3333) gives the bytes of the wire as Latin-1; a character beyond it was never sent."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        raise SignatureDoesNotMatch(MISMATCH, detail="a character that cannot come over the wire") from None


@lru_cache(maxsize=512)
def _environ_key(name: str) -> str:
    key = name.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
