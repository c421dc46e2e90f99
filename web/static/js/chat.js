// The conversation in the window: sends what is written, waits for answers, and keeps its token for this tab only.

const data = document.body.dataset;
const said = document.getElementById("said");
const form = document.getElementById("write");
const who = document.getElementById("who");
const text = document.getElementById("text");
const problem = document.getElementById("problem");
const KEY = `chat:${data.start}`;

const kept = {
  get() { try { return sessionStorage.getItem(KEY); } catch { return null; } },
  set(token) { try { sessionStorage.setItem(KEY, token); } catch { /* this frame may keep nothing: it lives as long as the page */ } },
  drop() { try { sessionStorage.removeItem(KEY); } catch { /* nothing was kept */ } },
};
let token = kept.get();
let last = 0;
let looking = false;

function tell(sentence) {
  problem.textContent = sentence;
  problem.hidden = !sentence;
}

function show(messages) {
  for (const message of messages) {
    if (message.id <= last) continue;
    last = message.id;
    const line = document.createElement("li");
    line.className = message.author === "you" ? "mine" : "";
    const name = document.createElement("b");
    name.textContent = message.author === "you" ? data.you : message.author === "bot" ? `${message.name || ""} (${data.bot})`.trim() : message.name;
    const words = document.createElement("p");
    words.textContent = message.text;
    line.append(name, words);
    said.append(line);
    line.scrollIntoView({ block: "nearest" });
  }
}

async function ask(address, options = {}) {
  const headers = { ...(token ? { Authorization: `Bearer ${token}` } : {}), ...(options.body ? { "Content-Type": "application/json" } : {}) };
  const answer = await fetch(address, { ...options, headers, credentials: "omit" });
  const body = await answer.json().catch(() => ({}));
  return { status: answer.status, body };
}

function ended(sentence) {
  token = null;
  kept.drop();
  who.hidden = false;
  tell(sentence);
}

// Only what stands before somebody's eyes is fetched, because what is fetched counts as seen.
const watched = () => document.visibilityState === "visible" && innerHeight > 0;

async function look() {
  if (looking) return;
  looking = true;
  while (token) {
    let pause = 4000;
    if (watched()) {
      try {
        const { status, body } = await ask(`${data.new}?after=${last}&wait=20`);
        if (status === 200) { show(body.messages); pause = body.again_ms; }
        else if (status === 401 || status === 410) { ended(body.problem); break; }
      } catch { /* away for the moment: asked again after the pause */ }
    }
    if (pause) await new Promise((done) => setTimeout(done, pause));
  }
  looking = false;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  tell("");
  const given = Object.fromEntries(new FormData(form));
  try {
    const { status, body } = await ask(token ? data.say : data.start, { method: "POST", body: JSON.stringify(given) });
    if (status === 201) {
      text.value = "";
      if (body.token) { token = body.token; kept.set(token); who.hidden = true; show(body.messages); }
      else show([{ id: body.id, author: "you", text: given.text }]);
      look();
    } else if (status === 401 || status === 410) ended(body.problem);
    else tell(status === 429 ? data.slow : body.problem || data.away);
  } catch { tell(data.away); }
  button.disabled = false;
  text.focus();
});
text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); form.requestSubmit(); }
});

form.hidden = false;
who.hidden = Boolean(token);
if (token) look();
