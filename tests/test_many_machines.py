"""Two nodes of a Ray cluster on this machine: work is spread, nothing is lost, and results are those of one machine."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")
pytest.importorskip("ray", reason="Ray is not installed (extra `ray`)")
pytest.importorskip("ray.serve", reason="Ray Serve is not installed (extra `ray`)")
pytest.importorskip("ray.data", reason="Ray Data is not installed (extra `ray`)")
pytest.importorskip("fcntl", reason="Ray clusters of several nodes on one machine need Linux or macOS")

import httpx
import ray

from samuel_runtime.audio.mel import log_mel
from samuel_runtime.audio.samples import Audio
from samuel_runtime.batch.cluster import Cluster
from samuel_runtime.errors import UserError
from samuel_runtime.pipeline import Samuel
from samuel_runtime.serve.cluster.inspector import TaskInspector
from samuel_runtime.settings import Settings
from tests.support.runtime.commands import write_voice
from tests.support.runtime.ray_cluster import cut_power, free_port, ray_cluster
from tests.support.runtime.serving import PATIENCE_S, accepted, ended, wait_for
from tests.support.train.toy import write_song

NODE_CPUS, REPLICA_CPUS = 4, 2.5
"""So that a node has room for one replica, and beside it for a worker of Ray Data's."""
_INAUDIBLE = 0.1
"""Log-mel distance that the parity of a bundle with a random decoder allows, see tests/support/miniature.py."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with ray_cluster(nodes=2, cpus=NODE_CPUS) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_voice(tmp_path_factory.mktemp("voice") / "voice.wav", 1.0)


@contextmanager
def serving(bundle: Path, data: str, **settings: Any) -> Iterator[tuple[httpx.Client, Callable[..., None]]]:
    """The application with a replica on each of two nodes; yields a client, and what deploys it again."""
    from ray import serve

    from samuel_runtime.serve.ray_app import app

    def deploy(**changed: Any) -> None:
        own = {
            "bundle": str(bundle),
            "provider": "cpu",
            "data": data,
            "cpus": REPLICA_CPUS,
            "batch": 4,
            "min_replicas": 2,
        }
        serve.run(app({**own, "max_replicas": 2, **settings, **changed}), name="samuel")

    port = free_port()
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    deploy()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S) as client:
            yield client, deploy
    finally:
        serve.shutdown()


def check_sound(content: bytes, bundle: Path, voice: Path, settings: Settings, folder: Path) -> None:
    """A band is what one machine makes of the voice by itself, to the ear."""
    paths = folder / "one.wav", folder / "many.wav"
    with Samuel.load(bundle, "cpu", threads=1) as samuel:
        samuel.accompany(voice, settings).write(paths[0])
    paths[1].write_bytes(content)
    spectra = [log_mel(band.samples, band.sample_rate_hz) for band in map(Audio.read, paths)]
    assert spectra[0].shape == spectra[1].shape and np.abs(spectra[0] - spectra[1]).mean() < _INAUDIBLE


def asked(client: httpx.Client, voice: Path, count: int, **settings: Any) -> list[str]:
    """Jobs of several clients at once."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda seed: accepted(client, voice, seed=seed, **settings), range(count)))


def all_answered(client: httpx.Client, ids: Sequence[str], states: Collection[str]) -> bool:
    """Whether all jobs are in one of these states; False while nobody is there who could say."""
    try:
        answers = [client.get(f"/v1/accompaniments/{job_id}") for job_id in ids]
    except httpx.TransportError:  # the proxy of a node that ended, which listens at the same port
        return False
    return all(answer.status_code == 200 and answer.json()["state"] in states for answer in answers)


