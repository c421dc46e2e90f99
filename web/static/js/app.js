// What pages gain from a script. Everything works without it: forms send, links lead, <details> open.

const root = document.documentElement;
root.classList.add("js");

const live = document.getElementById("live");
const say = (text) => { live.textContent = text; };
// What a page says of its progress is read out when data-say-at has changed, however often the page asks.
const progress = (part) => {
  if (part.matches?.("[data-say-at]")) return part;
  return part.querySelector?.("[data-say-at]") ?? null;
};
let saidAt = progress(document)?.dataset.sayAt;

function notice(text, tone = "bad") {
  const place = document.getElementById("notices");
  if (!place) return;
  const box = document.createElement("div");
  box.className = `notice ${tone}`;
  box.setAttribute("role", "alert");
  box.textContent = text;
  place.replaceChildren(box);
  place.hidden = false;
  place.classList.add("stays"); // read however far down the page is
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
  const now = progress(event.target);
  if (now && now.dataset.sayAt !== saidAt) { saidAt = now.dataset.sayAt; say(now.textContent.trim().replace(/\s+/g, " ")); }
});

// A form marked data-autosubmit sends itself when one of its named choices changes; its button is for people without
// scripts. The arrow keys of a folded list change it with every press: then it waits for Enter, or for the button.
let stepping = null;
document.addEventListener("keydown", (event) => {
  if (!event.target.matches("form[data-autosubmit] select")) return;
  if (event.key === "Enter" && stepping === event.target) { event.preventDefault(); event.target.form.requestSubmit(); return; }
  const unfolds = event.key === " " || event.key === "F4" || (event.altKey && event.key.startsWith("Arrow"));
  stepping = unfolds || ["Tab", "Shift", "Escape"].includes(event.key) ? null : event.target;
}, true);
document.addEventListener("pointerdown", () => { stepping = null; }, true);
document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-autosubmit]");
  if (!form || !event.target.name || !event.target.matches("select, input[type=checkbox], input[type=radio]")) return;
  if (stepping === event.target) form.querySelector("button.nojs")?.classList.remove("nojs");
  else form.requestSubmit();
});

// Whoever sends a form from the keyboard goes on where they were: most forms lead back to the page they are on, which
// would begin at its top again. What was pressed is kept for the next page alone, and only for a moment.
const PRESSED = "deskhand.pressed";
const PRESSED_FOR_MS = 30_000;
const wordsOf = (control) => [control.name, control.getAttribute("aria-label") || control.textContent.trim()].join();

// Buttons that stand for each other, e.g. Stop for Start: their box, and what they were called before one was pressed.
const groupOf = (button) => {
  const box = button?.closest("[data-buttons]");
  return box ? { box: box.id, words: [...box.querySelectorAll("button")].map(wordsOf) } : null;
};

// Where in a list that is worked through one by one a form stood: the next takes its place when it is done.
const placeOf = (form) => [...form.closest("[data-queue]")?.children ?? []].findIndex((one) => one.contains(form));

function nextInPlace(place) {
  const left = document.querySelector("main [data-queue]")?.children ?? [];
  const next = place >= 0 ? left[Math.min(place, left.length - 1)] : null;
  if (next) next.tabIndex = -1;
  return next;
}

// What was typed into a form that is refused by a page of its own is there again when one goes back, as that page says.
const REFUSED = "deskhand.refused";
const TYPED_CHARS = 20_000;
const TYPED = 'textarea, select, input:not([type=hidden], [type=password], [type=file], [type=checkbox], [type=radio])';
const typedInto = (form) => {
  const typed = [...form.elements].filter((one) => one.name && one.matches(TYPED)).map((one) => [one.name, one.value]);
  return JSON.stringify(typed).length > TYPED_CHARS ? [] : typed;
};

// Who has this page open, "" where nobody has signed in.
const reader = () => document.querySelector(".who .ell")?.textContent ?? "";

function remember(form, button) {
  const active = document.activeElement;
  if (!active?.closest("main")) return;
  const pressed = { at: Date.now(), who: reader(), typed: form.method === "post" ? typedInto(form) : [], from: location.pathname, to: new URL(form.getAttribute("action") || "", location.href).pathname, form: form.getAttribute("action"), name: button?.name, value: button?.value, words: button ? wordsOf(button) : "", field: active.id, group: groupOf(button), place: placeOf(form), removed: Boolean(button?.matches(".danger") && !button.closest("[data-buttons]")), chosen: active.matches("select, input") && active.form === form ? active.name : "" };
  try { sessionStorage.setItem(PRESSED, JSON.stringify(pressed)); } catch { /* Without a store the page begins at its top, as ever. */ }
}

