"""Whatever is wrong with input, options, disk or bundle: one line that names it and mends it, and nothing changes."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.runtime.bad_audio import BAD_AUDIO
from tests.support.runtime.bad_bundles import BAD_BUNDLES
from tests.support.runtime.commands import mounted, run_apart, run_here, tree, write_voice


@dataclass(frozen=True)
class Scene:
    """A folder with a good voice, an output of an earlier run, and a good bundle."""

    folder: Path
    voice: Path
    output: Path
    bundle: Path
    sheeted: Path
    undo: ExitStack

    def copied_bundle(self) -> Path:
        """A bundle to damage."""
        return Path(shutil.copytree(self.bundle, self.folder / "bundle"))

    def command(self, *arguments: str | Path) -> list[str | Path]:
        """Arguments of a run that would succeed, and ``arguments``."""
        return [self.voice, "-o", self.output, "--bundle", self.bundle, "--steps", "1", *arguments]


@pytest.fixture
def scene(bundle: Path, sheeted: Path, tmp_path: Path) -> Iterator[Scene]:
    (tmp_path / "band.wav").write_bytes(b"an earlier take")
    with ExitStack() as undo:
        yield Scene(tmp_path, write_voice(tmp_path / "voice.wav"), tmp_path / "band.wav", bundle, sheeted, undo)


Case = Callable[[Scene], tuple[list[str | Path], str]]
"""Spoils a scene; returns the command line and what the message must name."""


def _audio(write: Callable[[Path], Path]) -> Case:
    def spoil(scene: Scene) -> tuple[list[str | Path], str]:
        path = write(scene.folder)
        return [path, *scene.command()[1:]], path.name

    return spoil


def _bundle(damage: Callable[[Path], str]) -> Case:
    def spoil(scene: Scene) -> tuple[list[str | Path], str]:
        copy = scene.copied_bundle()
        return scene.command("--bundle", copy), damage(copy)

    return spoil


def _options(*arguments: str, names: str) -> Case:
    return lambda scene: (scene.command(*arguments), names)


def _sheet(content: bytes | str, name: str = "song.json") -> Case:
    def spoil(scene: Scene) -> tuple[list[str | Path], str]:
        (scene.folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return scene.command("--bundle", scene.sheeted, "--lead-sheet", scene.folder / name), name

    return spoil


def _song(*arguments: str, names: str) -> Case:
    return lambda scene: (scene.command("--bundle", scene.sheeted, *arguments), names)


def _no_arguments(scene: Scene) -> tuple[list[str | Path], str]:
    return [], "voice"


def _missing_bundle(scene: Scene) -> tuple[list[str | Path], str]:
    return scene.command("--bundle", scene.folder / "nowhere"), "nowhere"


def _onto(name: str) -> Case:
    return lambda scene: (scene.command("-o", scene.folder / name), Path(name).parts[0])


def _onto_voice(scene: Scene) -> tuple[list[str | Path], str]:
    return scene.command("-o", scene.voice), "voice.wav"


def _mix_onto_voice(scene: Scene) -> tuple[list[str | Path], str]:
    return scene.command("--mix", scene.voice), "voice.wav"


def _mix_onto_band(scene: Scene) -> tuple[list[str | Path], str]:
    return scene.command("--mix", scene.output), "band.wav"


def _onto_link_to_voice(scene: Scene) -> tuple[list[str | Path], str]:
    (scene.folder / "link.wav").symlink_to(scene.voice)
    return scene.command("-o", scene.folder / "link.wav"), "link.wav"


def _onto_voice_through_folder_link(scene: Scene) -> tuple[list[str | Path], str]:
    (scene.folder / "linked").symlink_to(scene.folder)
    return scene.command("-o", scene.folder / "linked" / "voice.wav"), "voice.wav"


def _under_a_file(scene: Scene) -> tuple[list[str | Path], str]:
    return scene.command("-o", scene.output / "inside.wav"), "band.wav"


def _read_only_folder(scene: Scene) -> tuple[list[str | Path], str]:
    disk = scene.undo.enter_context(mounted(scene.folder / "disk", "ro"))
    return scene.command("-o", disk / "band.wav"), "disk"


def _full_disk(size: str, *, mix_only: bool = False) -> Case:
    def spoil(scene: Scene) -> tuple[list[str | Path], str]:
        disk = scene.undo.enter_context(mounted(scene.folder / "disk", f"size={size}"))
        (disk / "band.wav").write_bytes(b"an earlier take")
        write_voice(scene.voice, duration_s=1.5)  # 529 KB of scratch file, 397 KB as 24-bit stereo WAV
        return scene.command("--mix" if mix_only else "-o", disk / "band.wav"), "band.wav"

    return spoil


CASES: dict[str, Case] = {
    **{f"audio: {name}": _audio(write) for name, write in BAD_AUDIO.items()},
    **{f"bundle: {name}": _bundle(damage) for name, damage in BAD_BUNDLES.items()},
    "bundle: missing": _missing_bundle,
    "option: nothing to do": _no_arguments,
    "option: unknown": _options("--colour", "red", names="--colour"),
    "option: sampler": _options("--sampler", "euler", names="--sampler"),
    "option: provider": _options("--provider", "abacus", names="--provider"),
    "option: engines of a bundle that has none": _options("--provider", "tensorrt", names="engines"),
    "option: trust in engines of a bundle that has none": _options("--trust-engines", names="--trust-engines"),
    "option: provider that this build lacks": _options("--provider", "coreml", names="--provider"),
    "option: no steps": _options("--steps", "0", names="--steps"),
    "option: more steps than timesteps": _options("--steps", "801", names="--steps"),
    "option: negative guidance": _options("--guidance", "-1", names="--guidance"),
    "option: guidance is not a number": _options("--guidance", "nan", names="--guidance"),
    "option: no variations": _options("--variations", "0", names="--variations"),
    "option: negative seed": _options("--seed", "-1", names="--seed"),
    "option: no threads": _options("--threads", "0", names="--threads"),
    "song: a bundle without lead sheets": _options(
        "--bpm", "92", names="--bpm: this bundle's model takes no lead sheet"
    ),
    "song: a lead sheet of such a bundle": _options("--lead-sheet-out", "song.json", names="song.json"),
    "song: bpm 0": _song("--bpm", "0", names="--bpm"),
    "song: bpm 1e9": _song("--bpm", "1e9", names="--bpm"),
    "song: bpm is not a number": _song("--bpm", "nan", names="--bpm"),
    "song: first beat without a tempo": _song("--first-beat-s", "1", names="--first-beat-s"),
    "song: first beat after the end": _song("--bpm", "92", "--first-beat-s", "99", names="--first-beat-s"),
    "song: meter": _song("--meter", "5/4", names="--meter"),
    "song: key": _song("--key", "H", names="--key"),
    "song: a chord that is none": _song("--bpm", "92", "--chords", "Am H7", names="H7"),
    "song: chords without beats": _song("--chords", "Am", names="--chords"),
    "song: nothing to write": _song("--lead-sheet-out", "song.json", names="song.json"),
    "song: MIDI without beats": _song("--key", "C", "--midi", "song.mid", names="song.mid"),
    "song: lead sheet of another suffix": _song("--bpm", "92", "--lead-sheet-out", "song.txt", names="song.txt"),
    "song: MIDI of another suffix": _song("--bpm", "92", "--midi", "song.json", names="song.json"),
    "song: no such lead sheet": _song("--lead-sheet", "nowhere.json", names="nowhere.json"),
    "song: lead sheet that is none": _sheet("Am F C G"),
    "song: lead sheet of a newer version": _sheet('{"schema_version": 2}'),
    "song: beats that run backwards": _sheet('{"schema_version": 1, "duration_s": 9, "beats_s": [2, 1]}'),
    "song: a bomb of brackets": _sheet('{"schema_version": ' + "[" * 1_000_000),
    "song: MIDI that is none": _sheet("Am F C G", "song.mid"),
    "song: MIDI without a tempo": _sheet(b"MThd\0\0\0\6\0\0\0\1\1\xe0MTrk\0\0\0\4\0\xff\x2f\0", "song.mid"),
    "option: diagnostics in a file's place": lambda scene: (scene.command("--diagnostics", scene.voice), "voice.wav"),
    "output: unknown suffix": _onto("band.xyz"),
    "output: no suffix": _onto("band"),
    "output: no such folder": _onto("nowhere/band.wav"),
    "output: name too long": _onto("b" * 300 + ".wav"),
    "output: name that is no text": _onto(os.fsdecode(b"\xff.wav")),
    "output: the voice": _onto_voice,
    "output: the voice through a link": _onto_link_to_voice,
    "output: the voice through a folder's link": _onto_voice_through_folder_link,
    "output: mix onto the voice": _mix_onto_voice,
    "output: mix onto the band": _mix_onto_band,
    "output: below a file": _under_a_file,
    "output: folder not writable": _read_only_folder,
    "disk: full while decoding": _full_disk("256k"),
    "disk: full while writing": _full_disk("640k"),
    "disk: full while mixing": _full_disk("256k", mix_only=True),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_bad_input_is_explained_in_one_line_and_changes_nothing(
    case: Case, scene: Scene, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments, culprit = case(scene)
    before = tree(scene.folder)
    run = run_here(capfd, *arguments)
    assert (run.code, run.out) == (2, "")
    _check_message(run.err, culprit)
    assert tree(scene.folder) == before


@pytest.mark.parametrize(
    "name", ["audio: text called wav", "audio: name that is no text", "bundle: graph cut short", "option: sampler"]
)
def test_a_real_process_ends_the_same_way(name: str, scene: Scene) -> None:
    arguments, culprit = CASES[name](scene)
    before = tree(scene.folder)
    run = run_apart(*arguments)
    assert (run.code, run.out) == (2, "")
    _check_message(run.err, culprit)
    assert tree(scene.folder) == before


def test_the_scene_itself_is_good(scene: Scene, capfd: pytest.CaptureFixture[str]) -> None:
    run = run_here(capfd, *scene.command())
    assert (run.code, run.err) == (0, "")
    assert scene.output.read_bytes()[:4] == b"RIFF"


_MEND = re.compile(
    r"\b(use|make|copy|export|name|choose|check|record|convert|add|upgrade|try|give|save|leave|see|sort"
    r"|is not in the range|is not one of|must lie between)\b"
)


def _check_message(err: str, culprit: str) -> None:
    assert err.endswith("\n") and err.count("\n") == 1, err
    assert err.startswith("error: ") and "Traceback" not in err
    named = re.search(re.sub("[\udc80-\udcff]", ".*", re.escape(culprit)), err)  # no terminal shows bytes of no text
    assert named, err
    assert _MEND.search(err.replace(named[0], "")), err
