"""What a folder of voices asks for, without a cluster: names, what is there, and what cannot be meant."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from samuel_runtime.batch.cluster import Cluster
from samuel_runtime.batch.command import command
from samuel_runtime.batch.voices import Plan
from samuel_runtime.errors import UserError
from samuel_runtime.settings import Settings
from tests.support.runtime.commands import write_voice


@pytest.fixture
def plan(tmp_path: Path, bundle: Path) -> Plan:
    """Of two voices, one of them in a folder."""
    (tmp_path / "voices" / "deep").mkdir(parents=True)
    for name in ("a.flac", "deep/b.MP3", "notes.txt"):
        (tmp_path / "voices" / name).touch()
    settings = Settings(steps=1)
    return Plan(str(tmp_path / "voices"), str(tmp_path / "bands"), str(bundle), "cpu", 1, settings, ".wav", mixes=True)


def test_bands_lie_as_voices_do_and_those_there_are_not_made(plan: Plan, tmp_path: Path) -> None:
    assert plan.missing() == (["a.flac", "deep/b.MP3"], 0)
    assert (plan.band_of("deep/b.MP3"), plan.mix_of("a.flac")) == ("deep/b.accompaniment.wav", "a.mix.wav")
    (tmp_path / "bands").mkdir()
    (tmp_path / "bands" / "a.mix.wav").touch()  # which comes before its band
    assert plan.missing()[1] == 0
    (tmp_path / "bands" / "a.accompaniment.wav").touch()
    assert plan.missing() == (["deep/b.MP3"], 1)


def test_the_band_comes_after_its_mix(plan: Plan, tmp_path: Path) -> None:
    """So that a worker that ends in between leaves a voice without a band."""
    write_voice(tmp_path / "voices" / "c.wav", 0.5)
    (tmp_path / "bands" / "c.mix.wav").mkdir(parents=True)  # where no file can be put
    with pytest.raises(UserError, match="cannot be written"):
        plan.maker()("c.wav")
    assert not (tmp_path / "bands" / "c.accompaniment.wav").exists()
    (tmp_path / "bands" / "c.mix.wav").rmdir()
    plan.maker()("c.wav")
    assert {path.name for path in (tmp_path / "bands").iterdir()} == {"c.accompaniment.wav", "c.mix.wav"}


def test_folders_that_cannot_be_meant_are_told(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="lies among the voices"):
        replace(plan, bands=f"{plan.voices}/bands").missing()
    with pytest.raises(UserError, match="holds no recordings"):
        replace(plan, voices=str(tmp_path / "none")).missing()
    (tmp_path / "voices" / "a.wav").touch()
    with pytest.raises(UserError, match=r"a.flac and a.wav would have the same band"):
        plan.missing()


def test_a_folder_holds_bands_of_one_kind(plan: Plan) -> None:
    plan.keep_record()
    plan.keep_record()
    for other in (replace(plan, mixes=False), replace(plan, settings=Settings(steps=2))):
        with pytest.raises(UserError, match="were made with other settings, or another bundle"):
            other.keep_record()


def test_without_ray_it_is_told_what_to_install(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("samuel_runtime.batch.cluster.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'samuel-deploy\[ray\]'"):
        list(Cluster().over(["a"], plan.maker))
    with pytest.raises(UserError, match="holds no recordings"):
        command.main([f"{plan.voices}-none", "-o", str(plan.bands)], standalone_mode=False)
