"""The page in a real browser: record, send, listen, correct, download; on a phone, by keyboard, without the server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")

import httpx
import soundfile

from samuel_runtime.serve.security import Access
from tests.support.runtime.browser import PATIENCE_MS, TAPS, chromium
from tests.support.runtime.commands import write_voice
from tests.support.runtime.serving import server_process, serving, wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = "/v1/accompaniments"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_voice(tmp_path_factory.mktemp("song") / "my song.wav", 3.9)


def opened(browser: Browser, url: str, width: int = 1000, **options: Any) -> Page:
    """The page in a window of its own, in which nothing may fail or reach elsewhere."""
    context = browser.new_context(viewport={"width": width, "height": 800}, accept_downloads=True, **options)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.add_init_script(TAPS)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text) if "Content Security Policy" in line.text else None)
    own = (url.partition("/#")[0], "blob:")
    page.on("request", lambda sent: None if sent.url.startswith(own) else faults.append(sent.url))
    page.faults = faults  # type: ignore[attr-defined]
    page.goto(url)
    page.wait_for_selector("#about:not(:empty)")
    return page


def until(page: Page, expression: str) -> None:
    """Wait until it holds; playwright's own wait evaluates text in the page, which its policy forbids."""
    wait_for(lambda: page.evaluate(expression))


def closed(page: Page) -> None:
    assert page.faults == []  # type: ignore[attr-defined]
    page.context.close()


@pytest.fixture(scope="module")
def listening(browser: Browser, client: httpx.Client, song: Path) -> Iterator[Page]:
    """The page with a band of two takes that was made there."""
    page = opened(browser, str(client.base_url).rstrip("/"))
    page.set_input_files("#file", song)
    page.wait_for_selector("#timeline:not([hidden])")
    assert page.inner_text("#voice-name") == "my song.wav, 0:03"
    page.select_option("#variations", "2")
    page.click("summary")
    for field, value in {"bpm": "120", "key": "A minor", "chords-given": "Am F C G", "seed": "7"}.items():
        page.fill(f"#{field}", value)
    page.click("#make")
    page.wait_for_selector("#player:not([hidden])")
    yield page
    closed(page)


@pytest.fixture
def stopped(listening: Page) -> Page:
    """That page at the beginning of its song, whatever an earlier test left it in."""
    if listening.inner_text("#play") == "Pause":
        listening.click("#play")
    listening.fill("#position", "0")
    listening.evaluate("window.startTakesMs = 0; window.taps.ended = true")
    return listening


def job_of(page: Page, client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"{ROOT}/{page.url.partition('#')[2]}").json()
    return found


def test_what_was_asked_on_the_page_is_what_was_made(listening: Page, client: httpx.Client) -> None:
    job = job_of(listening, client)
    assert [take["seed"] for take in job["takes"]] == [7, 8]
    assert listening.inner_text("#sheet-line") == "120.0 bpm · 4/4 · A minor"
    assert listening.locator("#chords button").all_inner_texts() == ["Am", "F"]
    assert listening.is_hidden("#progress") and listening.is_hidden("#error")
    assert listening.evaluate("document.activeElement.id") == "play"


@pytest.mark.parametrize("start_takes_ms", [0, 40])
def test_both_tracks_play_in_sync_and_takes_change_without_a_gap(stopped: Page, start_takes_ms: int) -> None:
    stopped.evaluate(f"window.startTakesMs = {start_takes_ms}")
    stopped.check("[aria-label='Take A, seed 7']")
    stopped.click("#play")
    until(stopped, "Number(document.getElementById('position').value) > 0.3")
    first = stopped.evaluate("window.heardAt(3)")
    stopped.check("[aria-label='Take B, seed 8']")
    stopped.wait_for_timeout(300)
    second = stopped.evaluate("window.heardAt(3)")
    assert len(first) == len(second) == 3  # voice and both takes: nothing was started anew
    for heard in (first, second):
        assert max(heard) - min(heard) < 0.02, heard
    assert all(0.25 < after - before < 3.5 for before, after in zip(first, second, strict=True))
    assert stopped.inner_text("#play") == "Pause"
    stopped.click("#play")
    assert stopped.inner_text("#play") == "Play"


def test_a_selection_is_looped(stopped: Page) -> None:
    box = stopped.locator(".lanes").bounding_box()
    assert box is not None
    y = box["y"] + 20
    stopped.mouse.move(box["x"] + 0.25 * box["width"], y)
    stopped.mouse.down()
    stopped.mouse.move(box["x"] + 0.5 * box["width"], y)
    stopped.mouse.up()
    assert stopped.is_visible("#selection") and stopped.is_enabled("#loop-off")
    stopped.click("#play")
    stopped.wait_for_timeout(1500)
    position = float(stopped.input_value("#position"))
    assert 0.9 <= position <= 2.1 and stopped.inner_text("#play") == "Pause"
    stopped.click("#play")
    stopped.click("#loop-off")
    assert stopped.is_hidden("#selection")