function pressedBefore() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(PRESSED));
    sessionStorage.removeItem(PRESSED);
    return kept && Date.now() - kept.at < PRESSED_FOR_MS && [kept.from, kept.to].includes(location.pathname) ? kept : null;
  } catch { return null; }
}

function typedBefore() {
  // Whoever was signed out meanwhile signs in on the way back, and finds it then; somebody else does not.
  if (document.querySelector("main [autocomplete=current-password]")) return null;
  try {
    const kept = JSON.parse(sessionStorage.getItem(REFUSED));
    sessionStorage.removeItem(REFUSED); // for the next page alone
    return kept?.from === location.pathname && kept.who === reader() ? kept : null;
  } catch { return null; }
}

// Puts it back where it was typed; true when there was something.
function typeAgain() {
  const kept = typedBefore();
  const form = kept && [...document.querySelectorAll("main form")].find((one) => one.getAttribute("action") === kept.form);
  if (!form) return false;
  let first = null;
  for (const [name, value] of kept.typed) {
    const field = [...form.elements].find((one) => one.name === name && one.matches(TYPED));
    if (!field || field.value === value) continue;
    field.value = value;
    first ??= field;
  }
  if (!first) return false;
  const fold = first.closest("details:not([open])");
  if (fold) fold.open = true;
  first.focus();
  return true;
}

// What can have the focus in place of `one`: what folds it, when it is folded.
function reachable(one) {
  const fold = one?.closest("details:not([open])");
  const found = fold ? fold.querySelector("summary") : one;
  return found && !found.disabled && found.checkVisibility() ? found : null;
}

function goOn() {
  const pressed = pressedBefore();
  if (pressed?.typed?.length && document.querySelector(".err-page")) {
    try { sessionStorage.setItem(REFUSED, JSON.stringify({ who: pressed.who, from: pressed.from, form: pressed.form, typed: pressed.typed })); } catch { /* Then it is typed again. */ }
  } else if (typeAgain()) return;
  const refused = (performance.getEntriesByType("navigation")[0]?.responseStatus ?? 200) >= 400;
  const wrong = document.querySelector(refused ? "main [role=alert]" : "main .problems, main .notes .notice.bad") ?? (refused ? document.querySelector("main [aria-invalid=true]") : null);
  // A reader says what changes in such a box, not what a page came with.
  for (const box of document.querySelectorAll("main .notes .notice")) setTimeout(() => box.replaceChildren(...box.childNodes), 150);
  // What a button was pressed for stands somewhere else on the page than the button, which keeps the focus.
  const told = pressed && document.querySelector("main [data-tell]");
  if (told) setTimeout(() => say(told.innerText.trim().replace(/\s+/g, " ").slice(0, 500)), 150);
  const begun = document.activeElement?.closest("main");
  if (!pressed || (begun && !document.activeElement.matches(":target"))) return;
  // The field that was wrong, where the page is about more than it and says so itself.
  const mendable = document.querySelector("main [aria-invalid][autofocus]");
  if (mendable) { mendable.focus(); return; }
  const begins = wrong ?? document.querySelector("main [data-begin]");
  if (begins) { if (!begins.matches("input, select, textarea")) begins.tabIndex = -1; begins.focus(); return; }
  const forms = [...document.querySelectorAll("main form")].filter((form) => form.getAttribute("action") === pressed.form);
  // What has taken the place of a button that deleted something would delete the next.
  const buttons = forms.flatMap((form) => [...form.elements].filter((one) => one.matches("button") && !(pressed.removed && one.matches(".danger"))));
  const same = buttons.find((one) => one.name === (pressed.name ?? "") && one.value === (pressed.value ?? "") && wordsOf(one) === pressed.words)
    ?? buttons.find((one) => one.name === pressed.name && one.role === "switch");
  const field = document.getElementById(pressed.field)
    ?? forms.map((form) => form.querySelector(`:is(select, input:not([type=hidden]))[name="${CSS.escape(pressed.chosen)}"]`)).find(Boolean);
  // What is as far up as it goes has its other arrow; of a row of buttons the one that is left.
  const beside = (same ? [same.form] : forms.length === 1 && !pressed.removed ? forms : []).flatMap((form) => [...form.elements]).find((one) => one.matches("button") && one.name && one.name === pressed.name && reachable(one));
  // "Follow" has become "Following": the one button of its form, not the next of many that remove something.
  const visible = buttons.filter((one) => !one.hasAttribute("aria-label") && one.checkVisibility());
  const fresh = pressed.group && [...document.querySelectorAll(`#${CSS.escape(pressed.group.box)} button`)].find((one) => !pressed.group.words.includes(wordsOf(one)));
  const target = reachable(same) ?? reachable(field) ?? reachable(fresh) ?? beside ?? (visible.length === 1 ? visible[0] : null)
    ?? reachable(forms.find((form) => form.closest("details:not([open])")))
    ?? (forms.length ? null : nextInPlace(pressed.place));
  if (!target) { if (!location.hash) document.getElementById("main").focus({ preventScroll: true }); return; }
  target.focus();
  // Far down, what the page says about it comes along.
  document.querySelector("main .notes")?.classList.toggle("stays", scrollY > 0);
}