def test_jobs_over_http_are_done_on_every_node_and_sound_as_on_one_machine(
    cluster: Any, bundle: Path, voice: Path, tmp_path: Path
) -> None:
    from ray import serve

    # The folder as a URL of fsspec's: all goes through the store of objects.
    with serving(bundle, f"local://{tmp_path}/store", batch_wait_s=0.5) as (client, _):
        ids = asked(client, voice, 6, steps=3)
        removed = accepted(client, voice, steps=800)
        assert client.delete(f"/v1/accompaniments/{removed}").status_code == 204
        for seed, job_id in enumerate(ids):
            job = ended(client, job_id)
            assert job["state"] == "done" and job["takes"][0]["seed"] == seed, job["error"]
        band = client.get(f"/v1/accompaniments/{ids[5]}/accompaniment.wav").content
        check_sound(band, bundle, voice, Settings(steps=3, seed=5), tmp_path)
        assert client.get(f"/v1/accompaniments/{ids[0]}/mix.mp3").status_code == 200
        assert client.get("/health/ready").json() == {"status": "ready"}
        assert "samuel_jobs_total" in client.get("/metrics").text
        refused = client.post("/v1/accompaniments", files={"voice": b"no sound"})
        assert refused.status_code == 422 and refused.json()["detail"].startswith("voice: cannot be read")

        replicas = serve.get_deployment_handle("Bundle", "samuel").options(stream=True)
        (into := tmp_path / "into").mkdir()
        orders = [{"voice": str(voice), "into": str(into), "wanted": {"steps": 30, "seed": seed}} for seed in range(6)]
        begun = [next(events) for events in [iter(replicas.render.remote(order)) for order in orders]]
        assert len({event["node"] for event in begun}) == 2
    (jobs,) = (tmp_path / "store").glob("jobs")
    assert {path.name for path in jobs.iterdir()} == set(ids)


