"""``accredit config``: the configuration file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from broker.configure import check_configuration
from broker.credentials.masterkey import load_master_key
from broker.settings import load_settings


@click.group()
def config() -> None:
    """The configuration file."""


@config.command()
@click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--json", "as_json", is_flag=True)
def check(directory: Path, as_json: bool) -> None:
    """Check accredit.toml of DIRECTORY and show what it declares, access key ids included."""
    settings = load_settings(directory)
    master_key = load_master_key(settings.file(settings.keys.master_key_file), os.environ)
    declared = check_configuration(settings, master_key)
    found = {
        "accounts": list(declared.accounts),
        "policies": [arn for _, _, arn, _ in declared.policies],
        "roles": [role.name for role, *_ in declared.roles],
        "users": [user.name for user, *_ in declared.users],
        "access_keys": {key.access_key_id: key.user_name for key in declared.keys},
        "identity_providers": [provider.arn for provider in declared.providers],
    }
    if as_json:
        click.echo(json.dumps(found))
        return
    click.echo(f"{directory / 'accredit.toml'} is good.")
    for name, items in found.items():
        shown = [f"{key} of {user}" for key, user in items.items()] if isinstance(items, dict) else items
        click.echo(f"  {name.replace('_', ' '):20} {', '.join(shown) or '-'}")
