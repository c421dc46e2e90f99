// The rule table's editor: keys, popover, undo. Every edit is one of the page's own forms, sent in the background;
// the server answers with the grid. What works without this file goes on working beside it.

const editor = document.getElementById("editor");
const gridBox = document.getElementById("grid");
const pop = document.getElementById("pop");
const ask = document.getElementById("ask");
const dock = document.getElementById("dock");
const saved = document.getElementById("saved");
const live = document.getElementById("live");

const state = {
  seen: Number(editor.dataset.count),
  document: editor.dataset.document,
  undo: [],
  redo: [],
  opener: null, // what to give the focus back to: a cell's row and column, or an element
  hits: null,
  busy: Promise.resolve(),
};

const cellAt = (row, column) => gridBox.querySelector(`td[data-row="${CSS.escape(row)}"][data-column="${CSS.escape(column)}"]`);
const cells = () => [...gridBox.querySelectorAll("tbody tr")].map((tr) => [...tr.querySelectorAll("td[data-column]")]).filter((row) => row.length);
const say = (text) => { live.textContent = ""; live.textContent = text; };

// Columns go on under the tickets' one: it throws a shadow then.
const further = () => gridBox.classList.toggle("further", gridBox.scrollWidth - gridBox.clientWidth - gridBox.scrollLeft > 1);
gridBox.addEventListener("scroll", further, { passive: true });
new ResizeObserver(further).observe(gridBox);

// Focus: one cell of the grid is in the tab order, so that Tab leaves the table.
function rove(cell) {
  gridBox.querySelector('td[tabindex="0"]')?.setAttribute("tabindex", "-1");
  gridBox.querySelector("tr.sel")?.classList.remove("sel");
  if (!cell) return;
  cell.tabIndex = 0;
  cell.parentElement.classList.add("sel");
}
function settle() {
  if (!gridBox.querySelector('td[tabindex="0"]')) { const first = gridBox.querySelector("td[data-column]"); if (first) first.tabIndex = 0; }
  paintHits();
}
function nth(y, x) {
  const all = cells();
  const row = all[Math.max(0, Math.min(y, all.length - 1))];
  const offset = row && row.length < all[0].length ? all[0].length - row.length : 0; // the last row has no left side
  return row?.[Math.max(0, Math.min(x - offset, row.length - 1))];
}
// Where one is in the grid, or beside it: the grid that an edit brings has other elements.
function held() {
  const active = document.activeElement;
  let line = gridBox.contains(active) ? active.closest("tr.note") : null;
  while (line?.matches(".note")) line = line.previousElementSibling;
  const cell = line?.querySelector("td[data-column]") || gridBox.querySelector('td[tabindex="0"]');
  const [y, x] = cell ? where(cell) : [0, 0];
  return { row: cell?.dataset.row ?? "", column: cell?.dataset.column ?? "", y, x, focused: gridBox.contains(active) };
}
const stays = (element) => element !== document.body && element.isConnected && !gridBox.contains(element) && !element.disabled;
function go(y, x) {
  const cell = nth(y, x);
  if (cell) { rove(cell); cell.focus(); cell.scrollIntoView({ block: "nearest", inline: "nearest" }); }
}
function where(cell) {
  const all = cells();
  for (let y = 0; y < all.length; y++) {
    const x = all[y].indexOf(cell);
    if (x >= 0) return [y, x + (all[0].length - all[y].length)];
  }
  return [0, 0];
}

