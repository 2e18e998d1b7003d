"""The command line: lazy, one line for the user's mistakes, exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from samuel_runtime.errors import UserError
from samuel_train.cli import group as cli
from samuel_train.data import kaggle
from samuel_train.fit.run_folder import load_run_settings, newest_run
from tests.support.train.toy import ToyCodec, write_latents, write_song


def _run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `samuel-train ARGUMENTS`, in this process."""
    monkeypatch.setattr(sys, "argv", ["samuel-train", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    captured = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, captured.out, captured.err


def test_help_does_not_import_torch() -> None:
    code = (
        "import sys\nfrom samuel_train.cli.group import group\n"
        "for words in (['--help'], ['fit', '--help'], ['prepare', '--help']):\n"
        "    try: group.main(words, standalone_mode=True)\n"
        "    except SystemExit: pass\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for word in ("synthesize", "prepare", "import-published", "--max-minutes", "STEMS"):
        assert word in done.stdout


def test_every_listed_command_exists() -> None:
    context = cli.group.make_context("samuel-train", ["--help"], resilient_parsing=True)
    for name in cli.group.list_commands(context):
        command = cli.group.get_command(context, name)
        assert command is not None and command.name == name


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fit", "nowhere"], "nowhere/latent_vocal.npy: not found"),
        (["fit", "nowhere", "--config", "none.toml"], "none.toml: cannot be read"),
        (["fit", "nowhere", "--resume"], "no run to continue"),
        (["fit", "nowhere", "--resume", "--config", "x"], "--config does not go with --resume"),
        (["fit", "nowhere", "--resume", "--from", "x"], "--from does not go with --resume"),
        (["fit", "nowhere", "--from", "none.safetensors"], "none.safetensors: "),
        (["fit", "nowhere", "--batch", "0"], "batch must be an integer from 1"),
        (["fit", "kaggle:nonsense"], "not the name of a data set"),
        (["prepare", "nowhere", "--device", "tpu"], "device 'tpu' is unknown"),
        (["fit"], "Missing argument"),
        (["fitt"], "fitt"),
    ],
)
def test_mistakes_are_one_line_and_exit_with_two(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = _run(capsys, monkeypatch, *arguments)
    assert code == 2 and not out
    assert said in err and err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.fixture
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("_one_thread")
def test_prepare_then_fit_then_resume(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("samuel_train.codec.load_codec", lambda location, device: ToyCodec(), raising=False)
    for name in ("a", "b", "c"):
        write_song(tmp_path / "stems" / name, {"vocals": 0.3, "accompaniment": 0.3})
    write_song(tmp_path / "stems" / "d", {"vocals": 0.3})
    code, out, err = _run(capsys, monkeypatch, "prepare", "stems", "-o", "latents", "--codec", "toy")
    assert (code, out) == (0, "latents: 3 entries from 3 songs\n")
    assert "skipped d: no accompaniment" in err

    (tmp_path / "fit.toml").write_text(
        "[model]\nbase_channels = 8\ntime_width = 16\nheads = 2\n"
        "[fit]\nbatch = 2\nframes_min = 16\nframes_max = 16\nvalidation_examples = 1\n"
    )
    code, out, _ = _run(
        capsys, monkeypatch, "fit", "latents", "--config", "fit.toml", "--max-steps", "2", "--device", "cpu"
    )
    (run,) = (tmp_path / "runs").iterdir()
    assert code == 0 and out.startswith(f"runs/{run.name}/checkpoint.safetensors: validation loss")
    code, out, _ = _run(capsys, monkeypatch, "fit", "latents", "--resume", "--max-steps", "3", "--device", "cpu")
    assert code == 0 and out.endswith("after 3 steps\n")
    assert list((tmp_path / "runs").iterdir()) == [run]
    # Without --config the network is the checkpoint's.
    further = ("fit", "latents", "-o", "more", "--from", f"runs/{run.name}/checkpoint.safetensors")
    code, out, _ = _run(capsys, monkeypatch, *further, "--max-steps", "1", "--batch", "1", "--device", "cpu")
    assert code == 0 and out.endswith("after 1 steps\n")
    assert load_run_settings(tmp_path / "more").model.base_channels == 8


def test_interruption_exits_with_130(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("samuel_train.fit.loop.fit", interrupted)
    assert _run(capsys, monkeypatch, "fit", str(tmp_path), "-o", str(tmp_path / "run"))[0] == 130


def _fake_kagglehub(monkeypatch: pytest.MonkeyPatch, download: object) -> None:
    module = types.ModuleType("kagglehub")
    module.dataset_download = download  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "kagglehub", module)


def test_kaggle_data_set_is_found_in_its_subfolder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    write_latents(tmp_path / "versions" / "1" / "inner", entries=1)
    _fake_kagglehub(monkeypatch, lambda reference: asked.append(reference) or str(tmp_path))
    assert kaggle.fetch_latents("owner/data") == tmp_path / "versions" / "1" / "inner"
    assert asked == ["owner/data"]


def test_kaggle_faults_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(UserError, match=r"pip install 'samuel-deploy\[kaggle\]'"):
        kaggle.fetch_latents("owner/data")

    def failing(reference: str) -> str:
        raise ConnectionError("no\nroute")

    _fake_kagglehub(monkeypatch, failing)
    with pytest.raises(UserError, match=r"ConnectionError: no route.*credentials"):
        kaggle.fetch_latents("owner/data")
    _fake_kagglehub(monkeypatch, lambda reference: str(tmp_path))
    with pytest.raises(UserError, match=r"holds no latent_vocal\.npy"):
        kaggle.fetch_latents("owner/data")


def test_newest_run_is_the_one_saved_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for age, name in enumerate(("z", "a")):
        state = tmp_path / "runs" / name / "last" / "state.pt"
        state.parent.mkdir(parents=True)
        state.touch()
        os.utime(state, (1000 - age, 1000 - age))
    assert newest_run() == Path("runs/z")
