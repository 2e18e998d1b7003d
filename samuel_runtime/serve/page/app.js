// The page: a voice in, a job, a band out. What is shown follows from `state`; the address keeps the job's id.

import * as api from "/page/api.js";
import { Player } from "/page/player.js";
import { Recorder } from "/page/recorder.js";
import { SheetView } from "/page/sheet.js";
import { drawSpectrogram } from "/page/spectrogram.js";
import { drawWaveform } from "/page/waveform.js";

const $ = (id) => document.getElementById(id);
const PIXELS_PER_S = 14; // at least, so that chords find their place above the waveform
const STAGES = { encode: "Listening to the voice", sample: "Imagining", decode: "Playing", write: "Writing it down" };
const AUDIO_FORMATS = ["wav", "flac", "mp3", "ogg"];
const SHEET_FORMATS = ["json", "mid"];

const state = { voice: null, buffer: null, job: null, sheet: null, facts: null, recorder: null, following: null, shown: null };
const sheetView = new SheetView($("chords"), (sheet) => {
  state.sheet = sheet;
  $("sheet-hint").textContent = "The band will be played from your chords when you make it again.";
});
let player = null;

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
const letter = (take) => String.fromCharCode(64 + take);

function fail(error) {
  const message = error instanceof Error ? error.message : String(error);
  $("error").textContent = message.charAt(0).toUpperCase() + message.slice(1);
  $("error").hidden = false;
  $("error").scrollIntoView({ block: "nearest" });
}

// Runs what a press of a button begins; what goes wrong is told in words.
const doing = (action) => async (...event) => {
  $("error").hidden = true;
  try {
    await action(...event);
  } catch (error) {
    fail(error);
  }
};

// ---- the voice

async function takeVoice(blob, name) {
  if (blob.size > state.facts.most_bytes) throw new Error(`${name} is larger than ${Math.round(state.facts.most_bytes / 2 ** 20)} MB. Save it as FLAC, or cut it shorter.`);
  state.voice = blob;
  state.job = state.sheet = state.buffer = state.shown = null;
  history.replaceState(null, "", location.pathname);
  player?.pause();
  sheetView.clear();
  for (const id of ["player", "band-wave", "spectrogram", "sheet-hint", "timeline", "playhead"]) $(id).hidden = true;
  $("sheet-line").textContent = "";
  $("voice-name").textContent = name;
  $("make").disabled = false;
  try {
    const context = new OfflineAudioContext(1, 1, 44100);
    state.buffer = await context.decodeAudioData(await blob.arrayBuffer());
  } catch {
    return; // the server reads more formats than browsers do, and says what is wrong with the others
  }
  if (state.voice !== blob) return;
  $("voice-name").textContent = `${name}, ${clock(state.buffer.duration)}`;
  drawTimeline();
}

const record = doing(async () => {
  if (state.recorder) {
    const recorder = state.recorder;
    state.recorder = null;
    showRecording(false);
    await takeVoice(await recorder.stop(), "Your recording");
    return;
  }
  const most = 60 * state.facts.most_minutes;
  state.recorder = await Recorder.start((peak, seconds) => {
    const bars = Math.round(10 * Math.min(1, peak * 1.5));
    $("voice-name").textContent = `${clock(seconds)} ${"▮".repeat(bars)}${"▯".repeat(10 - bars)}`;
    if (seconds > most - 0.5 && state.recorder) record();
  });
  showRecording(true);
});

function showRecording(on) {
  $("record").setAttribute("aria-pressed", on);
  $("record-label").textContent = on ? "Stop" : "Record";
  $("choose").disabled = on;
  // Ten changes a second are nothing to be read out.
  $("voice-name").setAttribute("role", on ? "none" : "status");
}

// ---- the job

function settings() {
  const given = {};
  for (const id of ["bpm", "first_beat_s", "guidance"]) if ($(id).value !== "") given[id] = Number($(id).value);
  for (const id of ["meter", "key"]) if ($(id).value.trim()) given[id] = $(id).value.trim();
  if ($("chords-given").value.trim()) given.chords = $("chords-given").value.trim();
  if (state.sheet) given.lead_sheet = state.sheet;
  // As text, since numbers lose digits above 2^53 here.
  return { ...given, seed: $("seed").value.trim() || "0", variations: Number($("variations").value) };
}

