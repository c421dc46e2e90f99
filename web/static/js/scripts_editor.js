// The script page beside its editor: what is typed is saved by itself and is what is tried, and a result that is older
// than the text says so.

const SAVE_AFTER_MS = 2500;
const source = document.querySelector("textarea[data-editor]");
const words = JSON.parse(source.dataset.words);
const form = document.getElementById("try-form");
const copy = form.elements.source;
const tried = document.getElementById("tried");
const stale = document.getElementById("stale");
const draft = document.getElementById("source-form");
const state = document.getElementById("autosave");

source.addEventListener("input", () => { if (tried.childElementCount) stale.hidden = false; });

// The draft. One save at a time, each from the count the one before it left; nothing is saved over anybody.
let timer = 0, saving = null, stopped = false;

draft.addEventListener("input", () => {
  clearTimeout(timer);
  if (!stopped) timer = setTimeout(save, SAVE_AFTER_MS);
});

function save() {
  clearTimeout(timer);
  timer = 0;
  saving = (saving ?? Promise.resolve()).then(put).finally(() => { saving = null; });
  return saving;
}

async function put() {
  if (stopped) return;
  state.textContent = words.saving;
  try {
    const answer = await fetch(draft.action, { method: "POST", body: new FormData(draft), headers: { "X-Part": "1" } });
    if (answer.status === 409) { stopped = true; state.textContent = words.clash; return; }
    // Too long, say: what was typed on meanwhile may be saved again, and this text never is.
    if (answer.status === 422) { state.textContent = (await answer.json()).error; return; }
    if (signedOut(answer)) { state.textContent = words.signedOutUnsaved; return; }
    if (answer.status < 500 && !answer.ok) { state.textContent = why(words.unsavedWhy, await answer.text()); return; }
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const { seen } = await answer.json();
    for (const field of document.querySelectorAll('input[name="seen"]')) field.value = seen;
    state.textContent = words.saved;
  } catch {
    state.textContent = words.unsaved;
  }
}

// Whoever is signed out is led to the page that signs in, which is no answer to what was asked.
const signedOut = (answer) => answer.redirected || answer.status === 401 || answer.status === 403;

// What was not done, and the headline of the page that says why.
function why(words, text) {
  const page = new DOMParser().parseFromString(text, "text/html");
  return words.replace("{why}", page.querySelector("h1")?.textContent.trim() ?? "").trim();
}

// Saving by hand waits for a save that is on its way: it would be taken for somebody else's.
draft.addEventListener("submit", (event) => {
  clearTimeout(timer);
  timer = 0;
  if (!saving) return;
  event.preventDefault();
  const { submitter } = event;
  saving.finally(() => setTimeout(() => draft.requestSubmit(submitter)));
});

// Whoever leaves the page leaves no text behind.
window.addEventListener("pagehide", () => {
  if (!timer || stopped) return;
  fetch(draft.action, { method: "POST", body: new FormData(draft), headers: { "X-Part": "1" }, keepalive: true }).catch(() => {});
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  event.stopImmediatePropagation();
  const button = document.getElementById("try");
  if (button.getAttribute("aria-disabled") === "true") return;
  // Not `disabled`: such a button loses the focus, and whoever tries from the keyboard their place.
  button.setAttribute("aria-disabled", "true");
  copy.value = source.value;
  const before = source.value;
  tried.classList.add("busy");
  try {
    const answer = await fetch(form.action, { method: "POST", body: new FormData(form), headers: { "X-Part": "1" } });
    const text = await answer.text();
    if (signedOut(answer)) say(words.signedOutUnrun);
    else if (answer.ok) tried.innerHTML = text;
    else say(answer.status === 429 ? words.tooMany : answer.status < 500 ? why(words.failedWhy, text) : words.failed);
    stale.hidden = source.value === before;
  } catch {
    say(words.away);
  } finally {
    tried.classList.remove("busy");
    button.removeAttribute("aria-disabled");
  }
}, true);

function say(text) {
  const box = document.createElement("div");
  box.className = "notice bad";
  box.setAttribute("role", "alert");
  box.textContent = text;
  tried.replaceChildren(box);
}
