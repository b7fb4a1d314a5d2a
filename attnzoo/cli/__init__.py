"""The command line: one file per command; each parses, calls one library function, prints. `--help` loads no torch.

stdout is data, stderr is talk. Exit codes: 0 done, 1 the reader of a pipe went away, 2 a user's mistake, 130 and 143
interrupted by SIGINT and SIGTERM.
"""

import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from attnzoo.cli import (
    ablate,
    bench,
    compare,
    data,
    evaluate,
    list_,
    predict,
    report,
    reproduce,
    safety,
    show,
    status,
    train,
)
from attnzoo.cli._messages import translate
from attnzoo.errors import AttnzooError

# plain help and plain tracebacks: rich would double the time to the first line
app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, suggest_commands=False)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(version("attnzoo"))
        raise typer.Exit


@app.callback()
def attnzoo(
    _: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Which attention block, where, at what cost, and is the gain real?"""


app.command()(ablate.ablate)
app.command()(train.train)
app.command()(evaluate.evaluate)
app.command()(predict.predict)
app.command()(status.status)
app.command()(compare.compare)
app.command()(report.report)
app.command()(bench.bench)
app.command()(reproduce.reproduce)
app.command("list")(list_.list_)
app.command()(show.show)
app.command()(safety.safety)
app.add_typer(data.app, name="data")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line on `arguments` (default: this process's) and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    command = typer.main.get_command(app)
    try:
        code = command.main(list(arguments) or ["--help"], prog_name="attnzoo", standalone_mode=False)
        sys.stdout.flush()
        if code == 128 + signal.SIGINT:
            raise KeyboardInterrupt  # which typer has made a code of
        return code or 0
    except BrokenPipeError:
        # the reader left: what is still buffered must not complain at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (KeyboardInterrupt, typer.Abort):
        _say_interrupted(arguments)
        return 130
    except SystemExit as end:
        if end.code == 128 + signal.SIGTERM:
            _say_interrupted(arguments)
        raise
    except AttnzooError as error:
        problem = error
    except typer.TyperException as error:
        problem = translate(error)
    except OSError as error:
        if error.filename is None:
            raise
        problem = AttnzooError(f"`{error.filename}`: {error.strerror}", "check the path and its permissions")
    typer.echo(f"error: {problem.message}", err=True)
    if problem.hint is not None:
        typer.echo(f"hint: {problem.hint}", err=True)
    return 2


def _say_interrupted(arguments: Sequence[str]) -> None:
    """What trains can go on; what does not has nothing to say."""
    if arguments and arguments[0] in ("ablate", "train", "reproduce"):
        typer.echo("interrupted: the same command goes on from the last finished epoch", err=True)