function fillForm(given) {
  for (const id of ["bpm", "first_beat_s", "guidance", "meter", "key", "seed", "variations"]) if (given[id] != null) $(id).value = given[id];
  $("chords-given").value = given.chords ?? "";
}

const make = doing(async () => {
  if (!state.voice) state.voice = await api.fetchBlob(state.job.voice.wav);
  player?.pause();
  $("make").disabled = true;
  $("player").hidden = true;
  showProgress({ state: "sending" });
  try {
    await follow(await api.ask(state.voice, settings()));
  } finally {
    $("make").disabled = false;
    $("progress").hidden = true;
  }
});

async function follow(job) {
  state.job = job;
  history.replaceState(null, "", `#${job.id}`);
  state.following = new AbortController();
  const lost = () => showProgress({ state: "lost" });
  await api.follow(job.id, (now) => { state.job = now; showJob(now); }, lost, state.following.signal);
  if (state.job?.state === "failed") throw new Error(state.job.error.detail);
  if (state.job?.state === "done") await showBand();
}

function showProgress(job) {
  $("progress").hidden = false;
  const left = job.seconds_left == null ? "" : `, ${job.seconds_left < 60 ? `${Math.ceil(job.seconds_left)} s` : `${Math.ceil(job.seconds_left / 60)} min`} left`;
  const bar = $("bar");
  if (job.state === "running") bar.value = job.progress.share;
  else bar.removeAttribute("value");
  $("stage").textContent = {
    sending: "Sending the voice",
    lost: "The server does not answer; the band goes on when it is back",
    waiting: job.position ? `${job.position} before yours${left}` : "Next in line",
    running: job.state === "running" && `${STAGES[job.progress.stage]}${job.takes.length || job.progress.take > 1 ? `, take ${letter(job.progress.take)}` : ""}${left}`,
  }[job.state];
}

function showJob(job) {
  if (job.state === "waiting" || job.state === "running") showProgress(job);
  if (job.lead_sheet && !state.shown) {
    state.shown = job.lead_sheet;
    $("sheet-line").textContent = [job.lead_sheet.tempo_bpm && `${job.lead_sheet.tempo_bpm.toFixed(1)} bpm`, job.lead_sheet.downbeats_s.length && job.lead_sheet.meter, job.lead_sheet.key].filter(Boolean).join(" · ");
    sheetView.show(job.lead_sheet, job.chord_symbols);
    $("sheet-hint").textContent = "Is a chord wrong? Press it, write another, and make the band again.";
    $("sheet-hint").hidden = job.lead_sheet.chords.length === 0;
    state.sheet = null;
    drawTimeline();
  }
}

const again = doing(async () => {
  const seed = crypto.getRandomValues(new Uint32Array(1))[0] % 1_000_000;
  $("seed").value = seed;
  await make();
});

const cancel = doing(async () => {
  state.following?.abort();
  $("progress").hidden = true;
  if (state.job) await api.remove(state.job.id);
  history.replaceState(null, "", location.pathname);
  if (!state.voice) $("make").disabled = true;
});

// ---- what can be heard

async function showBand() {
  const job = state.job;
  player ??= new Player(tick);
  showProgress({ state: "running", takes: [], progress: { share: 1, stage: "write", take: 1 } });
  const files = [job.voice.wav, ...job.takes.map((take) => take.files.accompaniment.wav)];
  const [voice, ...takes] = await Promise.all(files.map(api.fetchBlob));
  await player.load(voice, takes, job.takes.map((take) => 10 ** (take.band_gain_db / 20)));
  state.buffer = player.voice;
  if ($("voice-name").textContent.startsWith("or ")) $("voice-name").textContent = `The voice, ${clock(player.duration)}`;
  $("progress").hidden = true;
  $("player").hidden = false;
  $("playhead").hidden = false;
  $("position").max = player.duration;
  showTakes();
  showLoop();
  $("play").focus({ preventScroll: true });
  drawTimeline();
  tick();
}

