"""``samuel-train``: one group whose commands are imported when they are called, so that help is instant."""

from __future__ import annotations

import importlib

import click

from samuel_runtime.cli import console

_COMMANDS = {
    "synthesize": ("samuel_train.cli.synthesize:command", "Write procedural songs: a voice and a band for each."),
    "prepare": ("samuel_train.cli.prepare:command", "Encode folders of stems into latents."),
    "codec": ("samuel_train.cli.codec:command", "Train the small codec on stems."),
    "evaluate-codec": (
        "samuel_train.cli.evaluate_codec:command",
        "Compare recordings with a codec's output.",
    ),
    "listen": ("samuel_train.cli.listen:command", "Train the estimator of beats, chords and key."),
    "fit": ("samuel_train.cli.fit:command", "Train a denoiser on latents."),
    "evaluate": ("samuel_train.cli.evaluate:command", "Compare generated bands with the true ones."),
    "import-published": ("samuel_train.cli.import_published:command", "Convert a checkpoint of the published code."),
}


class _LazyGroup(click.Group):
    """Lists its commands from a table and imports the one that is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, attribute = _COMMANDS[cmd_name][0].split(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def group() -> None:
    """Train SAMUeL: stems to latents to a checkpoint."""


def main() -> None:
    """Entry point of ``samuel-train``; exits 0 done, 2 the user can mend it, 130 interrupted, 1 a defect."""
    console.run(group)
