// An open ticket shows what automations and colleagues do to it. What somebody is writing is never touched.

const FIRST_MS = 1500, SOON_MS = 2500, LATER_MS = 10000, SOON_FOR_MS = 30000;
let since = Date.now();

const ticket = () => document.querySelector("[data-fresh]");
const reply = () => document.getElementById("reply-form");

// Somebody is in the middle of something other than the reply, which is carried over.
function busy() {
  const at = document.activeElement;
  const field = at?.closest?.("input, select, textarea, [contenteditable]");
  return Boolean(document.querySelector("details.edit[open], dialog[open]") || (field && !field.closest("#reply-form")) || String(getSelection()));
}

function tell(shown) {
  const place = document.getElementById("notices");
  if (!place || place.querySelector("[data-news]")) return;
  const box = document.createElement("div");
  box.className = "notice";
  box.dataset.news = "1";
  const link = document.createElement("a");
  link.className = "link";
  link.href = location.href;
  link.textContent = shown.dataset.show;
  box.append(`${shown.dataset.changed} `, link);
  place.replaceChildren(box);
  place.hidden = false;
}

const opened = (part) => [...part.querySelectorAll("details[open]:not(.edit) > summary")].map((one) => one.textContent.trim());

function put(old, fresh) {
  const open = opened(old);
  old.replaceWith(fresh);
  for (const summary of fresh.querySelectorAll("details > summary")) if (open.includes(summary.textContent.trim())) summary.parentElement.open = true;
  window.htmx?.process(fresh);
}

async function show() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("[data-fresh]");
  if (!fresh) return;
  // Once more: they may have begun while the page was on its way.
  if (busy()) { tell(ticket()); return; }
  const kept = reply();
  const focused = document.activeElement;
  // What is shown now has been read: the reply goes out after it.
  const read = fresh.querySelector("#reply-form [name=up_to]"), kept_read = kept?.querySelector("[name=up_to]");
  if (read && kept_read) kept_read.value = read.value;
  if (kept) fresh.querySelector("#reply-form")?.replaceWith(kept);
  for (const part of [".title", ".props"]) {
    const old = document.querySelector(part), now = page.querySelector(part);
    if (old && now) put(old, now);
  }
  put(ticket(), fresh);
  if (kept?.contains(focused)) focused.focus({ preventScroll: true });
  const live = document.getElementById("live");
  if (live) live.textContent = fresh.dataset.changed;
  document.dispatchEvent(new Event("visibilitychange")); // what is on the screen now has been seen
}

async function look() {
  const shown = ticket();
  if (!shown) return;
  let pause = Date.now() - since < SOON_FOR_MS ? SOON_MS : LATER_MS;
  if (document.visibilityState === "visible") {
    try {
      const answer = await fetch(shown.dataset.fresh, { headers: { Accept: "application/json" } });
      if (answer.status === 401 || answer.status === 403 || answer.status === 404) return;
      const { version } = answer.ok ? await answer.json() : {};
      if (version && String(version) !== shown.dataset.version) {
        since = Date.now();
        if (busy()) tell(shown); else await show();
      }
    } catch { pause = LATER_MS; /* away: asked again later, the page says so when somebody saves */ }
  }
  setTimeout(look, pause);
}

setTimeout(look, FIRST_MS);
