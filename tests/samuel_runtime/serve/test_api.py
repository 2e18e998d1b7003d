"""The API as its clients see it: what comes of a recording, and what is said of one that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")

import httpx

from samuel_runtime.settings import DEFAULT_STEPS
from tests.support.runtime.commands import run_here, write_voice
from tests.support.runtime.serving import accepted, ask, ended

ROOT = "/v1/accompaniments"


def test_the_files_are_those_of_the_command_byte_for_byte(
    client: httpx.Client, done_id: str, voice: Path, sheeted: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    song = ("--bpm", "92", "--key", "A minor", "--chords", "Am F C G")
    run = run_here(
        capfd, voice, "-o", tmp_path / "bands/", "--mix", tmp_path / "mixes/", "--seed", "7", "--variations", "2",
        "--steps", "1", "--bundle", sheeted, "--provider", "cpu", *song,
    )  # fmt: skip
    assert run.code == 0, run.err
    for take, seed in ((1, 7), (2, 8)):
        for part, folder in (("accompaniment", "bands"), ("mix", "mixes")):
            (file,) = (tmp_path / folder).glob(f"*seed{seed}.wav")
            got = client.get(f"{ROOT}/{done_id}/{part}.wav", params={"take": take})
            assert got.content == file.read_bytes()


def test_a_job_tells_all_that_is_known_of_it(client: httpx.Client, done_id: str) -> None:
    job = client.get(f"{ROOT}/{done_id}").json()
    assert (job["state"], job["position"], job["progress"], job["error"]) == ("done", None, None, None)
    assert job["duration_s"] == pytest.approx(1.5)
    assert [(take["take"], take["seed"], take["guidance"]) for take in job["takes"]] == [(1, 7, 2.0), (2, 8, 2.0)]
    assert set(job["takes"][0]["seconds"]) == {"encode", "sample", "decode", "write"}
    assert job["lead_sheet"]["key"] == "A minor" and job["lead_sheet_line"].startswith("92.0 bpm, 4/4, A minor: | Am")
    for link in (*job["voice"].values(), *job["takes"][1]["files"]["mix"].values()):
        assert client.get(link).status_code == 200, link


def test_formats_hold_the_same_sound(client: httpx.Client, done_id: str, tmp_path: Path) -> None:
    kinds = {"wav": "audio/wav", "flac": "audio/flac", "mp3": "audio/mpeg", "ogg": "audio/ogg"}
    for suffix, kind in kinds.items():
        got = client.get(f"{ROOT}/{done_id}/accompaniment.{suffix}")
        assert got.headers["content-type"] == kind
        assert got.headers["content-disposition"] == f'attachment; filename="accompaniment-1.{suffix}"'
        (tmp_path / f"band.{suffix}").write_bytes(got.content)
    wav, rate_hz = soundfile.read(tmp_path / "band.wav", dtype="int32")
    assert (soundfile.read(tmp_path / "band.flac", dtype="int32")[0] == wav).all()
    for suffix in ("mp3", "ogg"):
        info = soundfile.info(tmp_path / f"band.{suffix}")
        assert info.samplerate == rate_hz and abs(info.frames - len(wav)) < 0.1 * rate_hz


def test_the_voice_is_as_long_as_the_band(client: httpx.Client, done_id: str, tmp_path: Path) -> None:
    infos = []
    for name in ("voice", "accompaniment", "mix"):
        (tmp_path / name).write_bytes(client.get(f"{ROOT}/{done_id}/{name}.wav").content)
        infos.append(soundfile.info(tmp_path / name))
    assert len({(info.frames, info.samplerate, info.channels) for info in infos}) == 1


def test_the_gain_of_the_band_makes_the_mix(client: httpx.Client, done_id: str, tmp_path: Path) -> None:
    sound = {}
    for name in ("voice", "accompaniment", "mix"):
        (tmp_path / name).write_bytes(client.get(f"{ROOT}/{done_id}/{name}.wav").content)
        sound[name] = soundfile.read(tmp_path / name)[0]
    gain_db = client.get(f"{ROOT}/{done_id}").json()["takes"][0]["band_gain_db"]
    mixed = sound["voice"] + 10 ** (gain_db / 20) * sound["accompaniment"]
    mixed *= (mixed * sound["mix"]).sum() / (mixed * mixed).sum()  # which may be turned down as a whole
    assert abs(mixed - sound["mix"]).max() < 1e-5


def test_a_part_of_a_file_is_that_part(client: httpx.Client, done_id: str) -> None:
    path = f"{ROOT}/{done_id}/mix.wav"
    whole = client.get(path).content
    part = client.get(path, headers={"Range": "bytes=100-299"})
    assert (part.status_code, part.content) == (206, whole[100:300])
    assert part.headers["content-range"] == f"bytes 100-299/{len(whole)}"
    assert client.get(path, headers={"Range": f"bytes={len(whole)}-"}).status_code == 416


def test_the_lead_sheet_comes_back_as_a_sheet_that_gives_the_same_band(
    client: httpx.Client, done_id: str, voice: Path
) -> None:
    sheets = {suffix: client.get(f"{ROOT}/{done_id}/lead-sheet.{suffix}").content for suffix in ("json", "mid")}
    assert sheets["mid"].startswith(b"MThd")
    band = client.get(f"{ROOT}/{done_id}/accompaniment.wav").content
    files = {"voice": voice.read_bytes(), "lead_sheet": sheets["json"]}
    job_id = client.post(ROOT, files=files, data={"settings": '{"steps": 1, "seed": 7}'}).json()["id"]
    assert ended(client, job_id)["settings"]["lead_sheet"]["key"] == "A minor"
    assert client.get(f"{ROOT}/{job_id}/accompaniment.wav").content == band
    files["lead_sheet"] = sheets["mid"]
    assert client.post(ROOT, files=files, data={"steps": "1"}).status_code == 202


def test_fields_replace_parts_of_the_settings(client: httpx.Client, voice: Path) -> None:
    fields = {"settings": json.dumps({"seed": 3, "steps": 2, "guidance": 1.5}), "seed": "4", "bpm": ""}
    job = client.post(ROOT, files={"voice": voice.read_bytes()}, data=fields).json()
    assert (job["settings"]["seed"], job["settings"]["steps"], job["settings"]["bpm"]) == (4, 2, None)
    assert client.delete(f"{ROOT}/{job['id']}").status_code == 204


def test_a_job_says_the_steps_that_its_bundle_takes(client: httpx.Client, voice: Path) -> None:
    job = client.post(ROOT, files={"voice": voice.read_bytes()}).json()
    assert job["settings"]["steps"] == DEFAULT_STEPS
    assert ended(client, job["id"])["state"] == "done"


def test_events_tell_of_every_stage_and_end_with_the_job(client: httpx.Client, voice: Path) -> None:
    job_id = accepted(client, voice, key="C")
    with client.stream("GET", f"{ROOT}/{job_id}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in stream.iter_lines() if line and not line.startswith(":")]
    assert set(lines[::2]) == {"event: job"}
    events = [json.loads(line.removeprefix("data: ")) for line in lines[1::2]]
    states = [event["state"] for event in events]
    assert states[-1] == "done" and states == sorted(states, key=["waiting", "running", "done"].index)
    shares = [event["progress"]["share"] for event in events if event["progress"]]
    assert shares == sorted(shares) and all(0 <= share <= 1 for share in shares)
    assert [event["lead_sheet"]["key"] for event in events if event.get("lead_sheet")] == ["C major"]


def test_a_removed_job_is_gone_with_its_files(client: httpx.Client, voice: Path) -> None:
    job_id = accepted(client, voice)
    ended(client, job_id)
    assert client.delete(f"{ROOT}/{job_id}").status_code == 204
    for path in ("", "/events", "/mix.wav", "/lead-sheet.json"):
        answer = client.get(f"{ROOT}/{job_id}{path}")
        assert answer.status_code == 404 and "there is no such job" in answer.json()["detail"]
    assert client.delete(f"{ROOT}/{job_id}").status_code == 404


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"steps": 801}, "steps must be at most 800, the timesteps of this model's schedule, not 801"),
        ({"seed": "x"}, "seed must be a whole number, not 'x'"),
        ({"seed": -1}, "seed must lie between 0 and 9223372036854775807, not -1"),
        ({"variations": 9}, "variations must be at most 8 here, not 9"),
        ({"variations": 0}, "variations must be at least 1, not 0"),
        ({"guidance": "nan"}, "guidance must be a number, not 'nan'"),
        ({"sampler": "euler"}, "sampler must be one of ancestral, ddim, dpm++2m, unipc, not 'euler'"),
        ({"bpm": 5}, "bpm must lie between 20 and 400, not 5.0"),
        ({"key": "H"}, "key must be a tonic and a mode"),
        ({"lead_sheet": "{"}, "lead_sheet: is not JSON"),
        ({"lead_sheet": "[1]"}, "lead_sheet: "),
        ({"lead_sheet": '{"schema_version": 1}'}, "lead_sheet: duration_s: Field required"),
        ({"settings": "[]"}, "settings must be a JSON object"),
        ({"tempo": 90}, "tempo: there is no such field; use sampler, steps"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_settings_that_cannot_be_used_are_told_as_by_the_library(
    client: httpx.Client, voice: Path, settings: dict[str, object], said: str
) -> None:
    answer = ask(client, voice, **settings)
    assert answer.status_code == 422 and answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["detail"].startswith(said) and problem["status"] == 422


def test_recordings_that_cannot_be_used_are_told_at_once(client: httpx.Client, tmp_path: Path) -> None:
    long = write_voice(tmp_path / "long.flac", 7.0, 8000)
    short = write_voice(tmp_path / "short.wav").read_bytes()
    for content, status, said in (
        (b"no sound at all", 422, "voice: cannot be read as audio"),
        (b"", 422, "voice: the file is empty; record or export it again"),
        (short[:4000], 422, "voice: the file ends"),
        (long.read_bytes(), 422, "voice: lasts longer than 0.1 minutes; cut it into parts"),
        (bytes(3 << 20), 413, "voice: has more than 2 MB"),
    ):
        answer = ask(client, content)
        assert (answer.status_code, answer.json()["detail"][: len(said)]) == (status, said)
        assert str(tmp_path.parent) not in answer.text  # nor any other path of this machine
    assert ended(client, accepted(client, short))["state"] == "done"  # and the next is done


def test_what_is_asked_wrongly_is_told_in_words(client: httpx.Client, done_id: str, voice: Path) -> None:
    for answer, status, said in (
        (client.post(ROOT, content=b"x"), 415, "send a form"),
        (client.post(ROOT, data={"seed": "1"}, files={"other": b"x"}), 422, "voice must be there"),
        (client.get("/v1/nothing"), 404, "there is nothing at /v1/nothing"),
        (client.put(ROOT), 405, "/v1/accompaniments does not take PUT"),
        (client.get(f"{ROOT}/{done_id}/mix.wav?take=3"), 404, "there are 2 takes, and no take 3"),
        (client.get(f"{ROOT}/{done_id}/mix.wav?take=x"), 422, "take: "),
        (client.get(f"{ROOT}/{done_id}/mix.aiff"), 422, "format: "),
        (client.get(f"{ROOT}/../../etc/passwd"), 404, "there is nothing"),
        (client.get(f"{ROOT}/%2e%2e/mix.wav"), 404, "there is no such job"),
    ):
        assert answer.status_code == status and answer.json()["detail"].startswith(said), answer.text
        assert answer.headers["content-type"] == "application/problem+json"


def test_the_server_tells_of_itself(client: httpx.Client, done_id: str) -> None:
    assert client.get("/health/live").json() == {"status": "live"}
    assert client.get("/health/ready").json() == {"status": "ready"}
    bundle = client.get("/v1/bundle").json()
    assert bundle["takes_lead_sheet"] and not bundle["hears_lead_sheet"]
    assert (bundle["defaults"]["guidance"], bundle["most_minutes"], bundle["channels"]) == (2.0, 0.1, 2)
    assert bundle["defaults"]["steps"] == DEFAULT_STEPS
    metrics = client.get("/metrics").text
    assert "samuel_jobs_waiting 0.0" in metrics and 'samuel_stage_seconds_count{stage="sample"}' in metrics


def test_the_documentation_needs_no_other_server(client: httpx.Client) -> None:
    schema = client.get("/openapi.json").json()
    form = schema["paths"][ROOT]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert set(form["example"]) <= set(form["schema"]["properties"])
    assert {"voice", "settings", "lead_sheet", "seed"} <= set(form["schema"]["properties"])
    page = client.get("/docs").text
    assert "//" not in page.replace("<!--", "")  # no address of anywhere else