def test_balance_mute_and_solo_reach_the_sound(stopped: Page, client: httpx.Client) -> None:
    def levels() -> list[float]:
        """Gain of voice and of the take that is heard."""
        voice, *takes = stopped.evaluate("window.gains.slice(-3).map((node) => node.gain.value)")
        return [voice, max(takes)]

    def become(voice: float, band: float) -> None:
        wait_for(lambda: levels() == pytest.approx([voice, band], abs=0.01))

    stopped.click("#play")  # gains move while the audio clock runs
    band = 10 ** (job_of(stopped, client)["takes"][1]["band_gain_db"] / 20)
    become(1, band)
    stopped.click("#voice-mute")
    become(0, band)
    stopped.click("#voice-mute")
    stopped.click("#voice-solo")
    become(1, 0)
    stopped.click("#band-solo")
    assert stopped.get_attribute("#voice-solo", "aria-pressed") == "false"
    become(0, band)
    stopped.click("#band-solo")
    stopped.fill("#balance", "-0.5")
    assert stopped.get_attribute("#balance", "aria-valuetext") == "50 % towards the voice"
    become(1, band / 2)
    stopped.fill("#balance", "0")


def test_downloads_are_the_bytes_of_the_api(listening: Page, client: httpx.Client, tmp_path: Path) -> None:
    job = job_of(listening, client)
    listening.check("[aria-label='Take B, seed 8']")
    for part, format, name, path in (
        ("mix", "wav", "mix-seed8.wav", job["takes"][1]["files"]["mix"]["wav"]),
        ("accompaniment", "flac", "accompaniment-seed8.flac", job["takes"][1]["files"]["accompaniment"]["flac"]),
        ("voice", "mp3", "voice.mp3", job["voice"]["mp3"]),
        ("lead-sheet", "json", "lead-sheet.json", f"{ROOT}/{job['id']}/lead-sheet.json"),
    ):
        listening.select_option("#part", part)
        listening.select_option("#format", format)
        with listening.expect_download() as download:
            listening.click("#download")
        download.value.save_as(tmp_path / name)
        assert download.value.suggested_filename == name
        assert (tmp_path / name).read_bytes() == client.get(path).content


def test_the_spectrogram_is_drawn(listening: Page) -> None:
    listening.click("#show-spectrogram")
    assert listening.is_visible("#spectrogram") and listening.is_hidden("#band-wave")
    colors = listening.evaluate(
        """(() => { const canvas = document.getElementById("spectrogram");
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return new Set(new Uint32Array(data.buffer)).size; })()"""
    )
    assert colors > 50
    listening.click("#show-spectrogram")


def test_a_chord_is_corrected_and_the_band_plays_from_it(listening: Page, client: httpx.Client) -> None:
    before = job_of(listening, client)
    listening.fill("#chords-given", "")
    listening.locator("#chords button").nth(1).click()
    listening.keyboard.type("Dm7")
    listening.keyboard.press("Enter")
    assert listening.locator("#chords button").all_inner_texts() == ["Am", "Dm7"]
    listening.click("#again")
    until(listening, f"!location.hash.includes('{before['id']}')")
    listening.wait_for_selector("#player:not([hidden])")
    after = job_of(listening, client)
    assert [chord["name"] for chord in after["lead_sheet"]["chords"]] == ["A:min", "Dm7"]
    assert after["takes"][0]["seed"] == int(listening.input_value("#seed")) != 7


def test_a_reloaded_page_goes_on_where_it_was(listening: Page) -> None:
    listening.reload()
    listening.wait_for_selector("#player:not([hidden])")
    assert listening.inner_text("#voice-name") == "The voice, 0:03" and listening.is_enabled("#make")


def test_the_microphone_is_recorded_and_sent(browser: Browser, client: httpx.Client, tmp_path: Path) -> None:
    page = opened(browser, str(client.base_url).rstrip("/"), permissions=["microphone"])
    page.click("#record")
    until(page, "/^0:01/.test(document.getElementById('voice-name').textContent)")
    assert page.get_attribute("#record", "aria-pressed") == "true"
    page.click("#record")
    page.wait_for_selector("#timeline:not([hidden])")
    page.select_option("#variations", "1")
    page.click("#make")
    page.wait_for_selector("#player:not([hidden])")
    job = job_of(page, client)
    assert 1.0 <= job["duration_s"] < 6.0
    (tmp_path / "voice.wav").write_bytes(client.get(job["voice"]["wav"]).content)
    assert abs(soundfile.read(tmp_path / "voice.wav")[0]).max() > 0.01  # the device beeps
    closed(page)


def test_what_is_no_recording_is_told_in_words_and_another_is_taken(
    browser: Browser, client: httpx.Client, song: Path, tmp_path: Path
) -> None:
    (tmp_path / "letter.wav").write_text("Dear band, play something.")
    page = opened(browser, str(client.base_url).rstrip("/"))
    page.set_input_files("#file", tmp_path / "letter.wav")
    page.click("#make:enabled")
    page.wait_for_selector("#error:not([hidden])")
    assert page.inner_text("#error").startswith("Voice: cannot be read as audio")
    page.set_input_files("#file", song)
    page.fill("#seed", "5")
    page.select_option("#variations", "1")
    page.click("#make:enabled")
    page.wait_for_selector("#player:not([hidden])")
    assert page.is_hidden("#error")
    closed(page)