// Empty filters stay out of the address.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method === "get" && !event.defaultPrevented) remember(form, event.submitter);
  if (form.method === "get") for (const field of form.elements) if (field.name && !field.value) field.disabled = true;
  // A second click on a slow form sends nothing.
  if (form.method === "post" && !event.defaultPrevented) {
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    remember(form, event.submitter);
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
  const within = document.activeElement !== event.target.querySelector?.("summary") && event.target.contains?.(document.activeElement);
  if (!within && event.target.matches?.("details.edit[open]")) event.target.querySelector("select, input:not([type=hidden]), textarea")?.focus();
}, true);

// Keys: only outside of fields, never with a modifier.
const typing = (element) => element.closest("input, textarea, select, [contenteditable], .cm-editor");
const rows = () => [...document.querySelectorAll("[data-rows] tr[data-href]")];
let current = -1;

function choose(step) {
  const all = rows();
  if (!all.length) return;
  // Whoever came to a row with Tab goes on from there.
  const focused = all.findIndex((row) => row.contains(document.activeElement));
  current = Math.max(0, Math.min((focused < 0 ? current : focused) + step, all.length - 1));
  all.forEach((row, at) => row.classList.toggle("cur", at === current));
  all[current].querySelector("td a, a").focus({ preventScroll: true });
  all[current].scrollIntoView({ block: "nearest" });
}

// The tickets beside this one in the list it was opened from, as the list was then.
const LISTED = "deskhand.listed";
function listed() {
  try { return JSON.parse(sessionStorage.getItem(LISTED)); } catch { return null; }
}
function keepListed() {
  const hrefs = rows().map((row) => row.dataset.href).filter((href) => href.startsWith("/tickets/"));
  if (!hrefs.length) return;
  try { sessionStorage.setItem(LISTED, JSON.stringify({ page: location.pathname + location.search, hrefs })); } catch { /* Then the keys say that there is no list. */ }
}
// One step along it, or back to it with 0; not while a reply has been begun, which would be lost.
function beside(step) {
  const reply = document.getElementById("reply");
  if (reply && reply.value !== reply.defaultValue) { notice(document.querySelector("[data-beside]").dataset.begun, "warn"); return; }
  const kept = listed();
  if (!step) { location.assign(kept?.page ?? document.querySelector("[data-beside]").dataset.beside); return; }
  const at = kept ? kept.hrefs.indexOf(location.pathname) : -1;
  const href = at < 0 ? null : kept.hrefs[at + step];
  if (href) location.assign(href);
  else notice(document.querySelector("[data-beside]").dataset[at < 0 ? "nolist" : "end"], "warn");
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    if (event.target.matches("main textarea, main input") && !event.target.closest("dialog, details[open].edit, .pop")) document.getElementById("main")?.focus({ preventScroll: true });
    for (const box of boxes()) { box.querySelector("form[data-autosubmit]")?.reset(); box.open = false; box.querySelector("summary").focus(); }
  }
  if ((event.ctrlKey || event.metaKey) && event.key === "Enter" && event.target.form) {
    event.preventDefault();
    event.target.form.requestSubmit(event.target.form.querySelector(event.shiftKey ? "[data-default-shift]" : "[data-default]") || undefined);
    return;
  }
  // A key that is held down presses a button once: what the page does next may put another button in its place.
  if (event.key === "Enter" && event.repeat && event.target.closest("button, summary")) { event.preventDefault(); return; }
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || document.querySelector("dialog[open]")) return;
  const field = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (field) { event.preventDefault(); if (field.matches("input, textarea, select")) field.focus(); else field.click(); return; }
  switch (event.key) {
    case "j": case "k": {
      const step = event.key === "j" ? 1 : -1;
      if (document.querySelector("[data-beside]")) beside(step); else choose(step);
      break;
    }
    case "u": if (document.querySelector("[data-beside]")) beside(0); break;
    case "x": event.target.closest("[data-rows] tr")?.querySelector(".pick input")?.click(); break;
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

keepListed();
// A browser goes to the field that an address names once the page is there; what was pressed comes after that.
if (location.hash) window.addEventListener("load", () => requestAnimationFrame(() => setTimeout(goOn)));
else goOn();
