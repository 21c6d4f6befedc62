"""``accredit init``: a new data directory."""

from __future__ import annotations

from pathlib import Path

import click

from broker.accounts import new_account_id
from broker.cli.account import show_root_key
from broker.domain.arn import ACCOUNT_ID
from broker.initialize import initialize


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--account-id", help="12 digits; random if left out.")
@click.option("--store-url", help="postgresql+psycopg://USER@HOST/DATABASE instead of an SQLite file.")
@click.option("--json", "as_json", is_flag=True, help="Print the root access key as JSON.")
def init(directory: Path, account_id: str | None, store_url: str | None, as_json: bool) -> None:
    """Make the data directory DIRECTORY: configuration, keys, database and the root access key, shown once.

    The password of a PostgreSQL store comes from the variable ACCREDIT_STORE_PASSWORD, or as libpq finds it.
    """
    account = account_id or new_account_id()
    if not ACCOUNT_ID.fullmatch(account):
        raise click.BadParameter("an account id has 12 digits", param_hint="--account-id")
    made = initialize(directory, account, store_url)
    if not as_json:
        click.echo(f"Made {directory}: configuration, keys and database of account {account}.\n")
    show_root_key(account, made.root, as_json=as_json, setup_link=made.setup_link)
    if not as_json:
        click.echo(f"\nNext: describe roles and identity providers in {directory / 'accredit.toml'}, then")
        click.echo(f"  accredit serve {directory}")
        click.echo("and make the first administrator in a browser, within a day, with this link (it is good once):")
        click.echo(f"  {made.setup_link}")
