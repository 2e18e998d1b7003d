// A waveform on a canvas: for every pixel the range of its samples; and the lines of beats and bars.

const MOST_PIXELS = 12000; // some browsers draw no wider canvases

export function drawWaveform(canvas, buffer, color, sheet) {
  const context = sized(canvas);
  const { width, height } = canvas;
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  for (const [times, alpha] of [[sheet?.beats_s ?? [], 0.5], [sheet?.downbeats_s ?? [], 1]]) {
    context.globalAlpha = alpha;
    context.fillStyle = of("--line");
    for (const time of times) context.fillRect((time / buffer.duration) * width, 0, alpha === 1 ? 2 : 1, height);
  }
  context.globalAlpha = 1;
  context.fillStyle = of(color);
  const samples = buffer.getChannelData(0);
  let peak = 1e-4;
  for (const sample of samples) if (sample > peak) peak = sample;
  const scale = (0.47 * height) / peak;
  for (let x = 0; x < width; x++) {
    const end = Math.floor(((x + 1) * samples.length) / width);
    let low = 0;
    let high = 0;
    for (let index = Math.floor((x * samples.length) / width); index < end; index++) {
      if (samples[index] < low) low = samples[index];
      if (samples[index] > high) high = samples[index];
    }
    context.fillRect(x, height / 2 - high * scale, 1, Math.max(1, (high - low) * scale));
  }
}

// The canvas' context, at the screen's resolution and empty.
export function sized(canvas) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.min(MOST_PIXELS, Math.round(canvas.clientWidth * ratio)));
  canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
  return canvas.getContext("2d");
}
