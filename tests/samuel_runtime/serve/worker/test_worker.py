"""Workers that die, hang or are told to stop, and what their ends of the pipe make of it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")

from benchmarks.measuring.server import children
from samuel_runtime.errors import UserError
from samuel_runtime.serve.jobs.protocols import DefectError, JobCancelledError, Order, WorkerDiedError
from samuel_runtime.serve.jobs.request import Wanted
from samuel_runtime.serve.worker.config import InspectConfig, RenderConfig
from samuel_runtime.serve.worker.inspector import ProcessInspector
from samuel_runtime.serve.worker.outcomes import GivenUpError, outcome
from samuel_runtime.serve.worker.renderer import ProcessRenderer
from tests.support.runtime.commands import write_voice
from tests.support.runtime.serving import wait_for

LINUX = pytest.mark.skipif(not Path("/proc").is_dir(), reason="only Linux tells a process's children here")


@pytest.fixture(autouse=True)
def _others() -> Iterator[None]:
    """Workers of servers that other tests share are nobody's concern here."""
    OTHERS.update(children(os.getpid()))
    yield
    OTHERS.clear()


OTHERS: set[int] = set()


def own_children() -> set[int]:
    return set(children(os.getpid())) - OTHERS


def one_child() -> int:
    (child,) = own_children()
    return child


def with_renderer(bundle: Path, scenario: Callable[[ProcessRenderer], Awaitable[None]], silent_s: float = 60.0) -> None:
    async def whole() -> None:
        renderer = ProcessRenderer(RenderConfig(bundle=str(bundle), provider="cpu", threads=1), silent_s)
        try:
            await renderer.start()
            await scenario(renderer)
        finally:
            await renderer.close()

    asyncio.run(whole())


@LINUX
def test_a_worker_that_is_killed_is_told_of_and_started_again(bundle: Path, tmp_path: Path) -> None:
    voice = write_voice(tmp_path / "voice.wav", 0.5)
    attempts = [tmp_path / name for name in ("first", "second", "third")]  # a folder each, as by the queue
    for folder in attempts:
        folder.mkdir()
    orders = [Order(voice, Wanted(steps=2), folder) for folder in attempts]
    events: list[dict[str, Any]] = []

    def kill_once(event: dict[str, Any]) -> None:
        events.append(event)
        if event.get("stage") == "sample" and len(killed) < 1:
            killed.append(one_child())
            os.kill(killed[0], signal.SIGKILL)

    killed: list[int] = []

    async def scenario(renderer: ProcessRenderer) -> None:
        with pytest.raises(WorkerDiedError, match="killed by signal 9"):
            await renderer.render(orders[0], kill_once)
        assert renderer.unready_reason is not None
        await renderer.start()
        assert renderer.unready_reason is None
        events.clear()
        assert await renderer.render(orders[1], kill_once) == {"provider": "cpu", "precision": "fp32"}
        renderer.cancel()  # of what has ended: the next is not given up for it
        events.clear()
        assert await renderer.render(orders[2], kill_once) == {"provider": "cpu", "precision": "fp32"}

    with_renderer(bundle, scenario)
    stages = [event["stage"] for event in events if event["event"] == "progress"]
    assert list(dict.fromkeys(stages)) == ["encode", "sample", "decode", "write"]
    for folder in attempts[1:]:
        names = {path.name for path in folder.iterdir()}
        assert names == {"voice.wav", "accompaniment-1.wav", "mix-1.wav"}  # and nothing half