function showTakes() {
  const takes = state.job.takes.map(({ take, seed }) => {
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "take", value: take, checked: take - 1 === player.take });
    input.setAttribute("aria-label", `Take ${letter(take)}, seed ${seed}`);
    input.addEventListener("change", () => choose(take - 1));
    const text = document.createElement("span");
    text.textContent = letter(take);
    text.title = `Seed ${seed}`;
    label.append(input, text);
    return label;
  });
  $("takes").replaceChildren($("takes").querySelector("legend"), ...takes);
  showWarnings();
}

function choose(take) {
  player.choose(take);
  showWarnings();
  drawTimeline();
}

function showWarnings() {
  const items = state.job.takes[player.take].warnings.map((warning) => Object.assign(document.createElement("li"), { textContent: warning }));
  $("warnings").replaceChildren(...items);
  $("warnings").hidden = items.length === 0;
}

function drawTimeline() {
  const buffer = state.buffer;
  if (!buffer) return;
  $("timeline").hidden = false;
  $("strip").style.width = `${Math.max($("strip").parentElement.clientWidth, Math.min(8000, Math.round(buffer.duration * PIXELS_PER_S)))}px`;
  drawWaveform($("voice-wave"), buffer, "--voice", state.shown);
  if (!player || $("player").hidden) return;
  const spectrogram = $("show-spectrogram").getAttribute("aria-pressed") === "true";
  $("band-wave").hidden = spectrogram;
  $("spectrogram").hidden = !spectrogram;
  if (spectrogram) drawSpectrogram($("spectrogram"), player.band);
  else drawWaveform($("band-wave"), player.band, "--band", state.shown);
}

function tick() {
  if (!player?.tracks) return;
  const time = player.position();
  $("play").textContent = player.playing ? "Pause" : "Play";
  $("play").setAttribute("aria-pressed", player.playing);
  if (document.activeElement !== $("position") || player.playing) $("position").value = time;
  $("position").setAttribute("aria-valuetext", `${clock(time)} of ${clock(player.duration)}`);
  $("clock").textContent = `${clock(time)} / ${clock(player.duration)}`;
  $("playhead").style.left = `${(100 * time) / player.duration}%`;
  if (player.playing) {
    keepInSight(time / player.duration);
    requestAnimationFrame(tick);
  }
}

function keepInSight(share) {
  const scroll = $("strip").parentElement;
  const x = share * $("strip").clientWidth;
  if (x < scroll.scrollLeft || x > scroll.scrollLeft + scroll.clientWidth - 20) scroll.scrollLeft = x - 40;
}

const togglePlay = doing(async () => {
  if (player.playing) player.pause();
  else await player.play();
  tick();
});

function showLoop() {
  const loop = player.loop;
  $("selection").hidden = !loop;
  $("loop-off").disabled = !loop;
  if (!loop) return;
  $("selection").style.left = `${(100 * loop[0]) / player.duration}%`;
  $("selection").style.width = `${(100 * (loop[1] - loop[0])) / player.duration}%`;
}

let loopFrom = null;

function setLoop(from, to) {
  if (to - from < 0.1) return;
  player.setLoop([from, to]);
  showLoop();
  tick();
}

// Press to go there, drag to loop over what is selected.
function selecting(down) {
  if (!player || $("player").hidden || down.button !== 0) return;
  const lanes = $("strip").querySelector(".lanes");
  const at = (event) => {
    const box = lanes.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)) * player.duration;
  };
  const start = at(down);
  const up = (event) => {
    const [from, to] = [start, at(event)].sort((a, b) => a - b);
    if (Math.abs(event.clientX - down.clientX) > 6) setLoop(from, to);
    else player.seek(start);
    tick();
  };
  lanes.addEventListener("pointerup", up, { once: true });
}

function toggle(id, change) {
  $(id).addEventListener("click", () => {
    const on = $(id).getAttribute("aria-pressed") !== "true";
    $(id).setAttribute("aria-pressed", on);
    change(on);
  });
}

function showFormats() {
  const formats = $("part").value === "lead-sheet" ? SHEET_FORMATS : AUDIO_FORMATS;
  $("format").replaceChildren(...formats.map((format) => new Option(format === "mid" ? "MIDI" : format.toUpperCase(), format)));
}

