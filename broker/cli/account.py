"""``accredit account``: the accounts of this broker."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import click

from broker.accounts import RootKey, create_account, delete_account, new_account_id
from broker.credentials.masterkey import load_master_key
from broker.database import command_database
from broker.domain.arn import ACCOUNT_ID
from broker.errors import DeleteConflict
from broker.iam.first_administrator import make_setup_link
from broker.settings import CONFIG_FILE, load_settings
from broker.store.accounts import list_account_rows


@click.group()
def account() -> None:
    """Accounts: worlds of users, roles and policies that know nothing of each other."""


_directory = click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
_json = click.option("--json", "as_json", is_flag=True)


@account.command()
@_directory
@click.option("--account-id", help="12 digits; random if left out.")
@_json
def create(directory: Path, account_id: str | None, as_json: bool) -> None:
    """Make an account, and show its root access key, once."""
    chosen = _checked(account_id) if account_id else new_account_id()
    settings = load_settings(directory)
    master_key = load_master_key(settings.file(settings.keys.master_key_file), os.environ)
    with command_database(settings) as database:
        root = create_account(database, master_key, chosen)
    if not as_json:
        click.echo(f"Made account {chosen}.\n")
    show_root_key(chosen, root, as_json=as_json)


@account.command("list")
@_directory
@_json
def list_command(directory: Path, as_json: bool) -> None:
    """Show the accounts."""
    settings = load_settings(directory)
    declared = {entry.id for entry in settings.account}
    with command_database(settings) as database, database.read() as connection:
        rows = list_account_rows(connection)
    if as_json:
        found = [
            {"account_id": one.id, "alias": one.alias, "created_at": one.created_at, "declared": one.id in declared}
            for one in rows
        ]
        click.echo(json.dumps(found))
        return
    for one in rows:
        created = datetime.fromtimestamp(one.created_at, UTC).isoformat()
        source = f"  declared in {CONFIG_FILE}" if one.id in declared else ""
        click.echo(f"{one.id}  {one.alias or '-':20}  made {created}{source}")


@account.command()
@_directory
@click.argument("account_id")
@click.option("--force", is_flag=True, help="Delete everything in it too.")
def delete(directory: Path, account_id: str, force: bool) -> None:
    """Delete an account, and its root access key. There is no way back."""
    _checked(account_id)
    settings = load_settings(directory)
    if account_id in {entry.id for entry in settings.account}:  # the next start would make it anew
        raise DeleteConflict(f"Account {account_id} is declared in {CONFIG_FILE}: take it out there first.")
    with command_database(settings) as database:
        delete_account(database, account_id, force=force)
    click.echo(f"deleted account {account_id}")


@account.command("setup-link")
@_directory
@click.argument("account_id")
def setup_link(directory: Path, account_id: str) -> None:
    """Print a link that makes an administrator of the account, once, within a day; an earlier one is good no more."""
    _checked(account_id)
    settings = load_settings(directory)
    master_key = load_master_key(settings.file(settings.keys.master_key_file), os.environ)
    with command_database(settings) as database:
        click.echo(make_setup_link(database, settings, master_key, account_id))


def show_root_key(account_id: str, root: RootKey, *, as_json: bool, setup_link: str = "") -> None:
    """The only time that the secret is seen."""
    if as_json:
        shown = {
            **({"setup_link": setup_link} if setup_link else {}),
            "account_id": account_id,
            "access_key_id": root.access_key_id,
            "secret_access_key": root.secret_access_key.reveal(),
        }
        click.echo(json.dumps(shown))
        return
    click.echo("The root access key, shown only now:")
    click.echo(f"  access key id      {root.access_key_id}")
    click.echo(f"  secret access key  {root.secret_access_key.reveal()}")


def _checked(account_id: str) -> str:
    if not ACCOUNT_ID.fullmatch(account_id):
        raise click.UsageError("an account id has 12 digits")
    return account_id
