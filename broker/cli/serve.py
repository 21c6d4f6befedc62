"""``accredit serve``: the server."""

from __future__ import annotations

from pathlib import Path

import click

from broker.settings import ServerSettings


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--bind", help=f"ADDRESS:PORT; default from the configuration, else {ServerSettings().bind}.")
@click.option("--workers", type=click.IntRange(min=1), help="Worker processes.")
@click.option("--threads", type=click.IntRange(min=1), help="Requests a worker handles at a time.")
@click.option("--engine", type=click.Choice(["granian", "gunicorn"]), help="The HTTP server.")
@click.option("--tls-cert", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="PEM certificate chain.")
@click.option("--tls-key", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="PEM private key.")
def serve(
    directory: Path,
    bind: str | None,
    workers: int | None,
    threads: int | None,
    engine: str | None,
    tls_cert: Path | None,
    tls_key: Path | None,
) -> None:
    """Serve the data directory DIRECTORY.

    SIGTERM drains and stops; SIGHUP reads the configuration anew and replaces the workers one by one.
    """
    from broker.server import run  # imported here: other commands should not wait for the web stack

    overrides = {
        "bind": bind,
        "workers": workers,
        "threads": threads,
        "engine": engine,
        "tls_certificate": str(tls_cert.absolute()) if tls_cert else None,
        "tls_key": str(tls_key.absolute()) if tls_key else None,
    }
    run(directory, {name: value for name, value in overrides.items() if value is not None})
