"""Stems to latents: exactness of the chunks, entries, resumption."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from samuel_runtime.errors import UserError
from samuel_train.data import prepare as prepare_module
from samuel_train.data.annotations import music_frames
from samuel_train.data.encode import encode_song, valid_frames
from samuel_train.data.latents import read_latents
from samuel_train.data.prepare import prepare
from samuel_train.data.stems import find_songs
from samuel_train.synth.facts import SongFacts
from tests.samuel_train.data.test_annotations import FACTS
from tests.support.train.toy import ToyCodec, write_song

_FRAME_S = 16 / 8000


def test_latents_equal_those_of_the_whole_song_in_one_piece(tmp_path: Path) -> None:
    written = write_song(tmp_path / "stems" / "s", {"vocals": 0.3, "accompaniment": 0.3}, duration_s=2.9)
    codec = ToyCodec()
    prepare(tmp_path / "stems", tmp_path / "latents", codec, "toy")
    latents = read_latents(tmp_path / "latents")
    assert latents.valid_frames.tolist() == [1024, 426]
    for stem, array in (("vocals", latents.vocals), ("accompaniment", latents.accompaniment)):
        audio = np.zeros((2, 2048 * 16), np.float32)
        audio[:, : len(written[stem])] = written[stem].T
        whole = codec.encoder(torch.from_numpy(audio)[None])[0].detach().numpy()  # (64, 2048)
        joined = np.concatenate(list(array), axis=1)
        assert np.linalg.norm(joined - whole) / np.linalg.norm(whole) < 1e-6


def test_a_dropped_tail_is_still_context_for_the_last_frame(tmp_path: Path) -> None:
    written = write_song(tmp_path / "stems" / "s", {"vocals": 0.3, "accompaniment": 0.3}, duration_s=1100 * _FRAME_S)
    codec = ToyCodec()
    prepare(tmp_path / "stems", tmp_path / "latents", codec, "toy")
    latents = read_latents(tmp_path / "latents")
    whole = codec.encoder(torch.from_numpy(written["vocals"].T.copy())[None])[0].detach().numpy()
    assert latents.vocals.shape[0] == 1
    np.testing.assert_allclose(latents.vocals[0], whole[:, :1024], atol=1e-6)


@pytest.mark.parametrize(
    ("frames", "expected"),
    [(1, [1]), (200, [200]), (1024, [1024]), (1024 + 255, [1024]), (1024 + 256, [1024, 256]), (2048, [1024, 1024])],
)
def test_short_tails_are_dropped_unless_they_are_all_there_is(frames: int, expected: list[int]) -> None:
    assert valid_frames(frames * 2048 - 5, 2048) == expected


@given(st.integers(1, 10**9), st.sampled_from([16, 2048]))
def test_entries_hold_all_of_the_song_but_less_than_a_quarter_entry(samples: int, hop_samples: int) -> None:
    valid = valid_frames(samples, hop_samples)
    frames = -(-samples // hop_samples)
    assert valid and all(0 < count <= 1024 for count in valid)
    assert 0 <= frames - sum(valid) < 256


def test_index_names_songs_starts_and_codec(tmp_path: Path) -> None:
    write_song(tmp_path / "stems" / "a", {"vocals": 0.3, "accompaniment": 0.3}, duration_s=2048 * _FRAME_S)
    write_song(tmp_path / "stems" / "b", {"vocals": 0.3, "accompaniment": 0.3}, duration_s=0.1)
    prepared = prepare(tmp_path / "stems", tmp_path / "latents", ToyCodec(), "somewhere/codec")
    index = json.loads((tmp_path / "latents" / "latents.json").read_text())
    assert [(entry["song"], entry["start_frame"], entry["valid_frames"]) for entry in index["entries"]] == [
        ("a", 0, 1024), ("a", 1024, 1024), ("b", 0, 50),
    ]  # fmt: skip
    assert index["codec"]["location"] == "somewhere/codec"
    assert index["codec"]["hop_samples"] == 16
    assert (prepared.songs, prepared.entries) == (2, 3)


def test_varispeed_gives_entries_that_are_shorter_by_the_interval(tmp_path: Path) -> None:
    write_song(tmp_path / "stems" / "a", {"vocals": 0.3, "accompaniment": 0.3}, duration_s=1000 * _FRAME_S)
    prepared = prepare(tmp_path / "stems", tmp_path / "latents", ToyCodec(), "toy", varispeed=[12, -12, 12])
    index = json.loads((tmp_path / "latents" / "latents.json").read_text())
    assert [(entry["song"], entry["semitones"], entry["valid_frames"]) for entry in index["entries"]] == [
        ("a", 0, 1000), ("a", 12, 500), ("a", -12, 1024), ("a", -12, 976),
    ]  # fmt: skip
    assert (prepared.songs, prepared.entries) == (1, 4)
    assert read_latents(tmp_path / "latents").songs == ("a",) * 4


def test_what_is_written_about_the_songs_goes_along(tmp_path: Path) -> None:
    for name in "ab":
        write_song(tmp_path / "stems" / name, {"vocals": 0.3, "accompaniment": 0.3}, duration_s=1000 * _FRAME_S)
        (tmp_path / "stems" / name / "song.json").write_text(json.dumps({"facts": FACTS}))
    prepare(tmp_path / "stems", tmp_path / "latents", ToyCodec(), "toy", varispeed=[-12])
    music = read_latents(tmp_path / "latents").music
    assert music is not None and music.shape == (6, 26, 1024)  # of each song one entry, and two at half the speed
    np.testing.assert_array_equal(music[0], music_frames(SongFacts.from_dict(FACTS), 1024, _FRAME_S))
    slow = music_frames(SongFacts.from_dict(FACTS), 2048, _FRAME_S, -12)
    np.testing.assert_array_equal(np.concatenate([music[1], music[2]], axis=1), slow)
    (tmp_path / "stems" / "b" / "song.json").unlink()
    prepare(tmp_path / "stems", tmp_path / "latents", ToyCodec(), "toy")
    assert read_latents(tmp_path / "latents").music is None


def test_a_tone_played_faster_by_an_octave_sounds_an_octave_higher(tmp_path: Path) -> None:
    folder = tmp_path / "stems" / "a"
    folder.mkdir(parents=True)
    tone = 0.3 * np.sin(2 * np.pi * 400 * np.arange(16_000) / 8000).astype(np.float32)
    for stem in ("vocals", "accompaniment"):
        soundfile.write(folder / f"{stem}.wav", np.stack([tone, tone], axis=1), 8000)
    (song,), _ = find_songs(tmp_path / "stems")
    heard: list[np.ndarray] = []

    class Listening(ToyCodec):
        def __init__(self) -> None:
            super().__init__()
            self.encoder.register_forward_hook(lambda _module, inputs, _outputs: heard.append(inputs[0].numpy()))

    encode_song(song, Listening(), 0, semitones=12)
    spectrum = np.abs(np.fft.rfft(heard[0][0, 0, :4000]))
    assert spectrum.argmax() * 8000 / 4000 == pytest.approx(800, abs=3)


@pytest.mark.parametrize("semitones", [13, -13])
def test_varispeed_beyond_an_octave_is_refused(tmp_path: Path, semitones: int) -> None:
    with pytest.raises(UserError, match="at most 12 semitones"):
        prepare(tmp_path, tmp_path / "latents", ToyCodec(), "toy", varispeed=[2, semitones])


def test_unusable_songs_are_listed_and_the_others_encoded(tmp_path: Path) -> None:
    write_song(tmp_path / "stems" / "good", {"vocals": 0.3, "accompaniment": 0.3})
    write_song(tmp_path / "stems" / "broken", {"vocals": 0.3, "accompaniment": 0.3})
    (tmp_path / "stems" / "broken" / "vocals.wav").write_bytes(b"RIFF")
    write_song(tmp_path / "stems" / "alone", {"vocals": 0.3})
    prepared = prepare(tmp_path / "stems", tmp_path / "latents", ToyCodec(), "toy")
    assert prepared.songs == 1
    skipped = json.loads((tmp_path / "latents" / "skipped.json").read_text())
    assert [skip["song"] for skip in skipped] == ["alone", "broken"]


def test_nothing_usable_is_an_error(tmp_path: Path) -> None:
    write_song(tmp_path / "stems" / "alone", {"vocals": 0.3})
    with pytest.raises(UserError, match="alone"):
        prepare(tmp_path / "stems", tmp_path / "latents", ToyCodec(), "toy")


def _encoded_songs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the songs that are really encoded from here on; the song named "kill" ends the run."""
    names: list[str] = []
    encode = prepare_module.encode_song

    def spy(song, codec, context, semitones):  # type: ignore[no-untyped-def]
        if song.name == "kill":
            raise KeyboardInterrupt
        names.append(song.name)
        return encode(song, codec, context, semitones)

    monkeypatch.setattr(prepare_module, "encode_song", spy)
    return names