// Sending an edit.
function post(fields) {
  const data = new FormData();
  for (const [key, value] of Object.entries(fields)) data.append(key, value);
  return send(data);
}
function send(data, { keep = true } = {}) {
  const job = state.busy.then(() => transmit(data, keep));
  state.busy = job.catch(() => {});
  return job;
}
async function transmit(data, keep) {
  data.set("seen", String(state.seen));
  data.set("csrf_token", editor.dataset.csrf);
  if (!data.has("page")) data.set("page", editor.dataset.page);
  saved.textContent = saved.dataset.saving;
  gridBox.classList.add("busy");
  let answer, body;
  try {
    answer = await fetch(editor.dataset.edit, { method: "POST", body: data, headers: { "X-Part": "1", Accept: "application/json" } });
    body = await answer.json();
  } catch {
    saved.textContent = saved.dataset.failed;
    notice(editor.dataset.away);
    return false;
  } finally {
    gridBox.classList.remove("busy");
  }
  if (answer.status === 409 && body.html) {
    saved.textContent = saved.dataset.failed;
    // What can be undone from here on is one's own change on top of theirs, never theirs.
    state.document = JSON.stringify(body.document);
    state.undo.length = state.redo.length = 0;
    question(body.html);
    return false;
  }
  if (!answer.ok) {
    saved.textContent = saved.dataset.failed;
    const text = body.error ? `${body.error} ${body.detail || ""}` : editor.dataset.unsaved;
    if (pop.matches(":popover-open")) complain(text); else notice(text);
    return false;
  }
  const now = JSON.stringify(body.document);
  if (keep && now !== state.document) { state.undo.push(state.document); state.redo.length = 0; if (state.undo.length > 200) state.undo.shift(); }
  state.document = now;
  state.seen = body.seen;
  const place = held();
  gridBox.innerHTML = body.grid;
  further();
  document.getElementById("state").innerHTML = body.head;
  document.getElementById("facts").innerHTML = body.facts;
  document.getElementById("notices").hidden = true;
  for (const one of document.querySelectorAll("#discard input[name=seen], #delete input[name=seen]")) one.value = String(state.seen);
  for (const form of gridBox.querySelectorAll("input[name=seen]")) form.value = String(state.seen);
  saved.textContent = `${saved.dataset.done} `;
  saved.insertAdjacentHTML("beforeend", body.saved); // in the time zone of the person, which need not be the browser's
  buttons();
  const back = body.row && body.column ? cellAt(body.row, body.column) : body.row ? cellAt(body.row, place.column) || gridBox.querySelector(`td[data-row="${CSS.escape(body.row)}"]`) : body.column ? gridBox.querySelector(`td[data-column="${CSS.escape(body.column)}"]`) : null;
  settle();
  const cell = back || cellAt(place.row, place.column) || nth(place.y, place.x);
  // A deleted row's or column's neighbour takes its place; a button that stays keeps the focus.
  if (cell) { rove(cell); if (!pop.matches(":popover-open") && !ask.open && (place.focused || back) && !stays(document.activeElement)) cell.focus({ preventScroll: !back }); }
  gridBox.classList.add("stale-hits");
  preview();
  document.body.dispatchEvent(new CustomEvent("edited"));
  return true;
}
function notice(text) {
  const place = document.getElementById("notices");
  const box = document.createElement("div");
  box.className = "notice bad";
  box.setAttribute("role", "alert");
  box.textContent = text;
  place.replaceChildren(box);
  place.hidden = false;
  place.classList.add("stays");
}
function complain(text) {
  let box = pop.querySelector(".complaint");
  if (!box) { box = document.createElement("div"); box.className = "notice bad in-sheet complaint"; box.setAttribute("role", "alert"); pop.querySelector("form").prepend(box); }
  box.textContent = text;
}
function question(html) {
  close(false);
  ask.innerHTML = html;
  ask.showModal();
}

// Undo and redo: the whole document, as it was.
async function travel(from, to) {
  const target = state[from].pop();
  if (target === undefined) return;
  const here = state.document;
  const data = new FormData();
  data.append("do", "document");
  data.append("document", target);
  const cell = gridBox.querySelector('td[tabindex="0"]');
  if (cell) { data.append("row", cell.dataset.row); data.append("column", cell.dataset.column); }
  if (await send(data, { keep: false })) state[to].push(here); else state[from].push(target);
  buttons();
}
function buttons() {
  document.querySelector('[data-do="undo"]').disabled = !state.undo.length;
  document.querySelector('[data-do="redo"]').disabled = !state.redo.length;
}