def test_a_recording_that_its_reader_does_not_survive_is_refused_and_the_next_is_read(
    cluster: Any, voice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inspector = TaskInspector(longest_s=600.0, timeout_s=PATIENCE_S)
    hasty = TaskInspector(longest_s=600.0, timeout_s=1e-4)
    monkeypatch.setattr("samuel_runtime.serve.cluster.inspector.inspect", lambda *_: os._exit(1))
    deadly = TaskInspector(longest_s=600.0, timeout_s=PATIENCE_S)

    async def whole() -> None:
        assert await inspector.duration_s(voice) == pytest.approx(1.0)
        with pytest.raises(UserError, match=r"^voice: cannot be read as audio"):
            await inspector.duration_s(Path(__file__))
        with pytest.raises(UserError, match=r"^voice: reading it ended with its reader \(it gave no sign for 0 s\)"):
            await hasty.duration_s(voice)
        with pytest.raises(UserError, match=r"^voice: reading it ended with its reader \(WorkerCrashedError\)"):
            await deadly.duration_s(voice)
        assert await inspector.duration_s(voice) == pytest.approx(1.0)

    asyncio.run(whole())


def batch(*arguments: str | Path) -> None:
    """`samuel-batch`, on the cluster that this process is connected to."""
    from samuel_runtime.batch.command import command

    command.main([str(argument) for argument in arguments], standalone_mode=False)


def test_a_folder_of_voices_is_resumed_and_what_fails_is_listed(
    cluster: Any, bundle: Path, voice: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    voices, bands = tmp_path / "voices", tmp_path / "bands"
    for name in ("a.wav", "deep/b.wav", "deep/c.wav"):
        (voices / name).parent.mkdir(parents=True, exist_ok=True)
        (voices / name).write_bytes(voice.read_bytes())
    (voices / "broken.wav").write_bytes(b"no sound")
    (voices / "notes.txt").write_text("no recording")
    arguments = (voices, "-o", bands, "--mix", "--steps", "2", "--bundle", bundle, "--provider", "cpu")
    with pytest.raises(UserError, match=r"failed.json: lists 1 voices without a band, such as broken.wav"):
        batch(*arguments, "--workers", "2")
    assert "3 bands made, 0 were there" in capsys.readouterr().out
    assert [entry["voice"] for entry in json.loads((bands / "failed.json").read_text())] == ["broken.wav"]
    written = {path.relative_to(bands).as_posix(): path for path in bands.rglob("*.wav")}
    stems = ("a", "deep/b", "deep/c")
    assert set(written) == {f"{stem}.{part}.wav" for stem in stems for part in ("accompaniment", "mix")}
    with Samuel.load(bundle, "cpu", threads=1) as samuel:
        samuel.accompany(voice, Settings(steps=2)).write(tmp_path / "one.wav")
    for stem in stems:
        assert written[f"{stem}.accompaniment.wav"].read_bytes() == (tmp_path / "one.wav").read_bytes()

    (voices / "broken.wav").write_bytes(voice.read_bytes())
    written["a.accompaniment.wav"].unlink()
    before = written["deep/b.accompaniment.wav"].stat().st_mtime_ns
    batch(*arguments, "--workers", "2")
    assert "2 bands made, 2 were there" in capsys.readouterr().out
    assert json.loads((bands / "failed.json").read_text()) == []
    assert written["deep/b.accompaniment.wav"].stat().st_mtime_ns == before
    assert written["a.accompaniment.wav"].read_bytes() == (tmp_path / "one.wav").read_bytes()
    with pytest.raises(UserError, match="its bands were made with other settings"):
        batch(*arguments, "--seed", "4")


def test_what_ends_every_worker_is_given_up_and_the_rest_is_done_on_all_nodes(cluster: Any, tmp_path: Path) -> None:
    def make() -> Callable[[int], None]:
        (node := tmp_path / ray.get_runtime_context().get_node_id()).mkdir(exist_ok=True)

        def do(item: int) -> None:
            if item == 3:
                os._exit(1)
            if item == 5:
                raise UserError("five is refused")
            if item == 7:
                raise IndexError(item)
            sleep(0.5)  # long enough that one node alone does not do all
            (node / str(item)).touch()

        return do

    failures = dict(Cluster(cpus=2).over(range(10), make))
    assert set(failures) == set(range(10))
    wrong = {item: failure for item, failure in failures.items() if failure}
    assert set(wrong) == {3, 5, 7} and wrong[5] == "five is refused"
    assert wrong[3].startswith("its worker ended 3 times") and wrong[7].startswith("samuel failed on it")
    assert sorted(int(done.name) for done in tmp_path.glob("*/*")) == [0, 1, 2, 4, 6, 8, 9]
    assert len(list(tmp_path.iterdir())) == 2


def prepare(*arguments: str | Path) -> None:
    """`samuel-train prepare`, likewise."""
    from samuel_train.cli.prepare import command

    command.main([str(argument) for argument in arguments], standalone_mode=False)


@pytest.mark.slow
def test_stems_are_prepared_on_a_cluster_as_on_one_machine(
    cluster: Any, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        write_song(tmp_path / "stems" / f"song{number}", {"vocals": 0.3, "accompaniment": 0.2}, duration_s=2.0)
    (tmp_path / "stems" / "broken").mkdir()
    for stem in ("vocals", "accompaniment"):
        (tmp_path / "stems" / "broken" / f"{stem}.wav").write_bytes(b"no sound")
    options = (tmp_path / "stems", "--codec", bundle.parent / "codec", "--varispeed", "2", "--device", "cpu")
    prepare(*options, "-o", tmp_path / "here")
    prepare(*options, "-o", tmp_path / "there", "--ray", "--workers", "2")
    told = capsys.readouterr()
    assert f"{tmp_path / 'there'}: 6 entries from 3 songs" in told.out and "skipped broken: " in told.err
    for name in ("latent_vocal.npy", "latent_accomp.npy"):
        here, there = (np.load(tmp_path / folder / name) for folder in ("here", "there"))
        np.testing.assert_allclose(there, here, rtol=1e-4, atol=1e-4)
    assert (tmp_path / "here" / "latents.json").read_text() == (tmp_path / "there" / "latents.json").read_text()
    assert (tmp_path / "here" / "skipped.json").read_text() == (tmp_path / "there" / "skipped.json").read_text()


@pytest.mark.slow
def test_replicas_come_with_the_jobs(bundle: Path, voice: Path, tmp_path: Path) -> None:
    from ray import serve

    def replicas() -> int:
        states = serve.status().applications["samuel"].deployments["Bundle"].replica_states
        return int(states.get("RUNNING", 0))

    with (
        ray_cluster(nodes=2, cpus=NODE_CPUS),
        serving(bundle, str(tmp_path / "jobs"), min_replicas=1) as (client, _),
    ):
        assert replicas() == 1
        ids = asked(client, voice, 12, steps=800)
        wait_for(lambda: replicas() == 2)
        wait_for(lambda: all_answered(client, ids, ("done",)))


@pytest.mark.slow
def test_a_node_that_is_killed_gives_its_jobs_back(bundle: Path, voice: Path, tmp_path: Path) -> None:
    with ray_cluster(nodes=2, cpus=NODE_CPUS) as cluster, serving(bundle, str(tmp_path / "jobs")) as (client, _):
        ids = asked(client, voice, 12, steps=800)
        looks = lambda: [client.get(f"/v1/accompaniments/{job_id}").json() for job_id in ids]  # noqa: E731
        # A replica has four at most, so that five are on both nodes.
        wait_for(lambda: sum(bool(job["state"] == "running" and job["progress"]) for job in looks()) >= 5)
        (other,) = cluster.worker_nodes
        cut_power(cluster, other)
        wait_for(lambda: all_answered(client, ids, ("done", "failed")))
        jobs = [client.get(f"/v1/accompaniments/{job_id}").json() for job_id in ids]
        assert [job["state"] for job in jobs] == ["done"] * 12, [job["error"] for job in jobs]
        # Those of the node's replica began again, and, if the server was there, all that ran.
        starts = [json.loads(path.read_text())["starts"] for path in (tmp_path / "jobs").rglob("attempts.json")]
        assert len(starts) == 12 and sum(starts) > 12, "no job was on the node that was killed"
        band = client.get(f"/v1/accompaniments/{ids[7]}/accompaniment.wav").content
        check_sound(band, bundle, voice, Settings(steps=800, seed=7), tmp_path)


@pytest.mark.slow
def test_a_rolling_update_and_a_server_that_is_killed_drop_nothing(bundle: Path, voice: Path, tmp_path: Path) -> None:
    """Requests go on all the while; what was asked for before, meanwhile and afterwards is done."""
    with ray_cluster(nodes=2, cpus=NODE_CPUS), serving(bundle, str(tmp_path / "jobs")) as (client, deploy):
        ids, statuses, over = asked(client, voice, 4, steps=200), [], threading.Event()

        def ask_on() -> None:
            while not over.wait(1.0):
                answer = client.post("/v1/accompaniments", files={"voice": voice.read_bytes()}, data={"steps": "2"})
                statuses.append(answer.status_code)
                if answer.status_code == 202:
                    ids.append(answer.json()["id"])
                    statuses.append(client.get(f"/v1/accompaniments/{ids[-1]}").status_code)

        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(ask_on)
            deploy(batch_wait_s=0.1)
            over.set()
            asking.result(PATIENCE_S)
        assert len(statuses) > 4 and set(statuses) <= {200, 202, 429}, statuses

        (server,) = [actor for actor in ray.util.list_named_actors(all_namespaces=True) if "#Server#" in actor["name"]]
        ids += asked(client, voice, 2, steps=400)
        ray.kill(ray.get_actor(server["name"], server["namespace"]))

        wait_for(lambda: all_answered(client, ids, ("done", "failed")))
        jobs = [client.get(f"/v1/accompaniments/{job_id}").json() for job_id in ids]
        assert {job["state"] for job in jobs} == {"done"}, [job["error"] for job in jobs]


@pytest.mark.slow
def test_a_folder_of_voices_is_finished_though_a_node_is_killed(bundle: Path, voice: Path, tmp_path: Path) -> None:
    voices, bands = tmp_path / "voices", tmp_path / "bands"
    voices.mkdir()
    for number in range(12):
        (voices / f"{number}.wav").write_bytes(voice.read_bytes())
    with ray_cluster(nodes=2, cpus=NODE_CPUS) as cluster, ThreadPoolExecutor(1) as pool:
        (other,) = cluster.worker_nodes
        arguments = (voices, "-o", bands, "--steps", "200", "--bundle", bundle, "--provider", "cpu", "--cpus", "3")
        working = pool.submit(batch, *arguments)
        wait_for(lambda: working.done() or len(list(bands.glob("*.wav"))) >= 3)
        assert not working.done()
        cut_power(cluster, other)
        working.result(PATIENCE_S)
    contents = {path.read_bytes() for path in bands.glob("*.accompaniment.wav")}
    assert len(list(bands.glob("*.accompaniment.wav"))) == 12 and len(contents) == 1
