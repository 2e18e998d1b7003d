"""Which bands a folder of voices asks for, which of them are there, and the making of one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from samuel_runtime.audio.reading import AudioFile, recording_suffixes
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.cli.render import RenderRequest, render
from samuel_runtime.errors import UserError
from samuel_runtime.locations import Location, fetched, filesystem, joined, local_path, stored
from samuel_runtime.pipeline import Samuel
from samuel_runtime.settings import Settings

RECORD_FILE = "samuel-batch.json"
"""In the folder of bands: what they are made with."""
FAILED_FILE = "failed.json"
"""There: voices without a band, and why."""


@dataclass(frozen=True)
class Plan:
    """What a folder of bands is made of."""

    voices: Location
    """The folder, or a URL of one."""
    bands: Location
    """Likewise."""
    bundle: str | None
    """Folder, on every machine; None is the packaged bundle."""
    provider: str
    threads: int
    settings: Settings
    suffix: str
    """Of bands and mixes, such as ".wav"."""
    mixes: bool

    def band_of(self, voice: str) -> str:
        """Name of a voice's band below the folder."""
        return f"{PurePosixPath(voice).with_suffix('')}.accompaniment{self.suffix}"

    def mix_of(self, voice: str) -> str:
        """Name of its mix."""
        return f"{PurePosixPath(voice).with_suffix('')}.mix{self.suffix}"

    def missing(self) -> tuple[list[str], int]:
        """Voices without a band, by their names below the folder, and how many have one.

        Raises:
            UserError: there is no voice, two would have the same band, or bands would lie among the voices.
        """
        folders = [str(local_path(one) or one).rstrip("/") + "/" for one in (self.bands, self.voices)]
        if folders[0].startswith(folders[1]):
            raise UserError(f"{self.bands}: lies among the voices, and bands would be taken for such; give another -o")
        known = recording_suffixes()
        voices = [name for name in _files(self.voices) if PurePosixPath(name).suffix.lower() in known]
        if not voices:
            raise UserError(f"{self.voices}: holds no recordings; give the folder of the voices")
        bands: dict[str, str] = {}
        for voice in voices:
            if (other := bands.setdefault(self.band_of(voice), voice)) != voice:
                raise UserError(f"{other} and {voice} would have the same band; rename one of them")
        there = set(_files(self.bands))
        missing = [voice for band, voice in bands.items() if band not in there]
        return missing, len(voices) - len(missing)

    def keep_record(self) -> None:
        """Write what the bands are made with, so that one folder never holds bands of several kinds.

        Raises:
            UserError: those that are there are made with something else, or nothing can be written there.
        """
        graphs = Bundle.open(self.bundle).manifest.graphs
        settings = {name: value for name, value in asdict(self.settings).items() if value is not None}
        record = {"settings": settings, "mixes": self.mixes, "graphs": {n.value: f.sha256 for n, f in graphs.items()}}
        place = joined(self.bands, RECORD_FILE)
        try:
            with fetched(place) as file:
                kept = json.loads(file.read_text())
        except FileNotFoundError:
            write_json(place, record)
            return
        if kept != json.loads(json.dumps(record)):
            raise UserError(
                f"{self.bands}: its bands were made with other settings, or another bundle ({RECORD_FILE} has them); "
                "give the same, or another folder"
            )

    def maker(self) -> Callable[[str], None]:
        """In a worker: load the bundle; returns what makes the band of a voice, and its mix before that."""
        samuel = Samuel.load(self.bundle, self.provider, self.threads)

        def make(name: str) -> None:
            with fetched(joined(self.voices, name)) as voice, stored(joined(self.bands, self.band_of(name))) as band:
                if self.mixes:
                    with stored(joined(self.bands, self.mix_of(name))) as mix:
                        self._render(samuel, voice, band, mix)
                else:
                    self._render(samuel, voice, band, None)

        return make

    def _render(self, samuel: Samuel, voice: Path, band: Path, mix: Path | None) -> None:
        for _ in render(samuel, [RenderRequest(AudioFile.open(voice), self.settings, band, mix)]):
            pass


def write_json(place: Location, value: Any) -> None:
    """Write a file whole.

    Raises:
        UserError: it cannot be written.
    """
    try:
        with stored(place) as file:
            file.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"{place}: cannot be written ({error}); choose another folder with -o") from error


def _files(folder: Location) -> Iterable[str]:
    """Names of all files below a folder, in their order; none where there is no folder."""
    path = local_path(folder)
    if path is not None:
        return sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    fs, root = filesystem(str(folder))
    fs.invalidate_cache()
    return sorted(str(file)[len(root.rstrip("/")) + 1 :] for file in fs.find(root))
