"""Whom a trust policy means: users and roles are bound to their unique ids when the policy is saved.

An ARN in ``Principal`` means the user or role that has it at that moment. It is stored as the unique id, so that nobody
who is later given the same name inherits the trust, and shown as an ARN as long as the entity exists (IAM User Guide,
"AWS JSON policy elements: Principal", on IAM users and roles). Nothing else of the text changes: accounts, sessions,
federated users, providers and services stay as written, and so do the values of conditions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container, Iterable, Iterator

from broker.policy.principals import UNIQUE_ID
from broker.policy.reader import Json, Node, malformed, read

_ENTITY = re.compile(r"arn:[^:]*:iam::([0-9]{12}):(?:user|role)/.*", re.DOTALL)

Find = Callable[[str], str | None]


def bind_principals(document: str, *, accounts: Container[str], find_id: Find, find_arn: Find) -> str:
    """The document to store: unique ids in place of the ARNs of users and roles of ``accounts``, which are ours.

    ``find_id`` knows the unique id of an ARN, ``find_arn`` the ARN of a unique id. Raises MalformedPolicy for an ARN of
    our accounts, and for a unique id, that nobody has: such a name could only come to mean somebody later.
    """

    def bound(node: Node) -> str:
        entity = _ENTITY.fullmatch(node.text)
        if entity and entity[1] in accounts:
            found = find_id(node.text)
        elif UNIQUE_ID.fullmatch(node.text):
            found = node.text if find_arn(node.text) else None
        else:
            found = node.text
        if found is None:
            raise malformed(document, node.start, f'Invalid principal in policy: "AWS":"{node.text}"')
        return found

    return _rewritten(document, bound)


def shown_document(document: str, find_arn: Find) -> str:
    """A stored document as its readers see it: ARNs again, and the bare unique id of whoever is gone."""
    return _rewritten(document, lambda node: (UNIQUE_ID.fullmatch(node.text) and find_arn(node.text)) or node.text)


def bound_ids(document: str) -> set[str]:
    """The unique ids that a stored document names as principals."""
    if not UNIQUE_ID.search(document) and "\\" not in document:  # an escape could hide one
        return set()
    return {node.text for node in _aws_principals(document) if UNIQUE_ID.fullmatch(node.text)}


def _rewritten(document: str, rewrite: Callable[[Node], str]) -> str:
    """The text with its AWS principals rewritten, and not a character else."""
    pieces, copied = [], 0
    for node in _aws_principals(document):
        text = rewrite(node)
        if text != node.text:
            pieces += [document[copied : node.start], json.dumps(text)]
            copied = node.end
    return "".join((*pieces, document[copied:]))


def _aws_principals(document: str) -> Iterator[Node]:
    statements = _below([read(document)], "Statement")
    return _below(_below(statements, "Principal"), "AWS")


def _below(nodes: Iterable[Node], key: str) -> Iterator[Node]:
    """What these objects have under ``key``; of a list, its items."""
    for node in nodes:
        for name, value in node.members:
            if name.text == key:
                yield from value.items if value.kind is Json.LIST else (value,)
