// The microphone, as it sounds: no echo cancellation, no automatic gain, no lossy codec in between; a WAV of 24 bits.

export class Recorder {
  // `onLevel(peak, seconds)` is called while it records.
  static async start(onLevel) {
    if (!navigator.mediaDevices) throw new Error("Browsers record on https and localhost alone. Choose a file instead.");
    const constraints = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: constraints });
    } catch (error) {
      throw new Error(`The microphone cannot be used (${error.message}). Allow it for this page, or choose a file.`);
    }
    const context = new AudioContext();
    await context.audioWorklet.addModule("/page/recorder-worklet.js");
    return new Recorder(stream, context, onLevel);
  }

  constructor(stream, context, onLevel) {
    this.stream = stream;
    this.context = context;
    this.blocks = [];
    this.count = 0;
    this.tap = new AudioWorkletNode(context, "tap", { numberOfOutputs: 0 });
    this.tap.port.onmessage = ({ data }) => {
      this.blocks.push(data);
      this.count += data.length;
      let peak = 0;
      for (const sample of data) peak = Math.max(peak, Math.abs(sample));
      onLevel(peak, this.count / context.sampleRate);
    };
    context.createMediaStreamSource(stream).connect(this.tap);
  }

  async stop() {
    this.stream.getTracks().forEach((track) => track.stop());
    this.tap.port.onmessage = null;
    const rate = this.context.sampleRate;
    await this.context.close();
    return wav(this.blocks, this.count, rate);
  }
}

function wav(blocks, count, rate) {
  const data = new DataView(new ArrayBuffer(44 + 3 * count));
  const text = (at, letters) => [...letters].forEach((letter, index) => data.setUint8(at + index, letter.charCodeAt(0)));
  text(0, "RIFF");
  data.setUint32(4, 36 + 3 * count, true);
  text(8, "WAVEfmt ");
  data.setUint32(16, 16, true);
  data.setUint16(20, 1, true); // PCM
  data.setUint16(22, 1, true); // channels
  data.setUint32(24, rate, true);
  data.setUint32(28, 3 * rate, true);
  data.setUint16(32, 3, true);
  data.setUint16(34, 24, true);
  text(36, "data");
  data.setUint32(40, 3 * count, true);
  let at = 44;
  for (const block of blocks) {
    for (const sample of block) {
      const value = Math.round(Math.max(-1, Math.min(1, sample)) * 0x7fffff);
      data.setUint16(at, value & 0xffff, true);
      data.setInt8(at + 2, value >> 16);
      at += 3;
    }
  }
  return new Blob([data.buffer], { type: "audio/wav" });
}
