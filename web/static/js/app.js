// What pages gain from a script. Everything works without it: forms send, links lead, <details> open.

const root = document.documentElement;
root.classList.add("js");

const live = document.getElementById("live");
const say = (text) => { live.textContent = text; };

function notice(text) {
  const place = document.getElementById("notices");
  if (!place) return;
  const box = document.createElement("div");
  box.className = "notice bad";
  box.setAttribute("role", "alert");
  box.textContent = text;
  place.replaceChildren(box);
  place.hidden = false;
}

// A row of tabs that is wider than the page begins where the open one can be seen.
for (const tab of document.querySelectorAll(".tabs [aria-current], .queues [aria-current]")) {
  const row = tab.parentElement;
  const hidden = tab.offsetLeft + tab.offsetWidth - row.offsetLeft - row.clientWidth;
  if (hidden > 0) row.scrollLeft = hidden + 24;
}

// Partial updates carry the session's token, and say so when they fail.
document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRF-Token"] = document.querySelector('meta[name="csrf-token"]').content;
});
document.addEventListener("htmx:responseError", (event) => {
  const xhr = event.detail.xhr;
  const plain = (xhr.getResponseHeader("Content-Type") || "").startsWith("text/plain");
  notice(plain ? xhr.responseText : live.dataset.failed);
});
document.addEventListener("htmx:sendError", () => notice(live.dataset.away));
document.addEventListener("htmx:afterSwap", (event) => {
  const said = event.target.querySelector?.("[data-say]");
  if (said) say(said.dataset.say);
});

// A form marked data-autosubmit sends itself when one of its named choices changes; its button is for people without scripts.
document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-autosubmit]");
  if (form && event.target.name && event.target.matches("select, input[type=checkbox], input[type=radio]")) form.requestSubmit();
});

// Empty filters stay out of the address.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method === "get") for (const field of form.elements) if (field.name && !field.value) field.disabled = true;
  // A second click on a slow form sends nothing.
  if (form.method === "post") {
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    setTimeout(() => delete form.dataset.sent, 3000);
  }
});
window.addEventListener("pageshow", () => {
  for (const field of document.querySelectorAll("form[method=get] :disabled")) field.disabled = false;
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// Open boxes close on Escape, on a click elsewhere, and when another opens.
const boxes = () => document.querySelectorAll("details.edit[open], .me details[open]");
document.addEventListener("click", (event) => {
  for (const box of boxes()) if (!box.contains(event.target)) box.open = false;
});
document.addEventListener("toggle", (event) => {
  if (event.target.matches?.("details.edit[open]")) event.target.querySelector("select, input:not([type=hidden]), textarea")?.focus();
}, true);

// Keys: only outside of fields, never with a modifier.
const typing = (element) => element.closest("input, textarea, select, [contenteditable], .cm-editor");
const rows = () => [...document.querySelectorAll("[data-rows] tr[data-href]")];
let current = -1;

function choose(index) {
  const all = rows();
  if (!all.length) return;
  current = Math.max(0, Math.min(index, all.length - 1));
  all.forEach((row, at) => row.classList.toggle("cur", at === current));
  all[current].querySelector("a").focus({ preventScroll: true });
  all[current].scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    for (const box of boxes()) { box.open = false; box.querySelector("summary").focus(); }
  }
  if ((event.ctrlKey || event.metaKey) && event.key === "Enter" && event.target.form) {
    event.preventDefault();
    event.target.form.requestSubmit(event.target.form.querySelector("[data-default]") || undefined);
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  const field = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (field) { event.preventDefault(); if (field.matches("input, textarea, select")) field.focus(); else field.click(); return; }
  switch (event.key) {
    case "j": choose(current + 1); break;
    case "k": choose(current - 1); break;
    case "Enter":
      if (current >= 0 && !event.target.closest("a, button, summary")) location.assign(rows()[current].dataset.href);
      break;
    case "?": { const help = document.getElementById("keys"); if (help) { event.preventDefault(); help.showModal(); } break; }
    default: return;
  }
});

// A ticket whose messages are really on the screen has been seen: not one in a window that nobody looks at.
function tellSeen() {
  const shown = document.querySelector("[data-seen]");
  if (!shown || document.visibilityState !== "visible") return;
  const { seen, upTo } = shown.dataset;
  delete shown.dataset.seen;
  const headers = { "X-CSRF-Token": document.querySelector('meta[name="csrf-token"]').content };
  // Unanswered, it is asked again with the next visit; nobody has to be told.
  fetch(seen, { method: "POST", headers, body: new URLSearchParams({ up_to: upTo }), keepalive: true }).catch(() => {});
}
document.addEventListener("visibilitychange", tellSeen);
window.addEventListener("load", tellSeen);

// Clicking anywhere in a row opens it; text selection and real links stay as they are.
document.addEventListener("click", (event) => {
  const row = event.target.closest("[data-rows] tr[data-href]");
  if (row && !event.target.closest("a, button, summary, input, label") && !String(getSelection())) row.querySelector("a").click();
});

// Fields that belong to one answer of another field: the parameters of the script that a step runs.
document.addEventListener("change", (event) => {
  if (!event.target.name) return;
  for (const one of event.target.form?.querySelectorAll(`[data-shown-by="${CSS.escape(event.target.name)}"]`) ?? []) {
    one.hidden = !one.dataset.shownFor.split(" ").includes(event.target.value);
  }
});

// Dialogs opened and closed by buttons.
document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog]");
  if (opener) document.getElementById(opener.dataset.dialog)?.showModal();
  if (event.target.closest("[data-close]")) event.target.closest("dialog").close();
});

// A form marked data-autosave keeps what is written a moment after the last key. Files, and sending, are for its buttons.
for (const form of document.querySelectorAll("form[data-autosave]")) {
  const told = form.querySelector("[data-autosave-said]");
  let timer = 0, busy = false, again = false, sends = null;
  const save = async () => {
    if (busy) { again = true; return; }
    busy = true;
    again = false;
    const body = new FormData(form);
    for (const field of form.querySelectorAll("input[type=file]")) body.delete(field.name);
    body.set("auto", "1");
    told.textContent = form.dataset.saving;
    try {
      const answer = await fetch(form.action, { method: "POST", body, credentials: "same-origin" });
      const kept = await answer.json();
      if (kept.version) form.elements.version.value = kept.version;
      told.textContent = answer.ok ? form.dataset.saved : (kept.problem || kept.error || form.dataset.unsaved);
    } catch {
      told.textContent = form.dataset.unsaved;
    }
    busy = false;
    if (sends) { const button = sends; sends = null; form.requestSubmit(button); } else if (again) save();
  };
  form.addEventListener("input", (event) => {
    if (event.target.type === "file") return;
    clearTimeout(timer);
    timer = setTimeout(save, 800);
  });
  form.addEventListener("submit", (event) => {
    clearTimeout(timer);
    // What is being saved comes first, or sending would look like a second person's answer.
    if (busy) { event.preventDefault(); event.stopPropagation(); sends = event.submitter; }
  });
}

// A button that copies a text of the page. Where the browser keeps its clipboard, the text is chosen instead.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const text = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(text.textContent);
    say(button.dataset.copied);
    button.lastChild.textContent = ` ${button.dataset.copied}`;
  } catch {
    getSelection().selectAllChildren(text);
    text.focus();
  }
});
