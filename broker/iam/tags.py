"""Tags of objects: at most 50, keys unique without regard to case, none that begins with ``aws:``.

IAM User Guide, "Tags for IAM resources".
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from broker.authorization import Context, request_tag_context
from broker.domain.session import Tag
from broker.errors import InvalidInput, LimitExceeded

_RESERVED = "aws:"


def parse_tags(tags: Sequence[Tag]) -> dict[str, str]:
    """The tags of a request. Raises InvalidInput for doubled or reserved keys, and for texts not in NFC."""
    folded = [tag.key.lower() for tag in tags]
    if len(set(folded)) != len(folded):
        raise InvalidInput("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    if any(key.startswith(_RESERVED) for key in folded):
        raise InvalidInput("Tag keys that start with aws: are reserved.")
    if not all(unicodedata.is_normalized("NFC", text) for tag in tags for text in (tag.key, tag.value)):
        raise InvalidInput("Tags must be in Unicode normalization form C.")  # two spellings would look the same
    return {tag.key: tag.value for tag in tags}


def tagged(present: Mapping[str, str], added: Mapping[str, str], limit: int) -> dict[str, str]:
    """``added`` over ``present``: a key that differs in case alone is the same. Raises LimitExceeded."""
    taken = {key.lower() for key in added}
    result = {**{key: value for key, value in present.items() if key.lower() not in taken}, **added}
    if len(result) > limit:
        raise LimitExceeded(f"The number of tags exceeds the limit of {limit}.")
    return result


def untagged(present: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    """``present`` without ``keys``; those that are not there do not matter."""
    gone = {key.lower() for key in keys}
    return {key: value for key, value in present.items() if key.lower() not in gone}


def tags_of(present: Mapping[str, str]) -> list[Tag]:
    """As the wire shows them, by key."""
    return [Tag(key, present[key]) for key in sorted(present)]


def tag_request(tags: Mapping[str, str]) -> Context:
    """The condition keys of a request that passes ``tags``."""
    return request_tag_context(tags, tags)


def untag_request(keys: Sequence[str]) -> Context:
    """The condition keys of a request that takes tags away."""
    return {"aws:TagKeys": tuple(keys)} if keys else {}