def test_an_interrupted_run_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stems, out = tmp_path / "stems", tmp_path / "latents"
    for name in ("a", "kill", "z"):
        write_song(stems / name, {"vocals": 0.3, "accompaniment": 0.3})
    encoded = _encoded_songs(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        prepare(stems, out, ToyCodec(), "toy")
    with pytest.raises(UserError, match="not found"):
        read_latents(out)
    shutil.rmtree(stems / "kill")
    prepare(stems, out, ToyCodec(), "toy")
    assert encoded == ["a", "z"]
    assert read_latents(out).songs == ("a", "z")


def test_only_what_changed_is_encoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stems, out = tmp_path / "stems", tmp_path / "latents"
    for name in ("a", "b", "c"):
        write_song(stems / name, {"vocals": 0.3, "accompaniment": 0.3})
    prepare(stems, out, ToyCodec(), "toy")
    encoded = _encoded_songs(monkeypatch)
    write_song(stems / "b", {"vocals": 0.3, "accompaniment": 0.3}, duration_s=1)  # changed
    write_song(stems / "d", {"vocals": 0.3, "accompaniment": 0.3})  # new
    shutil.rmtree(stems / "a")
    prepare(stems, out, ToyCodec(), "toy")
    assert encoded == ["b", "d"]
    assert read_latents(out).songs == ("b", "c", "d")
    assert len(list((out / ".parts").iterdir())) == 3


def test_another_codec_encodes_everything_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stems, out = tmp_path / "stems", tmp_path / "latents"
    write_song(stems / "a", {"vocals": 0.3, "accompaniment": 0.3})
    prepare(stems, out, ToyCodec(seed=0), "toy")
    encoded = _encoded_songs(monkeypatch)
    prepare(stems, out, ToyCodec(seed=1), "toy")
    assert encoded == ["a"]


def test_a_kill_while_assembling_leaves_nothing_that_reads_as_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stems, out = tmp_path / "stems", tmp_path / "latents"
    write_song(stems / "a", {"vocals": 0.3, "accompaniment": 0.3})
    prepare(stems, out, ToyCodec(), "toy")
    write_song(stems / "b", {"vocals": 0.3, "accompaniment": 0.3})
    for fatal_call in range(2):
        calls = []

        def killed(*arguments, fatal_call=fatal_call, calls=calls, concatenate=prepare_module._concatenate):  # type: ignore[no-untyped-def]
            calls.append(arguments)
            if len(calls) > fatal_call:
                raise KeyboardInterrupt
            return concatenate(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(prepare_module, "_concatenate", killed)
            with pytest.raises(KeyboardInterrupt):
                prepare(stems, out, ToyCodec(), "toy")
        with pytest.raises(UserError, match="latent_accomp"):
            read_latents(out)
    prepare(stems, out, ToyCodec(), "toy")
    assert read_latents(out).songs == ("a", "b")


@pytest.mark.parametrize("damage", ["emptied", "cut short", "altered", "another archive"])
def test_a_damaged_part_was_a_traceback_or_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    stems, out = tmp_path / "stems", tmp_path / "latents"
    for name in ("a", "b"):
        write_song(stems / name, {"vocals": 0.3, "accompaniment": 0.3})
    prepare(stems, out, ToyCodec(), "toy")
    whole = (out / "latent_vocal.npy").read_bytes()
    part = min((out / ".parts").iterdir())
    content = part.read_bytes()
    if damage == "another archive":
        np.savez(part, other=np.zeros(3))
    else:
        middle = len(content) // 2
        altered = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        part.write_bytes({"emptied": b"", "cut short": content[:middle], "altered": altered}[damage])
    encoded = _encoded_songs(monkeypatch)
    prepare(stems, out, ToyCodec(), "toy")
    assert len(encoded) == 1
    assert (out / "latent_vocal.npy").read_bytes() == whole


def test_a_folder_whose_name_is_not_utf8_was_a_traceback(tmp_path: Path) -> None:
    stems, odd = tmp_path / "stems", os.fsdecode(b"caf\xe9")
    for name in ("a", "b"):
        write_song(stems / name, {"vocals": 0.3, "accompaniment": 0.3})
    (stems / "b").rename(stems / odd)
    prepared = prepare(stems, tmp_path / "latents", ToyCodec(), "toy")
    assert prepared.songs == 1
    assert [(skip.song, skip.reason) for skip in prepared.skipped] == [
        ("caf\\xe9", "the folder's name is not UTF-8; rename the folder")
    ]
    with pytest.raises(UserError, match="not readable text"):
        prepare(stems, tmp_path / odd, ToyCodec(), "toy")
    with pytest.raises(UserError, match="not readable text"):
        prepare(stems / odd, tmp_path / "latents", ToyCodec(), "toy")