// The popover: the form that the link leads to, beside the thing that was clicked.
async function open(link, opener) {
  let answer;
  try { answer = await fetch(link.href, { headers: { "X-Part": "1" } }); } catch { answer = null; }
  if (!answer?.ok) { location.assign(link.href); return; }
  pop.innerHTML = await answer.text();
  state.opener = opener;
  pop.classList.toggle("wide", Boolean(pop.querySelector(".settings")));
  pop.setAttribute("aria-label", pop.querySelector("[data-label]")?.dataset.label || "");
  window.htmx?.process(pop);
  prepare(pop);
  gridBox.querySelector("td.cur")?.classList.remove("cur");
  if (opener.row) opener.element.classList.add("cur");
  pop.showPopover();
  const at = (opener.element || link).getBoundingClientRect();
  pop.style.left = `${Math.max(8, Math.min(at.left, innerWidth - pop.offsetWidth - 8))}px`;
  const below = at.bottom + 4;
  pop.style.top = `${below + pop.offsetHeight > innerHeight - 8 ? Math.max(8, Math.min(below, innerHeight - pop.offsetHeight - 8)) : below}px`;
  // A cell begins with its value: that is what somebody types who pressed Enter on it.
  const value = [...pop.querySelectorAll(".cellform .pb :is(textarea, input:not([type=hidden]))")].find((one) => one.checkVisibility());
  (pop.querySelector("[data-finder]:not([hidden])") || value || pop.querySelector("textarea, input:not([type=hidden]):not([hidden]), select, button, a"))?.focus();
}
function close(refocus = true) {
  if (!pop.matches(":popover-open")) return;
  pop.hidePopover();
  gridBox.querySelector("td.cur")?.classList.remove("cur");
  if (refocus) focusOpener();
}
function focusOpener() {
  const opener = state.opener;
  const target = opener?.row ? cellAt(opener.row, opener.column) : opener?.element?.isConnected ? opener.element : document.querySelector(opener?.selector || "#none");
  state.opener = null;
  (target || gridBox.querySelector('td[tabindex="0"]'))?.focus();
}
function prepare(box) {
  const finder = box.querySelector("[data-finder]");
  // A finder is of use over one long list; a cell with several fields begins with its first field.
  if (finder) finder.hidden = box.querySelectorAll("[data-find] li").length < 2 || Boolean(box.querySelector(".pb textarea, .pb input[type=text]"));
  operand(box);
  for (const trig of box.querySelectorAll("[data-trigger]")) params(trig);
}
// Which fields the operator needs: between takes two values, "is empty" none.
function operand(box) {
  const select = box.querySelector("[data-op]");
  const pair = box.querySelector("[data-pair]");
  if (select && pair) pair.classList.toggle("on", select.value === "between");
}
function params(trig) {
  const on = trig.querySelector("select").value;
  for (const one of trig.querySelectorAll("[data-for]")) one.classList.toggle("on", one.dataset.for === on);
}

// The dock.
let timer = 0, asked = 0;
function preview() {
  clearTimeout(timer);
  dock.querySelector(".dock")?.classList.add("loading");
  timer = setTimeout(async () => {
    const mine = ++asked;
    try {
      const answer = await fetch(editor.dataset.preview, { headers: { "X-Part": "1" } });
      if (!answer.ok || mine !== asked) return;
      dock.innerHTML = await answer.text();
    } catch { return; }
    const box = dock.querySelector("[data-hits]");
    state.hits = box ? JSON.parse(box.dataset.hits) : null;
    gridBox.classList.remove("stale-hits");
    paintHits();
    if (box && dock.dataset.said) say(box.dataset.say);
    dock.dataset.said = "1";
  }, 350);
}
function paintHits() {
  if (!state.hits) return;
  const most = Math.max(1, ...Object.values(state.hits).map(([draft]) => draft));
  for (const td of gridBox.querySelectorAll("[data-hits]")) {
    const [draft, before] = state.hits[td.dataset.hits] || [0, 0];
    td.classList.add("counted");
    td.querySelector("rect").setAttribute("width", String((52 * draft) / most));
    td.querySelector(".v").textContent = String(draft);
    const delta = td.querySelector(".v").nextElementSibling;
    delta.className = draft > before ? "up" : draft < before ? "down" : "same";
    delta.textContent = draft === before ? "" : draft > before ? `+${draft - before}` : `−${before - draft}`;
  }
}

