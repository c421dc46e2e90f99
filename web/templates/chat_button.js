// Puts a button on the page that opens the chat in a frame. Nothing of the page is read or sent.
(() => {
  const open = document.createElement("button");
  open.type = "button";
  open.textContent = {{ label | tojson }};
  open.setAttribute("aria-expanded", "false");
  Object.assign(open.style, { position: "fixed", right: "16px", bottom: "16px", zIndex: 2147483000, padding: "12px 18px", font: "600 15px system-ui, sans-serif", color: "#fff", background: "#0a6570", border: "0", borderRadius: "24px", cursor: "pointer" });
  let frame = null;
  open.addEventListener("click", () => {
    if (!frame) {
      frame = document.createElement("iframe");
      frame.src = {{ page | tojson }};
      frame.title = {{ label | tojson }};
      Object.assign(frame.style, { position: "fixed", right: "16px", bottom: "72px", zIndex: 2147483000, width: "min(360px, calc(100vw - 32px))", height: "min(520px, calc(100vh - 96px))", border: "1px solid #8884", borderRadius: "12px", boxShadow: "0 8px 32px #0003", background: "#fff" });
      document.body.append(frame);
    } else {
      frame.hidden = !frame.hidden;
      frame.style.display = frame.hidden ? "none" : "";
    }
    const shown = !frame.hidden;
    open.setAttribute("aria-expanded", String(shown));
    open.textContent = shown ? {{ close | tojson }} : {{ label | tojson }};
    if (shown) frame.focus();
  });
  const put = () => document.body.append(open);
  if (document.body) put(); else document.addEventListener("DOMContentLoaded", put);
})();
