"""A directory's password on the page: what counts as a guess, and what does not."""

from __future__ import annotations

import pytest
from person import ACCOUNT, MASTER, Browser, Pages

from broker.iam.ldap_declared import declared_ldap_record
from broker.portal.directory_pages import directory_path
from broker.settings import LdapProviderEntry
from broker.store.identity_providers import put_provider
from broker.store.tables import password_attempts
from providers.errors import ProviderBusy, ProviderError, ProviderUnreachable, SignatureInvalid

ENTRY = LdapProviderEntry(name="corp", servers=("ldaps://127.0.0.1:1",), user_dn_template="uid={username},dc=example")


class Directory:
    """Says no for a reason of our choice: a real one is busy, or gone, when it likes."""

    def __init__(self, error: ProviderError) -> None:
        self.error = error

    def authenticate(self, evidence: object, *, now: object) -> None:
        raise self.error


def _failures(pages: Pages) -> int:
    with pages.services.database.read() as connection:
        return sum(row.failures for row in connection.execute(password_attempts.select()))


@pytest.mark.parametrize(
    ("error", "counted"),
    [
        (ProviderBusy("busy"), False),
        (ProviderUnreachable("gone"), False),
        (SignatureInvalid("wrong"), True),
    ],
    ids=["busy", "gone", "wrong"],
)
def test_a_password_that_nobody_looked_at_is_no_guess(
    pages: Pages, browser: Browser, monkeypatch: pytest.MonkeyPatch, error: ProviderError, counted: bool
) -> None:
    record = declared_ldap_record(MASTER, ACCOUNT, ENTRY, None, None)
    with pages.services.database.change() as connection:
        put_provider(connection, record, declared=True, now=0)
    monkeypatch.setattr(type(pages.services.providers), "get", lambda _pool, _record: Directory(error))
    path = directory_path(record)
    browser.get(path)
    answer = browser.post(path, user_name="ann", password="guess")
    assert 400 <= answer.status_code < 600
    assert bool(_failures(pages)) is counted
    assert len(pages.events("ConsoleLogin")) == 1
