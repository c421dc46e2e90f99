// The script page beside its editor: what is typed is what is tried, and a result that is older than the text says so.

const source = document.querySelector("textarea[data-editor]");
const form = document.getElementById("try-form");
const copy = form.elements.source;
const tried = document.getElementById("tried");
const stale = document.getElementById("stale");

source.addEventListener("input", () => { if (tried.childElementCount) stale.hidden = false; });

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  event.stopImmediatePropagation();
  copy.value = source.value;
  const before = source.value;
  tried.classList.add("busy");
  const button = document.getElementById("try");
  button.disabled = true;
  try {
    const answer = await fetch(form.action, { method: "POST", body: new FormData(form), headers: { "X-Part": "1" } });
    const text = await answer.text();
    if (answer.ok) tried.innerHTML = text;
    else say(answer.status === 429 ? "Too many tries in a minute. Nothing was run; wait a moment." : "That did not work. Nothing was run.");
    stale.hidden = source.value === before;
  } catch {
    say("Deskhand cannot be reached. Nothing was run.");
  } finally {
    tried.classList.remove("busy");
    button.disabled = false;
  }
}, true);

function say(text) {
  const box = document.createElement("div");
  box.className = "notice bad";
  box.setAttribute("role", "alert");
  box.textContent = text;
  tried.replaceChildren(box);
}
