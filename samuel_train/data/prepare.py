"""Stems to latents in the published format, song by song, so that a run can be killed and continued.

OUT/latent_vocal.npy, OUT/latent_accomp.npy   (entries, 64, 1024) float32
OUT/latent_music.npy                          (entries, 26, 1024) float16, if beats and chords are written for all songs
OUT/latent_sheets.npy                         (entries, 34, 1024) float16, as music: the lead sheets
OUT/latents.json                              entry -> song, semitones, start frame, valid frames; the codec
OUT/skipped.json                              songs left out, with the reason
OUT/.parts/                                   one file per encoded song and speed, reused by the next run
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from samuel_runtime.errors import UserError
from samuel_runtime.files import check_name, replacing
from samuel_train.codec.model.base import Codec, encoder_context_frames
from samuel_train.data.annotations import music_frames, sheet_frames, written_music
from samuel_train.data.encode import ENTRY_FRAMES, Encoded, encode_song
from samuel_train.data.latents import ACCOMPANIMENT_FILE, INDEX_FILE, MUSIC_FILE, SHEETS_FILE, VOCALS_FILE
from samuel_train.data.stems import Skipped, SongFolder, find_songs

SKIPPED_FILE = "skipped.json"
MOST_SEMITONES = 12
_PARTS = ".parts"
_VERSION = 1


@dataclass(frozen=True)
class Prepared:
    """What a run of :func:`prepare` made."""

    folder: Path
    songs: int
    entries: int
    """Entries of 1024 frames."""
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True)
class _Part:
    """A song at one speed, encoded."""

    song: SongFolder
    semitones: int
    path: Path


SongParts = Sequence[_Part]
"""Of one song, one for each speed."""
EncodeSongs = Callable[[Sequence[SongParts]], Iterator[tuple[SongParts, str]]]
"""Encodes songs in any order; yields each with why it cannot be used, a sentence, else ""."""


def song_encoder(codec: Codec) -> Callable[[SongParts], None]:
    """What encodes a song at every speed that no earlier run has left, each into its file; raises UserError."""
    context_frames = max(encoder_context_frames(codec))

    def encode(parts: SongParts) -> None:
        for part in parts:
            if not _is_whole(part.path):
                encoded = encode_song(part.song, codec, context_frames, part.semitones)
                with replacing(part.path) as temporary:
                    np.savez(temporary, **encoded._asdict())

    return encode


def encode_here(codec: Codec) -> EncodeSongs:
    """One song after the other, in this process."""
    encode = song_encoder(codec)

    def encode_all(songs: Sequence[SongParts]) -> Iterator[tuple[SongParts, str]]:
        for parts in songs:
            failure = ""
            try:
                encode(parts)
            except UserError as error:
                failure = str(error)
            yield parts, failure

    return encode_all


def prepare(
    stems: Path,
    out: Path,
    codec: Codec,
    codec_location: str,
    varispeed: Sequence[int] = (),
    encode: EncodeSongs | None = None,
) -> Prepared:
    """Encode every song below ``stems`` and write the latents to ``out``.

    Each song is encoded once more for each of the ``varispeed`` semitones, played faster or slower by as much: other
    keys and tempos, at no more than the time of encoding. All are entries of the same song, so that none is trained
    on while another is held out.

    Songs that an earlier run encoded with the same codec from the same files are taken from there.
    ``codec_location`` is recorded, so that a checkpoint can say which codec it belongs to. ``encode`` is
    :func:`encode_here`, or does the same elsewhere: with an equal codec, and where ``stems`` and ``out`` are seen.

    Raises:
        UserError: if there is no usable song, a speed is out of range, or ``out`` cannot be written.
    """
    speeds = list(dict.fromkeys((0, *varispeed)))
    if max(map(abs, speeds)) > MOST_SEMITONES:
        raise UserError(f"varispeed can be at most {MOST_SEMITONES} semitones up or down, not {max(speeds, key=abs)}")
    check_name(out)
    songs, skipped = find_songs(stems)
    parts = out / _PARTS
    _make_folder(parts)
    for leftover in out.glob(".latent_*-*.npy"):  # of a run that was killed
        leftover.unlink()
    digest = _encoder_digest(codec)
    wanted = [[_Part(song, s, parts / f"{_key(song, digest, s)}.npz") for s in speeds] for song in songs]
    encoding = (encode or encode_here(codec))(wanted)
    failures = {
        of_song[0].song.name: failure
        for of_song, failure in tqdm(encoding, total=len(wanted), desc="encoding", unit="song", disable=None)
        if failure
    }
    skipped += [Skipped(name, failure) for name, failure in failures.items()]
    # A song that cannot be used at one speed may be at those before it.
    done = [part for of_song in wanted for part in of_song if part.song.name not in failures or part.path.exists()]
    skipped.sort(key=lambda skip: skip.song)
    _write_json(out / SKIPPED_FILE, [asdict(skip) for skip in skipped])
    if not done:
        reasons = "; ".join(f"{skip.song}: {skip.reason}" for skip in skipped[:3])
        raise UserError(f"{stems}: none of the {len(skipped)} songs can be used ({reasons})")
    index = _index(done, codec, codec_location, digest)
    _write_music(out, done, codec.facts.hop_samples / codec.facts.sample_rate_hz)
    _assemble(out, [part.path for part in done], index, codec.facts.latent_channels)
    _remove_others(parts, keep={part.path for part in done})
    return Prepared(out, len({part.song.name for part in done}), len(index["entries"]), tuple(skipped))


def _key(song: SongFolder, digest: str, semitones: int) -> str:
    """Changes with the song's name, any of its files, the encoder and the speed."""
    facts = [song.name, digest, str(semitones)]
    for path in song.files:
        status = path.stat()
        facts += [path.name, str(status.st_size), str(status.st_mtime_ns)]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32]