// Events.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-pop], a[data-cell]");
  if (link && editor.contains(link) && !event.ctrlKey && !event.metaKey && event.button === 0) {
    event.preventDefault();
    close(false);
    const cell = link.closest("td[data-column]");
    if (cell) { rove(cell); cell.focus(); open(link, { row: cell.dataset.row, column: cell.dataset.column, element: cell }); }
    else open(link, { element: link, selector: link.dataset.head ? `[data-head="${CSS.escape(link.dataset.head)}"]` : link.classList.contains("addcol") ? `${link.closest(".addrow") ? ".addrow" : ".band"} a.addcol[href="${link.getAttribute("href")}"]` : "#facts a" });
    return;
  }
  if (event.target.closest("[data-dismiss]")) { if (ask.open) { ask.close(); focusOpener(); } else close(); return; }
  if (pop.matches(":popover-open") && !pop.contains(event.target)) close(false);
  const doing = event.target.closest("[data-do]")?.dataset.do;
  if (doing === "undo") travel("undo", "redo");
  if (doing === "redo") travel("redo", "undo");
});
document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-edit-form]");
  if (!form) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const data = new FormData(form, event.submitter);
  const inside = pop.contains(form) || ask.contains(form);
  // What the grid showed counts, not what the popover fetched: somebody may have saved in between.
  if (pop.contains(form) && data.has("was") && state.opener?.element?.dataset.was) data.set("was", state.opener.element.dataset.was);
  // A question shows the draft as it is now, which is newer than what this page was opened with.
  if (ask.contains(form)) state.seen = Number(data.get("seen"));
  if (await send(data)) { if (inside) { if (ask.open) { ask.close(); focusOpener(); } close(); } }
}, true);
pop.addEventListener("change", (event) => {
  if (event.target.matches("[data-op]")) operand(pop);
  const trig = event.target.closest("[data-trigger]");
  if (trig && event.target.matches(".trig > select")) params(trig);
});
pop.addEventListener("input", (event) => {
  if (!event.target.matches("[data-finder]")) return;
  const wanted = event.target.value.trim().toLocaleLowerCase();
  for (const li of pop.querySelectorAll("[data-find] li")) li.hidden = !li.textContent.toLocaleLowerCase().includes(wanted);
  for (const set of pop.querySelectorAll("fieldset[data-find]")) set.hidden = !set.querySelector("li:not([hidden])");
});
pop.addEventListener("keydown", (event) => {
  if (event.key === "Escape") { event.preventDefault(); event.stopPropagation(); close(); return; }
  // Enter in the finder ticks the first value that is left; in a menu it takes it.
  if (event.key === "Enter" && event.target.matches("[data-finder]")) {
    event.preventDefault();
    const first = pop.querySelector("[data-find] li:not([hidden]) :is(input, button)");
    if (!event.target.value) pop.querySelector("[data-default]")?.click();
    else if (first) { first.click(); event.target.value = ""; event.target.dispatchEvent(new Event("input", { bubbles: true })); }
    return;
  }
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const stops = [...pop.querySelectorAll("[data-finder], .ticks input, .item")].filter((one) => !one.closest("[hidden]") && one.offsetParent);
    const at = stops.indexOf(event.target);
    if (at < 0 || (event.target.type === "radio" && event.target.name)) return;
    event.preventDefault();
    stops[Math.max(0, Math.min(stops.length - 1, at + (event.key === "ArrowDown" ? 1 : -1)))].focus();
  }
  if (event.key === "Enter" && event.target.matches("input[type=checkbox], input[type=radio]")) { event.preventDefault(); pop.querySelector("[data-default]")?.click(); }
});
ask.addEventListener("cancel", () => setTimeout(focusOpener));
gridBox.addEventListener("focusin", (event) => { const cell = event.target.closest("td[data-column]"); if (cell) rove(cell); });

