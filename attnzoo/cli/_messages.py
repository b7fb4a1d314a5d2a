"""Typer's usage errors in the words of the house: `error: …`, `hint: …`."""

import re

import typer

from attnzoo.errors import AttnzooError, did_you_mean


def translate(error: typer.TyperException) -> AttnzooError:
    """A usage error as ours: values in backticks, and a hint that says what was probably meant, or where to look."""
    context: typer.Context | None = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "attnzoo"
    help_line = f"see `{command} --help`"
    if (option := getattr(error, "option_name", None)) is not None and "No such option" in error.message:
        return AttnzooError(
            f"`{command}` has no option `{option}`", did_you_mean(option, _options(context)) or help_line
        )
    if found := re.fullmatch(r"No such command '(.*)'\.", error.message):
        commands = getattr(context.command, "commands", {}) if context is not None else {}
        hint = did_you_mean(found[1], commands) or f"commands: {', '.join(f'`{name}`' for name in commands)}"
        return AttnzooError(f"`{command}` has no command `{found[1]}`", hint)
    message = re.sub(r"'([^']*)'", r"`\1`", error.format_message()).rstrip(".")
    return AttnzooError(message[:1].lower() + message[1:], help_line)


def _options(context: typer.Context | None) -> list[str]:
    """All spellings of the options of the command that was being parsed."""
    return (
        []
        if context is None
        else [name for known in context.command.params for name in known.opts if name.startswith("--")]
    )
