// Levels by time and frequency, from 60 Hz to 12 kHz on a logarithmic axis, over 80 dB; Hann windows of 2048 samples.

import { sized } from "/page/waveform.js";

const SIZE = 2048;
const [LOWEST_HZ, HIGHEST_HZ, RANGE_DB] = [60, 12000, 80];
const COLUMNS_MOST = 1500;

export function drawSpectrogram(canvas, buffer) {
  const context = sized(canvas);
  const columns = Math.min(COLUMNS_MOST, canvas.width);
  const rows = 160;
  const image = new ImageData(columns, rows);
  const samples = buffer.getChannelData(0);
  const levels = new Float32Array(columns * rows);
  let loudest = -Infinity;
  for (let x = 0; x < columns; x++) {
    const power = spectrum(samples, Math.round(((x + 0.5) * samples.length) / columns) - SIZE / 2);
    for (let y = 0; y < rows; y++) {
      const hz = HIGHEST_HZ * (LOWEST_HZ / HIGHEST_HZ) ** (y / (rows - 1));
      const bin = Math.min(SIZE / 2 - 1, (hz * SIZE) / buffer.sampleRate);
      const [low, part] = [Math.floor(bin), bin % 1];
      const level = 10 * Math.log10(power[low] * (1 - part) + power[low + 1] * part + 1e-12);
      levels[y * columns + x] = level;
      loudest = Math.max(loudest, level);
    }
  }
  levels.forEach((level, index) => {
    const [red, green, blue] = color(Math.max(0, 1 + (level - loudest) / RANGE_DB));
    image.data.set([red, green, blue, 255], 4 * index);
  });
  const small = new OffscreenCanvas(columns, rows);
  small.getContext("2d").putImageData(image, 0, 0);
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
}

// From night through the band's colour to paper.
function color(share) {
  const stops = [[20, 18, 28], [86, 33, 64], [168, 72, 31], [236, 165, 92], [252, 246, 228]];
  const place = Math.min(0.9999, share ** 1.5) * (stops.length - 1);
  const [low, part] = [Math.floor(place), place % 1];
  return stops[low].map((value, index) => value + part * (stops[low + 1][index] - value));
}

const hann = Float32Array.from({ length: SIZE }, (_, index) => 0.5 - 0.5 * Math.cos((2 * Math.PI * index) / SIZE));
const cosines = Float32Array.from({ length: SIZE / 2 }, (_, index) => Math.cos((2 * Math.PI * index) / SIZE));
const sines = Float32Array.from({ length: SIZE / 2 }, (_, index) => Math.sin((2 * Math.PI * index) / SIZE));

// Power of SIZE samples from `start` on, by bin: Cooley and Tukey's FFT, radix 2.
function spectrum(samples, start) {
  const real = new Float32Array(SIZE);
  const imaginary = new Float32Array(SIZE);
  for (let index = 0, reversed = 0; index < SIZE; index++) {
    real[reversed] = (samples[start + index] ?? 0) * hann[index];
    let bit = SIZE >> 1;
    while (reversed & bit) {
      reversed ^= bit;
      bit >>= 1;
    }
    reversed |= bit;
  }
  for (let half = 1; half < SIZE; half *= 2) {
    const stride = SIZE / (2 * half);
    for (let first = 0; first < SIZE; first += 2 * half) {
      for (let k = 0; k < half; k++) {
        const [a, b, c, s] = [first + k, first + k + half, cosines[k * stride], sines[k * stride]];
        const [x, y] = [real[b] * c + imaginary[b] * s, imaginary[b] * c - real[b] * s];
        real[b] = real[a] - x;
        imaginary[b] = imaginary[a] - y;
        real[a] += x;
        imaginary[a] += y;
      }
    }
  }
  return real.subarray(0, SIZE / 2 + 1).map((value, bin) => value * value + imaginary[bin] * imaginary[bin]);
}