// Through a blob, since a link sends no key.
const download = doing(async () => {
  const [part, format, take] = [$("part").value, $("format").value, state.job.takes[player.take]];
  const path = { voice: () => state.job.voice[format], "lead-sheet": () => api.sheetPath(state.job.id, format) }[part] ?? (() => take.files[part][format]);
  const url = URL.createObjectURL(await api.fetchBlob(path()));
  const name = part === "mix" || part === "accompaniment" ? `${part}-seed${take.seed}` : part;
  Object.assign(document.createElement("a"), { href: url, download: `${name}.${format}` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
});

// ---- wiring

$("record").addEventListener("click", record);
$("choose").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", doing(async () => {
  const [file] = $("file").files;
  $("file").value = "";
  if (file) await takeVoice(file, file.name);
}));
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault(); // else the browser opens the file
    $("drop").classList.toggle("over", kind === "dragover");
  });
}
document.addEventListener("drop", doing(async (event) => {
  const [file] = event.dataTransfer.files;
  if (file) await takeVoice(file, file.name);
}));
$("settings").addEventListener("submit", (event) => {
  event.preventDefault();
  make();
});
$("again").addEventListener("click", again);
$("cancel").addEventListener("click", cancel);
$("play").addEventListener("click", togglePlay);
$("position").addEventListener("input", () => {
  player.seek(Number($("position").value));
  tick();
});
$("balance").addEventListener("input", () => {
  const balance = Number($("balance").value);
  player.mix.balance = balance;
  player.setLevels();
  $("balance").setAttribute("aria-valuetext", balance === 0 ? "as mixed" : `${Math.round(100 * Math.abs(balance))} % towards the ${balance < 0 ? "voice" : "band"}`);
});
for (const name of ["voice", "band"]) {
  toggle(`${name}-mute`, (on) => {
    player.mix.muted[on ? "add" : "delete"](name);
    player.setLevels();
  });
  toggle(`${name}-solo`, (on) => {
    player.mix.solo = on ? name : null;
    const other = name === "voice" ? "band" : "voice";
    $(`${other}-solo`).setAttribute("aria-pressed", false);
    player.setLevels();
  });
}
toggle("show-spectrogram", drawTimeline);
$("loop-from").addEventListener("click", () => {
  loopFrom = player.position();
  $("loop-to").disabled = false;
});
$("loop-to").addEventListener("click", () => setLoop(...[loopFrom, player.position()].sort((a, b) => a - b)));
$("loop-off").addEventListener("click", () => {
  player.setLoop(null);
  showLoop();
});
$("strip").querySelector(".lanes").addEventListener("pointerdown", selecting);
$("part").addEventListener("change", showFormats);
$("download").addEventListener("click", download);
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, button, textarea, summary, a, dialog");
  if (event.key !== " " || typing || !player || $("player").hidden) return;
  event.preventDefault();
  togglePlay();
});
let resizing = 0;
window.addEventListener("resize", () => {
  clearTimeout(resizing);
  resizing = setTimeout(drawTimeline, 200);
});

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawTimeline);

api.onKeyNeeded(
  () =>
    new Promise((resolve) => {
      $("key-dialog").showModal();
      $("key-dialog").addEventListener("close", () => resolve($("api-key").value.trim()), { once: true });
    }),
);

showFormats();
await doing(async () => {
  state.facts = await api.bundle();
  const { defaults, most_minutes, most_bytes, most_takes, takes_lead_sheet, hears_lead_sheet, keep_hours, version } = state.facts;
  $("guidance").placeholder = defaults.guidance;
  $("song").hidden = !takes_lead_sheet;
  if (!hears_lead_sheet) $("song").querySelector(".hint").textContent = "This bundle hears nothing by itself: it plays from what you write here.";
  for (const option of [...$("variations").options]) option.hidden = Number(option.value) > most_takes;
  $("voice-hint").textContent += ` Up to ${most_minutes} minutes and ${Math.round(most_bytes / 2 ** 20)} MB.`;
  $("about").textContent = `samuel ${version}. Recordings stay on this server, bands for ${keep_hours} hours.`;
  const id = location.hash.slice(1);
  if (!id) return;
  $("make").disabled = true;
  try {
    const job = await api.look(id);
    fillForm(job.settings);
    await follow(job);
    $("make").disabled = !state.job?.voice.wav;
  } catch (error) {
    history.replaceState(null, "", location.pathname);
    throw error;
  } finally {
    $("progress").hidden = true;
  }
})();
