"""The ``accredit`` command: each group parses its arguments, calls the product and prints."""

from __future__ import annotations

import os

import click

from broker import __version__
from broker.cli.access import access
from broker.cli.account import account
from broker.cli.audit import audit
from broker.cli.config import config
from broker.cli.demo import demo
from broker.cli.init import init
from broker.cli.keys import keys
from broker.cli.ldap import ldap
from broker.cli.policy import policy
from broker.cli.report import report
from broker.cli.saml import saml
from broker.cli.serve import serve
from broker.cli.sessions import sessions
from broker.errors import BrokerError


class _Group(click.Group):
    """Shows refusals as one line instead of a trace."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokerError as error:
            raise click.ClickException(error.message) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Accredit: external identities in, short-lived signed role credentials out."""
    os.umask(0o077)  # what is written is for its owner alone


@main.command()
def version() -> None:
    """Print the version."""
    click.echo(f"accredit {__version__}")


for command in (init, serve, access, account, keys, config, sessions, audit, report, policy, saml, ldap, demo):
    main.add_command(command)
