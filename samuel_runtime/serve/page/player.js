// Voice and takes in sync: decoded buffers, all started at the same time of the audio clock. Takes that are not chosen
// run on in silence, so that changing between them has no gap.

const AHEAD_S = 0.03; // from the call to the start, for all sources alike; more where starting them takes longer
const FADE_S = 0.01;

export class Player {
  constructor(onEnd) {
    this.context = new AudioContext();
    this.onEnd = onEnd;
    this.mix = { balance: 0, muted: new Set(), solo: null };
    this.take = 0;
    this.offset = 0; // where it stands, or stood when it was started
    this.loop = null; // [from, to] in seconds
    this.sources = [];
    // Voice and band at full level together may pass full scale; the limiter keeps them from clipping.
    this.limiter = new DynamicsCompressorNode(this.context, { threshold: -3, knee: 0, ratio: 20, attack: 0.002, release: 0.1 });
    this.limiter.connect(this.context.destination);
  }

  // `voice` and `takes` are encoded files; `gains` turns each take up to its level in the mix.
  async load(voice, takes, gains) {
    this.pause();
    const decode = async (blob) => this.context.decodeAudioData(await blob.arrayBuffer());
    const [first, ...rest] = await Promise.all([voice, ...takes].map(decode));
    this.tracks?.forEach((track) => track.gain.disconnect());
    this.tracks = [first, ...rest].map((buffer, index) => {
      const gain = new GainNode(this.context, { gain: 0 });
      gain.connect(this.limiter);
      return { buffer, gain, level: index ? gains[index - 1] : 1 };
    });
    this.duration = first.duration;
    this.offset = 0;
    this.loop = null;
    this.take = Math.min(this.take, takes.length - 1);
    this.setLevels();
  }

  get playing() {
    return this.sources.length > 0;
  }

  get band() {
    return this.tracks[1 + this.take].buffer;
  }

  get voice() {
    return this.tracks[0].buffer;
  }

  position() {
    if (!this.playing) return this.offset;
    const time = this.offset + Math.max(0, this.context.currentTime - this.startedAt);
    if (!this.loop) return Math.min(time, this.duration);
    const [from, to] = this.loop;
    return time < to ? time : from + ((time - from) % (to - from));
  }

  async play() {
    await this.context.resume();
    if (this.playing) return;
    if (this.loop && (this.offset < this.loop[0] || this.offset >= this.loop[1])) this.offset = this.loop[0];
    if (this.offset >= this.duration - 0.01) this.offset = 0;
    const { sampleRate } = this.context;
    this.offset = Math.round(this.offset * sampleRate) / sampleRate; // whole samples, so that none is interpolated
    for (let ahead = AHEAD_S; ; ahead *= 2) {
      this.startedAt = Math.round((this.context.currentTime + ahead) * sampleRate) / sampleRate;
      this.sources = this.tracks.map((track) => this.started(track));
      if (this.context.currentTime < this.startedAt) break;
      this.sources.forEach((source) => source.stop()); // the last began late, and would stay behind the others
    }
    const [first] = this.sources;
    first.onended = () => {
      if (this.sources[0] !== first) return;
      this.pause();
      this.offset = 0;
      this.onEnd();
    };
  }

  started({ buffer, gain }) {
    const source = new AudioBufferSourceNode(this.context, { buffer });
    if (this.loop) [source.loop, source.loopStart, source.loopEnd] = [true, ...this.loop];
    source.connect(gain);
    source.start(this.startedAt, this.offset);
    return source;
  }

  pause() {
    this.offset = this.position();
    this.sources.forEach((source) => source.stop());
    this.sources = [];
  }

  seek(time) {
    const playing = this.playing;
    this.pause();
    this.offset = Math.max(0, Math.min(time, this.duration));
    if (playing) this.play();
  }

  setLoop(loop) {
    const playing = this.playing;
    this.pause();
    this.loop = loop;
    if (playing) this.play();
  }

  choose(take) {
    this.take = take;
    this.setLevels();
  }

  // Balance from -1, the voice alone, through 0, as mixed, to 1, the band alone.
  setLevels() {
    const { balance, muted, solo } = this.mix;
    const audible = (name) => !muted.has(name) && (solo === null || solo === name);
    const voice = audible("voice") ? Math.min(1, 1 - balance) : 0;
    const band = audible("band") ? Math.min(1, 1 + balance) : 0;
    this.tracks?.forEach(({ gain, level }, index) => {
      const heard = index === 0 ? voice : index === 1 + this.take ? band * level : 0;
      gain.gain.setTargetAtTime(heard, this.context.currentTime, FADE_S / 3);
    });
  }
}
