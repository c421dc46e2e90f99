// The placeholder picker: a click puts the placeholder where the caret was. Without scripts the names are there to copy.
let last = null;
document.addEventListener("focusin", (event) => {
  if (event.target.matches("[data-fills]")) last = event.target;
});
for (const one of document.querySelectorAll("[data-insert]")) {
  one.hidden = false;
  one.addEventListener("click", () => {
    const field = last || document.querySelector("textarea[data-fills]");
    if (!field) return;
    field.setRangeText(one.dataset.insert, field.selectionStart, field.selectionEnd, "end");
    field.focus();
  });
}
