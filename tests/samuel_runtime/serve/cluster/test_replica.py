"""A replica by itself: jobs at once sample together, and each gets what it would get alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ray", reason="Ray is not installed (extra `ray`)")
pytest.importorskip("ray.serve", reason="Ray Serve is not installed (extra `ray`)")

from samuel_export.parity.limits import limits_of
from samuel_export.precision.weights import WeightFormat
from samuel_runtime.audio.mel import log_mel
from samuel_runtime.audio.samples import Audio
from samuel_runtime.diffusion.batching import largest_batch, sample_together
from samuel_runtime.errors import UserError
from samuel_runtime.pipeline import Samuel
from samuel_runtime.serve.cluster import replica as replica_module
from samuel_runtime.serve.cluster.replica import BundleReplica
from samuel_runtime.serve.cluster.settings import ClusterSettings
from samuel_runtime.settings import Precision, Settings
from tests.support.runtime.commands import write_voice

WAIT_S = 60.0
_INAUDIBLE = 0.1
"""Log-mel distance that the parity of a bundle with a random decoder allows, see tests/support/miniature.py."""


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the batches that were sampled."""
    sizes: list[int] = []

    def counted(denoiser: Any, windows: Any) -> None:
        sizes.append(largest_batch(windows))
        sample_together(denoiser, windows)

    monkeypatch.setattr(replica_module, "sample_together", counted)
    # What a replica is told by the cluster that it is in; there is none.
    monkeypatch.setattr("ray.get_runtime_context", lambda: SimpleNamespace(get_node_id=lambda: "here"))
    facts = SimpleNamespace(_deployment_config=SimpleNamespace(max_ongoing_requests=8))
    monkeypatch.setattr("ray.serve.get_replica_context", lambda: facts)
    return sizes


def ran(bundle: Path, scenario: Callable[[BundleReplica], Any], **settings: Any) -> Any:
    """A replica in an event loop, as Ray Serve has it."""

    async def whole() -> Any:
        own = ClusterSettings.parse({"bundle": str(bundle), "provider": "cpu", **settings})
        return await asyncio.wait_for(scenario(BundleReplica(own)), WAIT_S)

    return asyncio.run(whole())


def test_what_comes_while_a_batch_is_sampled_is_one_batch(
    bundle: Path, tmp_path: Path, batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    voice, counted, all_wait = (
        write_voice(tmp_path / "voice.wav", 1.0),
        replica_module.sample_together,
        threading.Event(),
    )

    def held(denoiser: Any, windows: Any) -> None:
        assert all_wait.wait(WAIT_S)
        counted(denoiser, windows)

    monkeypatch.setattr(replica_module, "sample_together", held)

    async def one_then_three(replica: BundleReplica) -> None:
        asked: list[None] = []
        submit = replica._submit

        def submitted(window: Any) -> Any:
            asked.append(None)
            return submit(window)

        monkeypatch.setattr(replica._samuel.denoiser, "_submit", submitted)

        async def one(seed: int) -> None:
            (into := tmp_path / str(seed)).mkdir()
            order = {"voice": str(voice), "into": str(into), "wanted": {"seed": seed, "steps": 2}}
            assert [event async for event in replica.render(order)][-1]["event"] == "done"

        jobs = []
        for seed in range(4):  # one after the other, further apart than a batch waits
            jobs.append(asyncio.ensure_future(one(seed)))
            while len(asked) <= seed:
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.1)
        all_wait.set()
        await asyncio.gather(*jobs)

    ran(bundle, one_then_three, batch=4, batch_wait_s=0.01)
    assert batches == [1, 3]