@LINUX
def test_a_job_that_is_given_up_ends_and_one_that_does_not_listen_is_ended(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samuel_runtime.serve.worker.renderer._CANCEL_S", 0.05)
    order = Order(write_voice(tmp_path / "voice.wav", 1.0), Wanted(steps=400), tmp_path)

    async def scenario(renderer: ProcessRenderer) -> None:
        def cancel(event: dict[str, Any]) -> None:
            if event.get("stage") == "sample":
                renderer.cancel()

        with pytest.raises(JobCancelledError):
            await renderer.render(order, cancel)
        await renderer.start()

        def hang_and_cancel(event: dict[str, Any]) -> None:
            if event.get("stage") == "sample":
                os.kill(one_child(), signal.SIGSTOP)
                renderer.cancel()

        with pytest.raises(JobCancelledError):
            await renderer.render(order, hang_and_cancel)

    with_renderer(bundle, scenario)
    assert not own_children()


@LINUX
def test_a_worker_that_hangs_is_taken_for_dead(bundle: Path, tmp_path: Path) -> None:
    order = Order(write_voice(tmp_path / "voice.wav", 1.0), Wanted(steps=400), tmp_path)

    async def scenario(renderer: ProcessRenderer) -> None:
        with pytest.raises(WorkerDiedError, match="it gave no sign for 2 s"):
            await renderer.render(order, lambda event: os.kill(one_child(), signal.SIGSTOP))

    with_renderer(bundle, scenario, silent_s=2.0)


def test_a_refused_job_is_told_and_the_worker_goes_on(bundle: Path, tmp_path: Path) -> None:
    noise = tmp_path / "upload"
    noise.write_bytes(b"no sound")
    good = write_voice(tmp_path / "voice.wav", 0.5)

    async def scenario(renderer: ProcessRenderer) -> None:
        with pytest.raises(UserError, match=r"^voice: cannot be read as audio"):
            await renderer.render(Order(noise, Wanted(), tmp_path), lambda event: None)
        with pytest.raises(UserError, match="`bpm`: this bundle's model takes no lead sheet"):
            await renderer.render(Order(good, Wanted(bpm=90), tmp_path), lambda event: None)
        with pytest.raises(DefectError):  # it cannot write there, which no user can mend
            await renderer.render(Order(good, Wanted(), tmp_path / "nowhere"), lambda event: None)
        await renderer.start()  # a new one, since the last met with a defect
        await renderer.render(Order(good, Wanted(steps=1), tmp_path), lambda event: None)

    with_renderer(bundle, scenario)


def test_a_bundle_that_does_not_load_is_told_and_tried_again(bundle_copy: Path) -> None:
    (bundle_copy / "step.onnx").rename(bundle_copy / "gone")

    async def whole() -> None:
        renderer = ProcessRenderer(RenderConfig(bundle=str(bundle_copy), provider="cpu", threads=1), 60.0)
        starting = asyncio.create_task(renderer.start())
        while "step.onnx: a file of the bundle is missing" not in (renderer.unready_reason or ""):
            await asyncio.sleep(0.02)
        (bundle_copy / "gone").rename(bundle_copy / "step.onnx")
        await asyncio.wait_for(starting, 60)
        assert renderer.unready_reason is None
        await renderer.close()

    asyncio.run(whole())


@LINUX
def test_a_worker_ends_with_its_server(tmp_path: Path) -> None:
    config = InspectConfig(longest_s=5.0).model_dump_json()
    worker = subprocess.Popen(
        [sys.executable, "-m", "samuel_runtime.serve.worker", config],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert worker.stdin is not None and worker.stdout is not None
    assert "ready" in worker.stdout.readline()
    worker.stdin.close()  # as the system does for a server that was killed
    assert worker.wait(60) == 0
    worker.stdout.close()


@LINUX
def test_a_recording_that_kills_its_reader_is_refused_and_the_next_is_read(tmp_path: Path) -> None:
    voice = write_voice(tmp_path / "voice.wav", 0.5)

    async def whole() -> None:
        inspector = ProcessInspector(longest_s=600.0, timeout_s=60.0)
        assert await inspector.duration_s(voice) == pytest.approx(0.5)
        reader = one_child()
        os.kill(reader, signal.SIGSTOP)
        reading = asyncio.create_task(inspector.duration_s(voice))
        await asyncio.sleep(0.02)
        os.kill(reader, signal.SIGKILL)
        with pytest.raises(UserError, match=r"^voice: reading it ended with its reader \(killed by signal 9\)"):
            await reading
        assert await inspector.duration_s(voice) == pytest.approx(0.5)
        await inspector.close()

    asyncio.run(whole())
    wait_for(lambda: not own_children())


def test_whatever_ends_an_order_is_an_event(capfd: pytest.CaptureFixture[str]) -> None:
    voice = Path("/data/jobs/1/voice")

    def ends_with(error: BaseException) -> dict[str, Any]:
        def do() -> dict[str, Any]:
            raise error

        return outcome(do, voice)

    assert ends_with(GivenUpError()) == {"event": "cancelled"}
    assert ends_with(UserError(f"{voice}: is noise")) == {"event": "refused", "detail": "voice: is noise"}
    assert ends_with(MemoryError())["event"] == "refused"
    assert ends_with(ZeroDivisionError("by nobody")) == {"event": "defect"}
    assert "ZeroDivisionError: by nobody" in capfd.readouterr().err


def test_a_worker_whose_server_was_killed_ended_with_a_traceback() -> None:
    code = "from samuel_runtime.serve.worker.pipe import Pipe; Pipe.take_over().tell(event='done')"
    orders_here, orders = os.pipe()  # open, so that it is the event that finds nobody
    events, events_there = os.pipe()
    os.close(events)
    ended = subprocess.run(
        [sys.executable, "-c", code], stdin=orders_here, stdout=events_there, stderr=subprocess.PIPE, text=True
    )
    for descriptor in (orders_here, orders, events_there):
        os.close(descriptor)
    assert (ended.returncode, ended.stderr) == (0, "")
