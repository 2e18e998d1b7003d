// The server's API: answers as objects, problems as errors whose message is a sentence.

const ROOT = "/v1/accompaniments";
const RETRY_MS = 1000;
let askForKey = null;

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status; // 0 where nobody answered
  }
}

// `ask` is called when the server wants a key, and resolves with one.
export function onKeyNeeded(ask) {
  askForKey = ask;
}

async function request(path, options = {}) {
  for (;;) {
    const key = sessionStorage.getItem("api-key");
    const headers = key ? { "X-API-Key": key } : {};
    let answer;
    try {
      answer = await fetch(path, { ...options, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError(0, "The server does not answer. Is it running?");
    }
    if (answer.ok) return answer;
    if (answer.status === 401 && askForKey) {
      sessionStorage.setItem("api-key", await askForKey());
      continue;
    }
    const problem = await answer.json().catch(() => ({ detail: `The server answered ${answer.status}.` }));
    throw new ApiError(answer.status, problem.detail);
  }
}

export const bundle = async () => (await request("/v1/bundle")).json();
export const look = async (id) => (await request(`${ROOT}/${id}`)).json();
export const remove = (id) => request(`${ROOT}/${id}`, { method: "DELETE" });
export const fetchBlob = async (path) => (await request(path)).blob();
export const sheetPath = (id, format) => `${ROOT}/${id}/lead-sheet.${format}`;

export async function ask(voice, settings) {
  const form = new FormData();
  form.append("voice", voice, "voice");
  form.append("settings", JSON.stringify(settings));
  return (await request(ROOT, { method: "POST", body: form })).json();
}

// Calls `show` with the job whenever it changes, until it ends; `lost` while the server is away. An EventSource would
// be shorter, but sends no key.
export async function follow(id, show, lost, signal) {
  let sheet = null;
  const shown = (job) => {
    if (!("lead_sheet" in job)) job.lead_sheet = sheet;
    sheet = job.lead_sheet;
    show(job);
    return job.state === "done" || job.state === "failed";
  };
  while (!signal.aborted) {
    try {
      const answer = await request(`${ROOT}/${id}/events`, { signal });
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let text = ""; ; ) {
        const { value, done } = await reader.read();
        if (done) break;
        const events = (text + value).split("\n\n");
        text = events.pop();
        for (const event of events) {
          const data = event.split("\n").find((line) => line.startsWith("data: "));
          if (data && shown(JSON.parse(data.slice(6)))) return;
        }
      }
    } catch (error) {
      if (signal.aborted || error.name === "AbortError") return;
      if (error instanceof ApiError && error.status >= 400 && error.status < 500) throw error;
    }
    lost();
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}
