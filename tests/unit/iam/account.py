"""An account of its own for a test that changes things: users, groups and roles as the test wants them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

import msgspec
from simulated_account import ACCOUNT, NOW, OTHER, arn, policy

from broker.audit.event import CallRecord
from broker.callers import root_principal, user_principal
from broker.catalog import LongTermKey
from broker.credentials.keyids import GROUP_ID, ROLE_ID, USER_ID, new_unique_id
from broker.domain.arn import group_arn, role_arn, user_arn
from broker.domain.secret import Secret
from broker.services import Caller, Candidate, Services
from broker.store.entities import Entity, Kind, insert_entity
from broker.store.inline_policies import put_inline_policy
from broker.store.roles import put_role_details

_IDS: Mapping[Kind, str] = {"user": USER_ID, "group": GROUP_ID, "role": ROLE_ID}
_ARNS = {"user": user_arn, "group": group_arn, "role": role_arn}
TRUST = policy({"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"})


class Account:
    """``services`` and who may call them; ``root`` may do everything."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self._numbers = itertools.count()

    def limited(self, **quotas: int) -> Services:
        """The same services with other quotas."""
        settings = self.services.settings
        changed = msgspec.structs.replace(settings, quotas=msgspec.structs.replace(settings.quotas, **quotas))
        return dataclasses.replace(self.services, settings=changed)

    @property
    def root(self) -> Caller:
        return self._caller(Candidate(root_principal(ACCOUNT), "secret", key=self._key()))

    @property
    def foreign_root(self) -> Caller:
        """The root user of another account."""
        return self._caller(Candidate(root_principal(OTHER), "secret", key=self._key(OTHER)))

    def make(
        self,
        kind: Kind,
        name: str,
        *statements: Mapping[str, Any],
        account: str = ACCOUNT,
        path: str = "/",
        boundary: str | None = None,
        tags: Mapping[str, str] | None = None,
        declared: bool = False,
    ) -> Entity:
        """An entity, with an inline policy of these statements."""
        made = Entity(
            new_unique_id(_IDS[kind]),
            kind,
            account,
            name,
            path,
            _ARNS[kind](account, path, name),
            boundary,
            tags or {},
            declared,
            int(NOW.timestamp()),
        )
        with self.services.database.change() as connection:
            insert_entity(connection, made)
            if kind == "role":
                put_role_details(connection, made.id, trust_policy=TRUST, max_session_duration=3600, description="")
            if statements:
                put_inline_policy(connection, made.id, "made", policy(*map(dict, statements)))
        return made

    def who(self, *statements: Mapping[str, Any], **more: Any) -> Caller:
        """A new user with these permissions, calling."""
        return self.calling(self.make("user", f"caller-{next(self._numbers)}", *statements, **more))

    def calling(self, user: Entity) -> Caller:
        """The user with its policies of now."""
        view = self.services.catalog.user(user.id)
        assert view is not None
        key = LongTermKey(user.account, True, Secret("secret"), view)
        return self._caller(Candidate(user_principal(view.user), "secret", key=key))

    @staticmethod
    def _key(account: str = ACCOUNT) -> LongTermKey:
        return LongTermKey(account, True, Secret("secret"), None)

    @staticmethod
    def _caller(candidate: Candidate) -> Caller:
        return Caller(NOW, CallRecord("id", NOW), verified=candidate)


__all__ = ["ACCOUNT", "OTHER", "TRUST", "Account", "arn", "policy"]
