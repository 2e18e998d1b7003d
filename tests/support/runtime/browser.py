"""A real browser for tests of the page: the system's Chromium, driven by playwright; skipped where there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PATIENCE_MS = 120_000
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

# Taps every source that is started, so that a test hears what is played: where in its buffer each of them is.
TAPS = """
window.taps = [];
window.startTakesMs = 0; // for every source, as on a busy machine
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (...how) {
  if (window.taps.ended) window.taps = [];
  const analyser = new AnalyserNode(this.context, { fftSize: 2048 });
  this.connect(analyser);
  window.taps.push({ analyser, buffer: this.buffer });
  for (const end = performance.now() + window.startTakesMs; performance.now() < end; );
  return start.apply(this, how);
};
window.gains = [];
GainNode.prototype.connect = function (...where) {
  window.gains.push(this);
  return AudioNode.prototype.connect.apply(this, where);
};
// Seconds, by the best match of the last 2048 samples that each of the last `count` sources played.
window.heardAt = (count) => {
  const taps = window.taps.slice(-count);
  const [{ analyser: { context } }] = taps;
  const blocks = taps.map(() => new Float32Array(2048));
  let before;
  do { // until the audio thread did not go on meanwhile
    before = context.currentTime;
    taps.forEach(({ analyser }, index) => analyser.getFloatTimeDomainData(blocks[index]));
  } while (context.currentTime !== before);
  return taps.map(({ buffer }, index) => {
    // An analyser hears the mean of the channels.
    const channels = Array.from({ length: buffer.numberOfChannels }, (_, at) => buffer.getChannelData(at));
    const samples = channels[0].map((_, at) => channels.reduce((sum, one) => sum + one[at], 0) / channels.length);
    let [best, place] = [Infinity, 0];
    for (let at = 0; at + 2048 <= samples.length; at++) {
      let difference = 0;
      for (let k = 0; k < 2048 && difference < best; k += 8) difference += (samples[at + k] - blocks[index][k]) ** 2;
      if (difference < best) [best, place] = [difference, at];
    }
    return place / buffer.sampleRate;
  });
};
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, without a window; the test is skipped where it is not installed."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip("no Chromium is installed; `apt-get install chromium` adds it")
    root = hasattr(os, "geteuid") and os.geteuid() == 0  # for whom its sandbox does not start
    with api.sync_playwright() as playwright:
        arguments = [*_ARGUMENTS, *(["--no-sandbox"] if root else [])]
        browser = playwright.chromium.launch(executable_path=found, args=arguments, timeout=PATIENCE_MS)
        yield browser
        browser.close()
