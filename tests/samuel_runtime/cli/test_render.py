from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from samuel_runtime.audio.reading import Recording
from samuel_runtime.audio.writing import check_target
from samuel_runtime.cli.render import RenderRequest, plan_requests, render
from samuel_runtime.errors import UserError
from samuel_runtime.pipeline import Samuel
from samuel_runtime.progress import OnProgress
from samuel_runtime.settings import Settings
from tests.support.runtime.commands import RATE_HZ, singing, tree, write_voice

QUICK = Settings(steps=1, seed=5)


@pytest.fixture
def voices(tmp_path: Path) -> list[Path]:
    return [write_voice(tmp_path / f"{name}.wav", 0.3) for name in ("a", "b")]


def _names(takes: list[RenderRequest]) -> list[str]:
    return [take.accompaniment.name for take in takes]


def test_outputs_lie_beside_the_voices_by_default(voices: list[Path]) -> None:
    takes = plan_requests(voices, None, None, QUICK, 1)
    assert _names(takes) == ["a.accompaniment.wav", "b.accompaniment.wav"]
    assert all(take.accompaniment.parent == take.voice.path.parent and take.mix is None for take in takes)


def test_one_voice_may_name_a_file_or_a_folder(voices: list[Path], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert _names(plan_requests(voices[:1], tmp_path / "x.flac", None, QUICK, 1)) == ["x.flac"]
    assert _names(plan_requests(voices[:1], tmp_path / "x.flac", None, QUICK, 2)) == ["x-seed5.flac", "x-seed6.flac"]
    in_folder = plan_requests(voices[:1], tmp_path / "out", tmp_path / "out", QUICK, 2)
    assert _names(in_folder) == ["a.accompaniment-seed5.wav", "a.accompaniment-seed6.wav"]
    assert [take.mix.name for take in in_folder if take.mix] == ["a.mix-seed5.wav", "a.mix-seed6.wav"]


def test_several_voices_need_a_folder(voices: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        plan_requests(voices, tmp_path / "x.wav", None, QUICK, 1)


def test_equal_names_from_two_folders_are_refused(voices: list[Path], tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "out").mkdir()
    twin = write_voice(tmp_path / "other" / "a.wav")
    with pytest.raises(UserError, match="two results would have this name"):
        plan_requests([voices[0], twin], tmp_path / "out", None, QUICK, 1)


def test_another_voice_of_the_batch_is_never_replaced(voices: list[Path]) -> None:
    with pytest.raises(UserError, match="replace the voice"):
        plan_requests(voices[:1], voices[0], None, QUICK, 1)
    write_voice(voices[0].with_name("a.accompaniment.wav"))
    batch = [voices[0], voices[0].with_name("a.accompaniment.wav")]
    with pytest.raises(UserError, match="replace the voice"):
        plan_requests(batch, None, None, QUICK, 1)


def test_planning_leaves_no_trace(voices: list[Path], tmp_path: Path) -> None:
    before = tree(tmp_path)
    plan_requests(voices, None, tmp_path, QUICK, 3)
    assert tree(tmp_path) == before


def test_a_voice_is_encoded_once_for_all_its_takes(
    voices: list[Path], bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samuel, encoded = Samuel.load(bundle, threads=1), []
    original = samuel.encode
    monkeypatch.setattr(samuel, "encode", lambda voice, progress: encoded.append(voice.path) or original(voice))
    results = list(render(samuel, plan_requests(voices, None, None, QUICK, 3)))
    assert encoded == voices
    assert [result.take.settings.seed for result in results] == [5, 6, 7] * 2


class _Fixed(Samuel):
    """Decodes to given samples, whatever was sampled."""

    def __init__(self, samuel: Samuel, samples: np.ndarray) -> None:
        super().__init__(samuel.manifest, samuel.codec, samuel.denoiser)
        self.samples = samples

    def decode(
        self, latents: np.ndarray, recording: Recording, progress: OnProgress | None = None
    ) -> Iterator[np.ndarray]:
        yield self.samples


@pytest.mark.parametrize(
    "level, warning", [(0.0, "the band is silent"), (8.0, "peaked at 8.0 x full scale.*--guidance")]
)
def test_a_band_that_went_wrong_is_warned_about(level: float, warning: str, voices: list[Path], bundle: Path) -> None:
    samuel = _Fixed(
        Samuel.load(bundle, threads=1), np.resize([level, level, -level, -level], (13230, 2)).astype(np.float32)
    )
    (result,) = render(samuel, plan_requests(voices[:1], None, None, QUICK, 1))
    assert len(result.warnings) == 1
    assert re.search(warning, result.warnings[0])
    assert result.to_dict()["rms_db"] is (None if level == 0 else result.level.rms_db)


@pytest.mark.parametrize("channels", [2, 4])
def test_channels_of_opposite_polarity_cancelled_without_a_word(tmp_path: Path, channels: int, bundle: Path) -> None:
    voice = tmp_path / "voice.wav"
    soundfile.write(voice, singing(0.5) * np.resize([1, -1], channels), RATE_HZ)
    (result,) = render(Samuel.load(bundle, threads=1), plan_requests([voice], None, None, QUICK, 1))
    assert any(re.search(r"cancel each other.*ffmpeg -i .*voice\.wav", warning) for warning in result.warnings)
    assert not any("voice is silent" in warning for warning in result.warnings)


def test_the_folder_for_several_voices_is_made(tmp_path: Path) -> None:
    voices = [write_voice(tmp_path / f"{name}.wav") for name in ("one", "two")]
    takes = plan_requests(voices, tmp_path / "new" / "bands", None, QUICK, 1)
    assert [take.accompaniment.parent for take in takes] == [tmp_path / "new" / "bands"] * 2
    assert (tmp_path / "new" / "bands").is_dir()


def test_a_folder_that_was_made_for_outputs_that_cannot_be_is_gone_again(voices: list[Path], tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    twin = write_voice(tmp_path / "other" / "a.wav", 0.3)
    with pytest.raises(UserError, match="two results would have this name"):
        plan_requests([voices[0], twin], tmp_path / "new" / "deep", None, QUICK, 1)
    assert not (tmp_path / "new").exists()


def test_two_processes_may_check_one_output_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They once made and removed a probe of one name."""
    touch, target = Path.touch, tmp_path / "band.wav"

    def touch_as_the_other_is_done(path: Path, *arguments: object) -> None:
        touch(path)
        (path.parent / f".{target.name}.probe").unlink(missing_ok=True)

    monkeypatch.setattr(Path, "touch", touch_as_the_other_is_done)
    check_target(target)
    assert not list(tmp_path.iterdir())


def test_what_is_no_regular_file_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(UserError, match=r"pipe\.wav: is not a regular file"):
        check_target(tmp_path / "pipe.wav")


def test_the_command_that_makes_a_folder_quotes_its_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"`mkdir -p '.*/my bands'`"):
        check_target(tmp_path / "my bands" / "band.wav")
