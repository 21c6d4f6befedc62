"""What another metadata document of a provider changes, and what of it ends soon; said for administrators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from providers.saml.metadata import Endpoint, IdpMetadata, SigningCertificate

THRESHOLDS = (30, 7, 1, 0)
"""Days before its end at which is warned of it; 0: it has ended."""
METADATA = "metadata"


@dataclass(frozen=True, slots=True)
class Ending:
    """Something that ends. ``key`` names it for ever, ``threshold`` is the one of ``THRESHOLDS`` that is reached."""

    key: str
    title: str
    ends_at: datetime
    threshold: int

    def sentence(self) -> str:
        if self.threshold == 0:
            return f"{self.title} ended at {self.ends_at:%Y-%m-%d}"
        return f"{self.title} ends at {self.ends_at:%Y-%m-%d}, in {self.threshold} days or less"


def changes(before: IdpMetadata, after: IdpMetadata) -> list[str]:
    """One line for each difference that matters, ``+`` and ``-`` as in a diff."""
    lines = [f"- {one}" for one in _described(before) if one not in set(_described(after))]
    return lines + [f"+ {one}" for one in _described(after) if one not in set(_described(before))]


def endings(metadata: IdpMetadata, now: datetime, *, document: bool) -> list[Ending]:
    """What ends within the longest threshold; ``document``: the end of the document itself counts too."""
    found = [(f"certificate {one.fingerprint}", f"certificate {_short(one)}", one.not_after) for one in
             metadata.certificates]  # fmt: skip
    if document and metadata.valid_until is not None:
        found.append((METADATA, "the metadata document", metadata.valid_until))
    return [
        Ending(key, title, ends_at, threshold)
        for key, title, ends_at in found
        if (threshold := _threshold(ends_at, now)) is not None
    ]


def new_endings(found: list[Ending], warned: Mapping[str, int]) -> list[Ending]:
    """Those of which was not warned yet at their threshold."""
    return [one for one in found if warned.get(one.key, THRESHOLDS[0] + 1) > one.threshold]


def _threshold(ends_at: datetime, now: datetime) -> int | None:
    """The shortest that is reached."""
    days = (ends_at - now).total_seconds() / 86_400
    return min((threshold for threshold in THRESHOLDS if days <= threshold), default=None)


def _described(metadata: IdpMetadata) -> Iterator[str]:
    for certificate in metadata.certificates:
        yield f"certificate {_short(certificate)}, until {certificate.not_after:%Y-%m-%d}"
    yield from _places("single sign-on", metadata.single_sign_on)
    yield from _places("single logout", metadata.single_logout)
    if metadata.wants_signed_requests:
        yield "requests have to be signed"
    if metadata.valid_until is not None:
        yield f"valid until {metadata.valid_until:%Y-%m-%dT%H:%M:%SZ}"


def _places(name: str, endpoints: tuple[Endpoint, ...]) -> Iterator[str]:
    for one in endpoints:
        answers = f", answers to {one.response_location}" if one.response_location else ""
        yield f"{name} at {one.location} by {one.binding.rpartition(':')[2]}{answers}"


def _short(certificate: SigningCertificate) -> str:
    """The whole fingerprint: people compare it."""
    return f"{certificate.fingerprint} ({certificate.subject})"