def _encoder_digest(codec: Codec) -> str:
    """SHA-256 over the encoder's weights: latents of another codec must not be mixed in."""
    digest = hashlib.sha256()
    for name, tensor in sorted(codec.encoder.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _index(done: list[_Part], codec: Codec, codec_location: str, digest: str) -> dict[str, Any]:
    return {
        "version": _VERSION,
        "codec": {"location": codec_location, "encoder_sha256": digest, **asdict(codec.facts)},
        "entries": [
            {
                "song": part.song.name,
                "semitones": part.semitones,
                "start_frame": number * ENTRY_FRAMES,
                "valid_frames": frames,
            }
            for part in done
            for number, frames in enumerate(_load(part.path).valid_frames.tolist())
        ],
    }


def _assemble(out: Path, parts: list[Path], index: dict[str, Any], channels: int) -> None:
    """Concatenate the parts. Readers need all three files, and one is missing until all agree."""
    shape = (len(index["entries"]), channels, ENTRY_FRAMES)
    (out / ACCOMPANIMENT_FILE).unlink(missing_ok=True)
    _concatenate(out / VOCALS_FILE, parts, 0, shape)
    _write_json(out / INDEX_FILE, index)
    _concatenate(out / ACCOMPANIMENT_FILE, parts, 1, shape)


def _write_music(out: Path, done: list[_Part], frame_s: float) -> None:
    """What is written about the songs, where it is for every one of them."""
    drawn = {MUSIC_FILE: music_frames, SHEETS_FILE: sheet_frames}
    for name in drawn:
        (out / name).unlink(missing_ok=True)
    facts = {part.song.name: written_music(part.song) for part in done}
    rows: dict[str, list[np.ndarray]] = {name: [] for name in drawn}
    for part in done:
        if (written := facts[part.song.name]) is None:
            return
        entries = len(_load(part.path).valid_frames)
        for name, frames_of in drawn.items():
            frames = frames_of(written, entries * ENTRY_FRAMES, frame_s, part.semitones)  # (channels, frames)
            rows[name].append(frames.reshape(len(frames), entries, ENTRY_FRAMES).transpose(1, 0, 2))
    for name, arrays in rows.items():
        with replacing(out / name) as temporary:
            np.save(temporary, np.concatenate(arrays))


def _concatenate(path: Path, parts: list[Path], role: int, shape: tuple[int, int, int]) -> None:
    with replacing(path) as temporary:
        latents = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float32, shape=shape)
        start = 0
        for part in parts:
            rows = _load(part).latents[role]  # (entries of the song, channels, 1024)
            latents[start : start + len(rows)] = rows
            start += len(rows)
        latents.flush()
        del latents


def _is_whole(part: Path) -> bool:
    """Whether an earlier run left the song's latents there, undamaged; reading an array compares its checksum."""
    try:
        encoded = _load(part)
    except (AttributeError, EOFError, OSError, TypeError, ValueError, zipfile.BadZipFile, zlib.error):
        return False
    return encoded.latents.ndim == 4 and encoded.latents.shape[1] == len(encoded.valid_frames) > 0


def _load(part: Path) -> Encoded:
    with np.load(part, allow_pickle=False) as arrays:
        return Encoded(**arrays)


def _remove_others(parts: Path, keep: set[Path]) -> None:
    for path in parts.iterdir():
        if path not in keep:
            path.unlink()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be created ({error.strerror}); choose another folder with -o") from error


def _write_json(path: Path, value: Any) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