gridBox.addEventListener("keydown", (event) => {
  const cell = event.target.closest("td[data-column]");
  if (!cell || event.target !== cell) return;
  const { row, column } = cell.dataset;
  const [y, x] = where(cell);
  const ctrl = event.ctrlKey || event.metaKey;
  const body = row !== "otherwise";
  let done = true;
  if (event.altKey && !ctrl && event.key === "ArrowUp" && body) post({ do: "move_row", row, column, by: "-1" });
  else if (event.altKey && !ctrl && event.key === "ArrowDown" && body) post({ do: "move_row", row, column, by: "1" });
  else if (event.altKey && !ctrl && event.key === "ArrowLeft") post({ do: "move_column", row, column, by: "-1" });
  else if (event.altKey && !ctrl && event.key === "ArrowRight") post({ do: "move_column", row, column, by: "1" });
  else if (event.altKey) done = false;
  else if (ctrl && event.key.toLowerCase() === "d" && body) post({ do: "duplicate_row", row, column });
  else if (ctrl && event.key.toLowerCase() === "c") copy(cell);
  else if (ctrl) done = false;
  else if (event.key === "ArrowRight") go(y, x + 1);
  else if (event.key === "ArrowLeft") go(y, x - 1);
  else if (event.key === "ArrowDown") go(y + 1, x);
  else if (event.key === "ArrowUp") go(y - 1, x);
  else if (event.key === "Home") go(y, 0);
  else if (event.key === "End") go(y, 999);
  else if (event.key === "Enter" || event.key === "F2") open(cell.querySelector("a"), { row, column, element: cell });
  else if (event.key.toLowerCase() === "g" && body) location.assign(`${editor.dataset.base}/rows/${encodeURIComponent(row)}/groups`);
  else if (event.key.toLowerCase() === "m" && body) { const menu = cell.parentElement.querySelector("td.rn a"); open(menu, { row, column, element: cell }); }
  else if (event.key === "Delete" || event.key === "Backspace") post({ do: "cell", row, column, clear: "1" });
  else done = false;
  if (done) { event.preventDefault(); event.stopPropagation(); }
});
document.addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.target.closest("input, textarea, select, dialog, .pop")) return;
  const key = event.key.toLowerCase();
  if (key === "z" && !event.shiftKey) { event.preventDefault(); travel("undo", "redo"); }
  else if (key === "y" || (key === "z" && event.shiftKey)) { event.preventDefault(); travel("redo", "undo"); }
  else if (key === "s") { event.preventDefault(); say(saved.textContent); }
});

// The clipboard: a cell's words out, a block of cells in, shown before it is saved.
function copy(cell) {
  navigator.clipboard?.writeText(cell.querySelector(".any") ? "" : cell.innerText.trim()).catch(() => {});
}
document.addEventListener("paste", async (event) => {
  const cell = event.target.closest?.("td[data-column]");
  const text = event.clipboardData?.getData("text/plain");
  if (!cell || !text) return;
  event.preventDefault();
  const data = new FormData();
  const values = { text, row: cell.dataset.row, column: cell.dataset.column, csrf_token: editor.dataset.csrf };
  for (const [key, value] of Object.entries(values)) data.append(key, value);
  state.opener = { row: cell.dataset.row, column: cell.dataset.column };
  try {
    const answer = await fetch(editor.dataset.paste, { method: "POST", body: data, headers: { "X-Part": "1" } });
    if (answer.ok) question(await answer.text());
    else { const { error, detail } = await answer.json(); notice([error, detail, editor.dataset.pastedNothing].filter(Boolean).join(" ")); }
  } catch {
    notice(editor.dataset.unpasted);
  }
});

settle();
preview();
