"""``accredit demo``: the main job before your eyes."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from broker.demo.story import Story

_PORT = 8_400


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), default="demo-data")
@click.option("--check", is_flag=True, help="Run every step on a directory of its own, stop, and exit 0 or 1.")
def demo(directory: Path, check: bool) -> None:
    """Serve a broker with a made-up company and run the main job against it (data in DIRECTORY)."""
    if not check:
        _run(directory, _port(_PORT), keep=True)
        return
    with tempfile.TemporaryDirectory(prefix="accredit-demo-") as temporary:
        _run(Path(temporary) / "data", _port(0), keep=False)


def _run(directory: Path, port: int, *, keep: bool) -> None:
    try:
        from broker.demo.story import StepFailed, Story
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error.name} is missing: pip install 'accredit[demo]'") from None
    story = Story(directory, port, click.echo)
    try:
        click.echo("Accredit: an external identity becomes short-lived role credentials\n")
        story.run()
        if keep:
            _say_how_to_go_on(story)
            story.keep_serving()
        else:
            click.echo("\nall steps passed")
    except StepFailed as error:
        click.echo(f"  \N{BALLOT X} {error}")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        click.echo("\nstopped")
    finally:
        story.close()


def _say_how_to_go_on(story: Story) -> None:
    directory = story.directory
    click.echo(
        f"""
The broker keeps serving; Ctrl-C stops it. Open the portal in a browser:
  http://localhost:{story.port}/      user name: demo   password: {story.password}
Go on in another terminal:
  who am I        AWS_CONFIG_FILE={directory}/aws-config aws sts get-caller-identity --profile developer
  a second role   AWS_CONFIG_FILE={directory}/aws-config aws sts get-caller-identity --profile auditor
  the record      accredit audit tail {directory}
(aws and accredit are in .venv/bin)"""
    )


def _port(wanted: int) -> int:
    """``wanted`` if it is free, else any free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