def test_jobs_at_once_sample_together_and_sound_as_alone(bundle: Path, tmp_path: Path, batches: list[int]) -> None:
    voice = write_voice(tmp_path / "voice.wav", 1.5)

    async def four(replica: BundleReplica) -> list[list[dict[str, Any]]]:
        async def one(seed: int) -> list[dict[str, Any]]:
            (into := tmp_path / str(seed)).mkdir()
            order = {"voice": str(voice), "into": str(into), "wanted": {"seed": seed, "steps": 3}}
            return [event async for event in replica.render(order)]

        return await asyncio.gather(*map(one, range(4)))

    for events in ran(bundle, four, batch=4, batch_wait_s=2.0):
        assert [event["event"] for event in events[:2]] == ["begun", "heard"] and events[-1]["event"] == "done"
        sampled = [event["done"] for event in events if event.get("stage") == "sample"]
        assert sampled[-1] == 3
    assert max(batches) > 1 and sum(batches) == 4
    with Samuel.load(bundle, "cpu", threads=1) as samuel:
        for seed in range(4):
            alone = samuel.accompany(voice, Settings(steps=3, seed=seed))
            (written := tmp_path / "alone.wav").unlink(missing_ok=True)
            alone.write(written)
            bands = [Audio.read(path) for path in (tmp_path / str(seed) / "accompaniment-1.wav", written)]
            spectra = [log_mel(band.samples, band.sample_rate_hz) for band in bands]
            assert np.abs(spectra[0] - spectra[1]).mean() < _INAUDIBLE
    assert limits_of(Precision.FP32, WeightFormat.FP32).log_mel < _INAUDIBLE  # what a trained decoder is held to


def test_a_job_that_nobody_wants_ends_and_the_replica_goes_on(bundle: Path, tmp_path: Path, batches: list[int]) -> None:
    voice = write_voice(tmp_path / "voice.wav", 1.5)

    async def scenario(replica: BundleReplica) -> str:
        wanted = {"steps": 400, "sampler": "ddim"}
        events = replica.render({"voice": str(voice), "into": str(tmp_path), "wanted": wanted})
        while (await anext(events)).get("stage") != "sample":
            pass
        await events.aclose()
        order = {"voice": str(voice), "into": str(tmp_path), "wanted": {"steps": 1}}
        return [event async for event in replica.render(order)][-1]["event"]

    assert ran(bundle, scenario, batch=1, max_ongoing_requests=1) == "done"


def test_what_is_wrong_with_a_recording_is_an_event(bundle: Path, tmp_path: Path, batches: list[int]) -> None:
    (noise := tmp_path / "noise.wav").write_bytes(b"no sound")

    async def scenario(replica: BundleReplica) -> dict[str, Any]:
        order = {"voice": str(noise), "into": str(tmp_path), "wanted": {}}
        return [event async for event in replica.render(order)][-1]

    ended = ran(bundle, scenario)
    assert ended["event"] == "refused" and ended["detail"].startswith("voice: cannot be read")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"cpu": 2}, "cpu: Extra inputs are not permitted; settings are bundle, provider, data"),
        ({"cpus": "0"}, "cpus: Input should be greater than 0"),
        ({"min_replicas": 9}, "min_replicas must be at most max_replicas, 8"),
        ({"batch": 8, "max_ongoing_requests": 4}, "batch must be at most max_ongoing_requests, 4"),
        ({"batch": 9, "max_ongoing_requests": 9}, "batch: Input should be less than or equal to 8"),
        ({"provider": "gpu"}, "provider must be one of"),
    ],
)
def test_settings_that_cannot_be_used_are_told(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as error:
        ClusterSettings.parse(arguments)
    assert str(error.value).startswith(said)


def test_settings_are_taken_as_text() -> None:
    settings = ClusterSettings.parse({"cpus": "2", "gpus": "0.5", "max_minutes": "1"})
    assert (settings.threads, settings.gpus, settings.limits.longest_s) == (2, 0.5, 60)


def test_batches_are_for_gpus_unless_they_are_asked_for() -> None:
    for arguments, expected in (({}, (1, 2, 1.0)), ({"gpus": 0.5}, (8, 8, 4.0)), ({"batch": 4}, (4, 4, 2.0))):
        settings = ClusterSettings.parse(arguments)
        assert (settings.together, settings.ongoing, settings.target) == expected
