"""What is asked of a session to come: its name, tags and source identity, and the condition keys that they bring."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

import msgspec
import regex

from broker.authorization import Context, request_tag_context, tag_context
from broker.catalog import RoleView
from broker.domain.session import Tag
from broker.errors import InvalidIdentity, LimitExceeded, ValidationFailed

MAX_SESSION_TAGS = 50
_SOURCE_IDENTITY = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_TAG_KEY_RESERVED = "aws:"
_TAG_KEY = regex.compile(r"[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}")
_TAG_VALUE = regex.compile(r"[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}")


class SessionRequest(msgspec.Struct, frozen=True):
    """What a caller, or its identity provider, asks of a session to come.

    ``tags`` include those inherited by role chaining, named again in ``inherited``.
    """

    session_name: str
    tags: Mapping[str, str]
    transitive_tag_keys: tuple[str, ...] = ()
    inherited: Mapping[str, str] | None = None
    source_identity: str | None = None
    policy: str | None = None
    policy_arns: tuple[str, ...] = ()
    duration_seconds: int | None = None

    def extra_actions(self) -> tuple[str, ...]:
        """The permissions that are needed besides the main one (IAM User Guide, "session tags", "source identity")."""
        tagging = ("sts:TagSession",) if self.tags or self.transitive_tag_keys else ()
        naming = ("sts:SetSourceIdentity",) if self.source_identity is not None else ()
        return tagging + naming

    def context(self) -> Context:
        """The condition keys that the request itself brings."""
        passed = {key: value for key, value in self.tags.items() if key not in (self.inherited or {})}
        context = request_tag_context(passed, passed)
        context["sts:RoleSessionName"] = (self.session_name,)
        if self.transitive_tag_keys:
            context["sts:TransitiveTagKeys"] = self.transitive_tag_keys
        if self.source_identity is not None:
            context["sts:SourceIdentity"] = (self.source_identity,)
        if self.duration_seconds is not None:
            context["sts:DurationSeconds"] = (str(self.duration_seconds),)
        return context


def role_context(view: RoleView, overlay: Mapping[str, str]) -> Context:
    """Keys of the role to assume; on chaining, inherited tags (``overlay``) replace the role's of the same key."""
    folded = {key.lower(): value for key, value in overlay.items()}
    tags = {key: folded.get(key.lower(), value) for key, value in view.role.tags.items()}
    return {
        **tag_context("aws:ResourceTag", tags),
        **tag_context("iam:ResourceTag", tags),
        "aws:ResourceAccount": (view.role.account,),
    }


def parse_tags(tags: Sequence[Tag], transitive_tag_keys: Sequence[str]) -> dict[str, str]:
    """Passed session tags. Raises ValidationFailed for doubled or reserved keys, and for texts not in NFC."""
    keys = [tag.key.lower() for tag in tags]
    if len(set(keys)) != len(keys):
        raise ValidationFailed("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    if len(keys) > MAX_SESSION_TAGS:
        raise LimitExceeded(f"The number of session tags exceeds the limit of {MAX_SESSION_TAGS}.")
    if not all(unicodedata.is_normalized("NFC", text) for tag in tags for text in (tag.key, tag.value)):
        raise ValidationFailed("Tags must be in Unicode normalization form C.")  # two spellings would look the same
    if any(key.startswith(_TAG_KEY_RESERVED) for key in keys):
        raise ValidationFailed("Tag keys that start with aws: are reserved.")
    if missing := [key for key in transitive_tag_keys if key.lower() not in keys]:
        raise ValidationFailed(f"The transitive tag key {missing[0]} is not among the session tags.")
    return {tag.key: tag.value for tag in tags}


def check_source_identity(text: str | None) -> None:
    """Raises ValidationFailed unless it is absent or 2 to 64 of the allowed characters, not beginning ``aws:``."""
    if text is not None and (not _SOURCE_IDENTITY.fullmatch(text) or text.lower().startswith("aws:")):
        raise ValidationFailed('Source Identity must match [\\w+=,.@-]{2,64} and not begin with "aws:"')


def check_tags(tags: Sequence[Tag], transitive: Sequence[str]) -> dict[str, str]:
    """Session tags that come with an identity. Raises InvalidIdentity, and what ``parse_tags`` raises."""
    for tag in tags:
        if not _TAG_KEY.fullmatch(tag.key) or not _TAG_VALUE.fullmatch(tag.value):
            raise InvalidIdentity("A session tag in the token has a key or value that is not allowed")
    return parse_tags(tags, transitive)
