"""The command line as its users see it: names, formats, levels, reports, interruptions."""

from __future__ import annotations

import importlib
import io
import json
import os
import signal
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from samuel_runtime.audio.level import Meter
from samuel_runtime.audio.writing import FORMATS
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.settings import DEFAULT_SAMPLER
from tests.support.runtime.commands import RATE_HZ, Run, run_here, tree, write_voice


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    return write_voice(tmp_path / "voice.wav")


def _run(capfd: pytest.CaptureFixture[str], bundle: Path, *arguments: str | Path) -> Run:
    run = run_here(capfd, "--bundle", bundle, "--steps", "1", *arguments)
    assert run.code == 0, run.err
    assert all(line.startswith("warning: ") for line in run.err.splitlines())
    return run


def test_alone_a_voice_gets_its_band_beside_it(voice: Path, bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = _run(capfd, bundle, voice)
    band = voice.with_name("voice.accompaniment.wav")
    assert set(tree(voice.parent)) == {voice.name, band.name}
    assert str(band) in run.out
    assert soundfile.info(band).frames == soundfile.info(voice).frames


def test_a_bundle_whose_replacement_was_killed_half_way_was_no_bundle(
    voice: Path, bundle_copy: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = tree(bundle_copy)
    bundle_copy.rename(bundle_copy.with_name(f".{bundle_copy.name}-old"))
    _run(capfd, bundle_copy, voice)
    assert tree(bundle_copy) == before


def test_a_batch_loads_the_bundle_once(
    tmp_path: Path, bundle: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    original = Bundle.open
    monkeypatch.setattr(Bundle, "open", lambda folder=None: opened.append(folder) or original(folder))
    voices = [write_voice(tmp_path / f"{name}.flac", 0.5) for name in ("one", "two", "three")]
    (tmp_path / "bands").mkdir()
    (tmp_path / "mixes").mkdir()
    _run(capfd, bundle, *voices, "-o", tmp_path / "bands", "--mix", tmp_path / "mixes")
    assert len(opened) == 1
    assert set(tree(tmp_path / "bands")) == {f"{name}.accompaniment.wav" for name in ("one", "two", "three")}
    assert set(tree(tmp_path / "mixes")) == {f"{name}.mix.wav" for name in ("one", "two", "three")}


def test_variations_are_named_by_their_seeds_and_equal_single_takes(
    voice: Path, bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = voice.with_name("band.wav")
    _run(capfd, bundle, voice, "-o", output, "--variations", "3", "--seed", "7")
    takes = {name: content for name, content in tree(voice.parent).items() if name.startswith("band")}
    assert list(takes) == ["band-seed7.wav", "band-seed8.wav", "band-seed9.wav"]
    assert len(set(takes.values())) == 3
    _run(capfd, bundle, voice, "-o", output, "--seed", "8")
    assert output.read_bytes() == takes["band-seed8.wav"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_suffix_chooses_the_format_no_peak_clips_and_the_same_command_writes_the_same(
    suffix: str, voice: Path, bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    band, mix = voice.with_name(f"band{suffix.upper()}"), voice.with_name(f"mix{suffix}")
    takes = []
    for _ in range(2):
        _run(capfd, bundle, voice, "-o", band, "--mix", mix)
        # Decoded where every stream gets a serial number by chance.
        decoded = suffix == ".ogg"
        takes.append([soundfile.read(path)[0].tobytes() if decoded else path.read_bytes() for path in (band, mix)])
    assert takes[0] == takes[1]
    for path in (band, mix):
        assert soundfile.info(path).format == FORMATS[suffix][0]
        samples, rate = soundfile.read(path)
        assert (len(samples), rate) == (RATE_HZ, 44_100)
        assert 0 < np.abs(samples).max() < 1


def test_the_band_lies_3_db_under_the_voice_in_the_mix(
    tmp_path: Path, bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    voice = write_voice(tmp_path / "voice.wav", 2.0, channels=2)
    band, mix = tmp_path / "band.wav", tmp_path / "mix.wav"
    _run(capfd, bundle, voice, "-o", band, "--mix", mix)
    sung, played, both = (soundfile.read(path)[0] for path in (voice, band, mix))
    gains, *_ = np.linalg.lstsq(np.stack([sung.ravel(), played.ravel()], axis=1), both.ravel(), rcond=None)
    np.testing.assert_allclose(gains[0] * sung + gains[1] * played, both, atol=1e-5)
    assert _loudness_db(gains[1] * played) - _loudness_db(gains[0] * sung) == pytest.approx(-3, abs=0.05)


def _loudness_db(samples: np.ndarray) -> float:
    meter = Meter(RATE_HZ)
    meter.add(samples)
    return meter.level().rms_db


def test_json_is_one_object_that_tells_what_was_made(
    voice: Path, bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mix = voice.with_name("mix.flac")
    report = json.loads(_run(capfd, bundle, voice, "--mix", mix, "--variations", "2", "--json").out)
    assert report["provider"] == "cpu"
    assert report["seconds"].keys() >= {"read", "load", "total"}
    assert [take["seed"] for take in report["takes"]] == [0, 1]
    for take in report["takes"]:
        assert take["vocals"] == str(voice)
        assert Path(take["accompaniment"]).is_file() and Path(take["mix"]).is_file()
        assert take["duration_s"] == 1.0 and take["steps"] == 1 and take["sampler"] == DEFAULT_SAMPLER.value
        assert take["guidance"] == Bundle.open(bundle).manifest.model.guidance
        assert take["seconds"].keys() >= {"sample", "decode", "write"}
        assert isinstance(take["warnings"], list)
    assert "encode" in report["takes"][0]["seconds"] and "encode" not in report["takes"][1]["seconds"]


def test_a_silent_voice_is_warned_about(tmp_path: Path, bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    voice = tmp_path / "silence.wav"
    soundfile.write(voice, np.zeros(RATE_HZ), RATE_HZ)
    run = run_here(capfd, voice, "--bundle", bundle, "--steps", "1", "--json")
    assert run.code == 0
    assert run.err.startswith("warning: ") and "silent" in run.err and run.err.count("\n") == 1
    assert "silent" in json.loads(run.out)["takes"][0]["warnings"][0]


def test_a_path_that_looks_like_several_lines_is_reported_in_one(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = run_here(capfd, tmp_path / "no\nsuch\nfile.wav")
    assert run.code == 2 and run.err.count("\n") == 1


PLACES = [("diffusion.schedule", "x0_from_output"), ("audio.writing", "_check_end"), ("cli.render", "peak_of")]
"""What is called while sampling, while writing and between the files."""
SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


_SLOW = """
import signal, sys, time
# Whoever runs the tests in the background has these ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
import samuel_runtime.{module} as module
original = module.{name}
def slow(*arguments, **options):
    print("reached", flush=True)
    time.sleep(10)  # ended by the signal
    return original(*arguments, **options)
module.{name} = slow
from samuel_runtime.cli import main
main()
"""


@pytest.mark.parametrize("signum, code", SIGNALS, ids=["ctrl-c", "terminated", "terminal closed"])
@pytest.mark.parametrize("module, name", PLACES, ids=["while sampling", "while writing", "between the files"])
def test_an_interrupted_run_leaves_nothing_behind(
    module: str,
    name: str,
    signum: int,
    code: int,
    voice: Path,
    bundle: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    voice.with_name("band.wav").write_bytes(b"an earlier take")
    before, reached = tree(voice.parent), []
    place = importlib.import_module(f"samuel_runtime.{module}")
    original = getattr(place, name)

    def interrupted(*arguments: object, **options: object) -> object:
        reached.append(name)
        signal.raise_signal(signum)
        return original(*arguments, **options)

    # Whoever runs the tests in the background has these ignored.
    handlers = {signum: signal.getsignal(signum) for signum, _ in SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    monkeypatch.setattr(place, name, interrupted)
    try:
        files = ("-o", voice.with_name("band.wav"), "--mix", voice.with_name("mix.wav"))
        run = run_here(capfd, voice, *files, "--bundle", bundle, "--steps", "2")
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert reached == [name] and run.code == code and "Traceback" not in run.err
    assert tree(voice.parent) == before and not any(path.is_dir() for path in voice.parent.iterdir())


@pytest.mark.parametrize(
    "signum, code, module, name",
    [(*one, *place) for one, place in zip(SIGNALS, PLACES, strict=True)],
    ids=["ctrl-c", "terminated", "terminal closed"],
)
def test_an_interrupted_process_leaves_nothing_behind(
    signum: int, code: int, module: str, name: str, voice: Path, bundle: Path
) -> None:
    voice.with_name("band.wav").write_bytes(b"an earlier take")
    before = tree(voice.parent)
    process = subprocess.Popen(
        [sys.executable, "-c", _SLOW.format(module=module, name=name), voice, "-o", voice.with_name("band.wav"),
         "--mix", voice.with_name("mix.wav"), "--bundle", bundle, "--steps", "2"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "reached\n"
    process.send_signal(signum)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in err
    assert tree(voice.parent) == before and not any(path.is_dir() for path in voice.parent.iterdir())


def test_a_progress_bar_is_drawn_on_a_terminal_only(
    voice: Path, bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pty = pytest.importorskip("pty")
    command = (voice, "--bundle", bundle, "--steps", "2")
    fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))

    def shown() -> bytes:
        parts = []
        try:
            while part := os.read(ours, 4096):
                parts.append(part)
        except OSError:  # the other end closed
            pass
        return b"".join(parts)

    try:
        with ThreadPoolExecutor(1) as pool, pytest.MonkeyPatch.context() as patch:
            showing = pool.submit(shown)
            with open(theirs, "w") as terminal:  # noqa: PTH123
                patch.setattr(sys, "stderr", terminal)
                run = run_here(capfd, *command)
            on_terminal = showing.result(60)
    finally:
        os.close(ours)
    assert (run.code, run.err) == (0, "")
    assert b"sample |" in on_terminal and b"/2 " in on_terminal
    assert "sample |" not in run.out
    elsewhere = run_here(capfd, *command)
    assert (elsewhere.code, elsewhere.err) == (0, "")


def _shell(line: str, *arguments: str | Path) -> Run:
    """A run as a shell starts it; ``line`` follows the command."""
    command = f'exec "$0" -m samuel_runtime.cli "$@" {line}'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable, *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return Run(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_failure(closed: str, voice: Path, bundle: Path) -> None:
    run = _shell(closed, voice, "--bundle", bundle, "--steps", "1")
    assert (run.code, run.err) == (0, "")
    assert soundfile.info(voice.with_name("voice.accompaniment.wav")).frames == RATE_HZ
    if closed == "<&- >&- 2>&-":  # among them where the message goes
        assert _shell(closed, voice.with_name("nowhere.wav")).code == 2


def test_without_a_stderr_a_run_goes_on(voice: Path, bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", None)
        run = run_here(capfd, voice, "--bundle", bundle, "--steps", "1")
        sys.stderr.close()  # what was opened in its place
    assert (run.code, run.err) == (0, "")


def test_a_name_that_stdout_cannot_encode_is_printed_with_escapes(
    voice: Path, bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    named = voice.rename(voice.with_name("\N{EURO SIGN}\N{LATIN SMALL LETTER E WITH ACUTE}.wav"))
    printed = io.BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding="latin-1"))
        run = run_here(capfd, named, "--bundle", bundle, "--steps", "1")
        sys.stdout.flush()
    assert (run.code, run.err) == (0, "")
    assert "\\u20ac\xe9.accompaniment.wav" in printed.getvalue().decode("latin-1")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_stdout_on_a_full_disk_is_one_line(voice: Path, bundle: Path) -> None:
    run = _shell(">/dev/full", voice, "--bundle", bundle, "--steps", "1")
    assert run.code == 2
    assert run.err == "error: stdout: cannot be written (No space left on device); make space where it is sent to\n"


def test_of_several_bad_files_each_is_named_and_nothing_is_made(
    voice: Path, bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (voice.parent / "text.wav").write_text("no audio")
    before = tree(voice.parent)
    bad = [voice.with_name("text.wav"), voice.with_name("nowhere.wav")]
    run = run_here(capfd, bad[0], voice, bad[1], "--bundle", bundle, "--steps", "1")
    assert (run.code, run.out) == (2, "")
    assert [line.partition(": ")[2].partition(": ")[0] for line in run.err.splitlines()] == [str(path) for path in bad]
    assert tree(voice.parent) == before


def test_a_folder_that_is_not_there_is_made_for_variations_of_one_voice(
    voice: Path, bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, variations in (("slash/", "1"), ("several", "2")):
        _run(capfd, bundle, voice, "-o", f"{voice.parent}/{name}", "--variations", variations)
    assert set(tree(voice.parent)) == {
        "voice.wav", "slash/voice.accompaniment.wav",
        "several/voice.accompaniment-seed0.wav", "several/voice.accompaniment-seed1.wav",
    }  # fmt: skip


@pytest.mark.parametrize("length", [246, 255])
def test_an_output_with_a_long_name_is_written(
    length: int, voice: Path, bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It once failed after all the work."""
    band = voice.with_name("b" * (length - 4) + ".wav")
    _run(capfd, bundle, voice, "-o", band)
    assert soundfile.info(band).frames == RATE_HZ


def test_an_output_through_a_link_keeps_the_link_and_the_mode(
    voice: Path, bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    band, link = voice.with_name("band.wav"), voice.with_name("link.wav")
    band.touch(0o600)
    link.symlink_to(band)
    _run(capfd, bundle, voice, "-o", link)
    assert link.is_symlink() and soundfile.info(band).frames == RATE_HZ
    assert band.stat().st_mode & 0o777 == 0o600