def test_a_server_that_was_killed_and_is_back_finishes_the_band(
    browser: Browser, sheeted: Path, song: Path, tmp_path: Path
) -> None:
    server = server_process(sheeted, tmp_path / "data")
    page = opened(browser, server.url)
    page.set_input_files("#file", song)
    page.select_option("#variations", "4")
    page.click("#make:enabled")
    until(page, "location.hash.length > 30")
    server.end()
    until(page, "document.getElementById('stage').textContent.includes('does not answer')")
    server.start()
    page.wait_for_selector("#player:not([hidden])")
    assert page.locator("#takes input").count() == 4
    server.end()
    closed(page)


def test_a_server_with_keys_asks_for_one(browser: Browser, bundle: Path, tmp_path: Path) -> None:
    key = "a key of the band"
    with serving(bundle, tmp_path / "data", access=Access("127.0.0.1", (key,))) as keyed:
        page = browser.new_page()
        page.goto(str(keyed.base_url))
        for given in ("a key of another", key):
            page.wait_for_selector("#key-dialog[open]", timeout=PATIENCE_MS)
            page.fill("#api-key", given)
            page.keyboard.press("Enter")
        page.wait_for_selector("#about:not(:empty)", timeout=PATIENCE_MS)
        assert page.is_hidden("#song")  # of a bundle that takes no lead sheet
        page.close()


def test_a_phone_needs_no_sideways_scrolling(browser: Browser, client: httpx.Client, done_id: str) -> None:
    page = opened(browser, str(client.base_url).rstrip("/"), width=360)
    for path in ("/", f"/#{done_id}", "/docs"):
        page.goto(str(client.base_url).rstrip("/") + path)
        if "#" in path:
            page.reload()
            page.wait_for_selector("#player:not([hidden])")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
    closed(page)


CONTRAST = """
(() => {
  const parse = (color) => color.match(/[\\d.]+/g).map(Number);
  const luminance = (rgb) => rgb.slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, index) => sum + c * [0.2126, 0.7152, 0.0722][index], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] > 0.99) return color;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll("h1, h2, p, label, button, span, output, legend, summary, a, li")) {
    const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!text || !element.checkVisibility() || element.disabled) continue;
    const [a, b] = [luminance(parse(getComputedStyle(element).color)), luminance(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(`${element.tagName} ${element.textContent.slice(0, 20)}: ${ratio.toFixed(2)}`);
  }
  return poor;
})()
"""
UNNAMED = """
[...document.querySelectorAll("button, input, select, textarea, progress, canvas, [role=img], [role=group]")]
  .filter((element) => element.checkVisibility())
  .filter((element) => !(element.getAttribute("aria-label") || element.labels?.length || element.textContent.trim()
    || element.getAttribute("aria-labelledby")))
  .map((element) => element.outerHTML.slice(0, 80))
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_and_named(browser: Browser, client: httpx.Client, done_id: str, scheme: str) -> None:
    page = opened(browser, f"{str(client.base_url).rstrip('/')}/#{done_id}", color_scheme=scheme)
    page.wait_for_selector("#player:not([hidden])")
    page.click("summary")
    assert page.evaluate(CONTRAST) == [] and page.evaluate(UNNAMED) == []
    assert page.evaluate("document.documentElement.lang") == "en"
    closed(page)


def test_the_keyboard_reaches_everything_in_the_order_of_the_page(
    browser: Browser, client: httpx.Client, done_id: str
) -> None:
    page = opened(browser, f"{str(client.base_url).rstrip('/')}/#{done_id}")
    page.wait_for_selector("#player:not([hidden])")
    page.mouse.click(2, 2)  # the page's beginning, from where the order is
    order: list[str] = []
    for _ in range(40):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id || document.activeElement.className || 'other'"))
    wanted = ["record", "choose", "play", "position", "voice-mute", "balance", "band-solo", "download", "again", "make"]
    places = [order.index(name) for name in wanted]
    assert places == sorted(places)
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press(" ")
    until(page, "document.getElementById('play').textContent === 'Pause'")
    closed(page)


def test_the_documentation_is_drawn_from_the_schema(browser: Browser, client: httpx.Client) -> None:
    page = opened_docs(browser, str(client.base_url).rstrip("/"))
    titles = page.locator("h2").all_inner_texts()
    assert f"POST {ROOT}" in titles and "GET /health/ready" in titles
    assert re.search(r"curl -X POST http://\S+/v1/accompaniments", page.inner_text("#operations"))


def opened_docs(browser: Browser, url: str) -> Page:
    page = browser.new_page()
    page.goto(f"{url}/docs")
    page.wait_for_selector("h2", timeout=PATIENCE_MS)
    return page
