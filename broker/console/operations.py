"""An operation of the wire, done by somebody on a page.

The operation comes from the table that answers AWS clients (``broker.aws.operations``), with the model's checks of its
parameters; who may do it is for the person's own policies to say, as there.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from functools import cache
from typing import Any

from broker.aws.operations import Effect, Served, load_apis
from broker.errors import AccessDenied, NotFound
from broker.web.calls import change, look, new_record
from broker.web.site import Site

_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@cache
def _served() -> Mapping[str, Served]:
    """What a form may ask for: IAM, but nothing that issues credentials."""
    api = next(api for api in load_apis() if "CreateUser" in api.served)
    return {name: served for name, served in api.served.items() if served.effect is not Effect.ISSUE}


def users_alone(site: Site) -> None:
    """Raises AccessDenied for somebody external, who has roles and no permissions of its own."""
    if site.signed_in().person.user_id is None:
        raise AccessDenied("Administration is for users of this account. Your roles are in the portal.")


def perform(site: Site, operation: str, parameters: Mapping[str, str]) -> Any:
    """The operation's answer. ``parameters`` are those of the query protocol (``ClientIDList.member.1``).

    Raises NotFound for an operation that there is not, and what the operation raises.
    """
    served = _served().get(operation)
    if served is None:
        raise NotFound("There is no such operation.")
    record = new_record(site.visit(), served.event_source, served.name)

    def work(caller: Any) -> Any:
        arguments = served.arguments({name: value for name, value in parameters.items() if value})
        record.parameters = arguments
        return served.handler(site.services, caller, **arguments)

    run = change if served.effect is Effect.CHANGE else look
    return run(site, record, work)


def listed(site: Site, operation: str, items: str, parameters: Mapping[str, str] | None = None) -> list[Any]:
    """All items of a list operation, page by page."""
    given = dict(parameters or {})
    found: list[Any] = []
    while True:
        answer = perform(site, operation, given)
        found += getattr(answer, items)
        marker = getattr(answer, "marker", None)
        if marker is None:
            return found
        given["Marker"] = marker


def command(operation: str, parameters: Mapping[str, str]) -> str:
    """The same for the AWS command line."""
    words = ["aws", "iam", _dashed(operation)]
    for name, value in parameters.items():
        if value:
            words += [f"--{_dashed(name.partition('.')[0])}", shlex.quote(value)]
    return " ".join(words)


def _dashed(name: str) -> str:
    return "-".join(_WORD.split(name)).lower()
