// The script editor: CodeMirror 6 over a <textarea data-editor>, which stays the form field. Its contract with the page
// is in README.md. Without this file, or without scripts, people edit in the textarea.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap, snippetCompletion } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab, toggleTabFocusMode } from "@codemirror/commands";
import { globalCompletion, localCompletionSource, python } from "@codemirror/lang-python";
import { HighlightStyle, bracketMatching, foldGutter, foldKeymap, indentOnInput, indentUnit, syntaxHighlighting, syntaxTree } from "@codemirror/language";
import { lintGutter, lintKeymap, linter } from "@codemirror/lint";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { EditorState, StateEffect, StateField } from "@codemirror/state";
import { EditorView, drawSelection, highlightActiveLine, highlightActiveLineGutter, highlightSpecialChars, hoverTooltip, keymap, lineNumbers, showTooltip } from "@codemirror/view";
import { tags as t } from "@lezer/highlight";

const CHECK_AFTER_MS = 350;
const ANSWER_WITHIN_MS = 10_000;
const SHOWN_PROBLEMS = 100;

// What the editor says; data-words='{"none": "..."}' on the textarea puts other languages in their place.
const WORDS = {
  none: "No problems found.",
  one: "1 problem.",
  many: "{n} problems.",
  line: "Line {line}:",
  unchecked: "Not checked: the server gave no answer. Your text is kept; it is checked again with your next change.",
  busy: "Not checked: too many checks in a short time. It is checked again with your next change.",
  signedOut: "Not checked: you are signed out. Copy your text before you leave this page.",
  uncompleted: "Names are not completed: their list could not be loaded.",
};

// Colours come from the page's tokens. The images are the default theme's, which the page's policy refuses (data:).
const theme = EditorView.theme({
  "&": { color: "var(--ed-fg)", backgroundColor: "var(--ed-bg)", fontSize: "13px", height: "100%" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "20px" },
  ".cm-content": { caretColor: "var(--ed-caret)", padding: "8px 0" },
  ".cm-cursor": { borderLeftColor: "var(--ed-caret)" },
  ".cm-gutters": { backgroundColor: "var(--ed-bg)", color: "var(--ed-dim)", border: "none" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "var(--ed-line)" },
  // Drawn over all of it but tooltips: an outline lies under the gutters, which stay in sight while one scrolls.
  "&.cm-focused": { outline: "none" },
  "&.cm-focused::after": { content: "''", position: "absolute", inset: "0", border: "2px solid var(--focus)", pointerEvents: "none", zIndex: "400" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "var(--ed-sel)" },
  ".cm-selectionMatch, &.cm-focused .cm-matchingBracket": { backgroundColor: "var(--ed-sel)" },
  "&.cm-focused .cm-nonmatchingBracket": { backgroundColor: "transparent", color: "var(--ed-err)" },
  ".cm-searchMatch": { backgroundColor: "var(--warn-soft)", outline: "1px solid var(--warn-line)" },
  ".cm-foldPlaceholder": { backgroundColor: "var(--hover)", border: "1px solid var(--ed-bd)", color: "var(--ed-dim)" },
  ".cm-panels": { backgroundColor: "var(--panel-2)", color: "var(--ed-fg)" },
  ".cm-panels-top": { borderBottom: "1px solid var(--line)" },
  ".cm-panels-bottom": { borderTop: "1px solid var(--line)" },
  ".cm-button": { backgroundImage: "none", backgroundColor: "var(--panel)", border: "1px solid var(--line-2)", borderRadius: "var(--r)", color: "var(--ink)" },
  ".cm-textfield": { backgroundColor: "var(--panel)", border: "1px solid var(--field)", borderRadius: "var(--r)", color: "var(--ink)" },
  ".cm-tooltip": { backgroundColor: "var(--ed-pop)", color: "var(--ed-fg)", border: "1px solid var(--ed-bd)", borderRadius: "var(--r)", boxShadow: "var(--pop)" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--ed-sel)", color: "var(--ed-fg)" },
  ".cm-completionDetail": { color: "var(--ed-dim)", fontStyle: "normal", marginLeft: "1em" },
  ".cm-completionInfo": { maxWidth: "320px", fontFamily: "var(--sans)" },
  ".ed-hover": { padding: "6px 10px", maxWidth: "420px", fontFamily: "var(--sans)" },
  ".ed-hover code": { fontFamily: "var(--mono)", fontSize: "12px" },
  ".ed-hover p": { margin: "2px 0 0", color: "var(--ed-dim)" },
  ".cm-diagnostic": { fontFamily: "var(--sans)", borderLeftWidth: "3px", maxWidth: "520px" },
  ".cm-diagnostic-error": { borderLeftColor: "var(--bad)" },
  ".cm-diagnostic-warning": { borderLeftColor: "var(--warn)" },
  ".cm-lintRange": { backgroundImage: "none", textDecoration: "underline wavy var(--warn)", textDecorationSkipInk: "none", textUnderlineOffset: "3px" },
  ".cm-lintRange-error": { backgroundImage: "none", textDecorationColor: "var(--bad)" },
  ".cm-lintRange-warning": { backgroundImage: "none", textDecorationColor: "var(--warn)" },
  ".cm-lintRange-active": { backgroundColor: "var(--warn-soft)" },
  ".cm-lint-marker": { width: "10px", height: "10px", margin: "5px 2px" },
  ".cm-lint-marker-error": { content: "none", backgroundColor: "var(--bad)", borderRadius: "50%" },
  ".cm-lint-marker-warning": { content: "none", backgroundColor: "var(--warn)", clipPath: "polygon(50% 0, 100% 100%, 0 100%)" },
});

const colours = HighlightStyle.define([
  { tag: [t.keyword, t.controlKeyword, t.operatorKeyword], color: "var(--ed-kw)" },
  { tag: [t.string, t.special(t.string)], color: "var(--ed-str)" },
  { tag: [t.number, t.bool, t.null], color: "var(--ed-num)" },
  { tag: [t.function(t.variableName), t.function(t.propertyName)], color: "var(--ed-fn)" },
  { tag: [t.comment], color: "var(--ed-dim)", fontStyle: "italic" },
  { tag: [t.propertyName], color: "var(--ed-prop)" },
  { tag: [t.invalid], color: "var(--ed-err)" },
]);

// Typing over a selection. Left to the browser, Chromium writes the replaced text's look into a style attribute, which the
// page's policy refuses with a line on the console; so the editor replaces the text itself, by the way it does all typing.
const replaceSelection = EditorView.domEventHandlers({
  beforeinput(event, view) {
    const { main } = view.state.selection;
    if (event.inputType !== "insertText" || !event.data || main.empty || view.composing || view.state.readOnly) return false;
    const insert = () => view.state.update(view.state.replaceSelection(event.data), { userEvent: "input.type", scrollIntoView: true });
    const handlers = view.state.facet(EditorView.inputHandler);
    if (!handlers.some((handle) => handle(view, main.from, main.to, event.data, insert))) view.dispatch(insert());
    event.preventDefault();
    return true;
  },
});

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content ?? "";

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const own = (table, name) => (table && Object.hasOwn(table, name) ? table[name] : undefined);

// The members of something in api.json, its own or its type's; and what a dotted path leads to.
const membersOf = (api, member) => member && (member.members ?? own(api.types, member.type)?.members);
const reached = (api, path) => path.slice(1).reduce((at, name) => own(membersOf(api, at), name), own(api.globals, path[0]));
const isCode = (state, pos) => !["Comment", "String", "FormatString"].includes(syntaxTree(state).resolveInner(pos, 1).name);

// What a name is, under the mouse: its signature and its sentence, from the same list as completion.
function hover(api, view, pos) {
  if (!isCode(view.state, pos)) return null;
  const line = view.state.doc.lineAt(pos);
  for (const found of line.text.matchAll(/[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*/g)) {
    const from = line.from + found.index;
    if (pos < from || pos > from + found[0].length) continue;
    // Up to the end of the word under the mouse: over `ticket` of `ticket.add_tags` it is the ticket.
    const rest = found[0].slice(pos - from).match(/^\w*/)[0].length;
    const path = found[0].slice(0, pos - from + rest);
    const member = reached(api, path.split("."));
    if (!member || (!member.doc && !member.sig)) return null;
    const start = from + path.length - path.split(".").at(-1).length;
    const dom = element("div", { class: "ed-hover" }, element("code", {}, path.split(".").at(-1) + (member.sig ?? "")), element("p", {}, member.doc ?? ""));
    return { pos: start, end: from + path.length, create: () => ({ dom }) };
  }
  return null;
}

// The same for the name at the cursor, for those without a mouse. It goes away with the next key that moves or types.
const explain = StateEffect.define();
const explained = StateField.define({
  create: () => null,
  update(shown, transaction) {
    for (const effect of transaction.effects) if (effect.is(explain)) return effect.value;
    return transaction.docChanged || transaction.selection ? null : shown;
  },
  provide: (field) => showTooltip.from(field),
});
const explainAt = (api) => (view) => {
  const found = hover(api, view, view.state.selection.main.head);
  view.dispatch({ effects: explain.of(found && { pos: found.pos, create: () => ({ dom: element("div", { role: "status" }, found.create().dom) }) }) });
  return true;
};
const closeExplained = (view) => {
  if (!view.state.field(explained)) return false;
  view.dispatch({ effects: explain.of(null) });
  return true;
};

// Names and members from api.json, a walk along the types of what stands before the dot.
function completions(api) {
  const option = (name, member) => {
    const kind = { method: "method", object: "variable" }[member.kind] ?? "property";
    const one = { label: name, type: kind, detail: member.sig ?? member.type ?? "", info: member.doc || undefined, boost: 2 };
    return member.snippet ? snippetCompletion(member.snippet, one) : one;
  };
  const members = (member) => membersOf(api, member);
  const reach = (path) => reached(api, path);
  const options = (table) => Object.entries(table).map(([name, member]) => option(name, member));

  return (context) => {
    const inside = syntaxTree(context.state).resolveInner(context.pos, -1).name;
    if (inside === "Comment" || inside === "String" || inside === "FormatString") return null;
    const dotted = context.matchBefore(/[A-Za-z_][\w.]*\.\w*$/);
    if (dotted) {
      const path = dotted.text.split(".");
      const last = path.pop();
      const table = members(reach(path));
      return table ? { from: context.pos - last.length, options: options(table), validFor: /^\w*$/ } : null;
    }
    const word = context.matchBefore(/\w+$/);
    if ((!word && !context.explicit) || context.matchBefore(/\.\s*\w*$/)) return null;
    return { from: word ? word.from : context.pos, options: options(api.globals ?? {}), validFor: /^\w*$/ };
  };
}

// What stands alone is nothing's member.
const unlessDotted = (source) => (context) => (context.matchBefore(/\.\s*\w*$/) ? null : source(context));

// Python's own statements (`for ... in ...:`). Not its names: those that scripts have stand in api.json, and it has more.
const statements = unlessDotted((context) => {
  const all = globalCompletion(context);
  return all && { ...all, options: all.options.filter((one) => one.apply) };
});

// A place in the document. Columns are counted in characters as Python counts them; the editor counts UTF-16 units.
function position(doc, line, column) {
  const at = doc.line(Math.min(Math.max(line, 1), doc.lines));
  let units = 0;
  for (const character of at.text) {
    if (column-- <= 0) break;
    units += character.length;
  }
  return at.from + units;
}

function diagnostic(doc, problem) {
  const from = position(doc, problem.line, problem.column ?? 0);
  const end = problem.end_line ? position(doc, problem.end_line, problem.end_column ?? 0) : from;
  return {
    from,
    to: Math.max(from, end),
    severity: problem.severity === "error" ? "error" : "warning",
    source: problem.code,
    message: problem.hint ? `${problem.message} ${problem.hint}` : problem.message,
    renderMessage: () => element("span", {}, problem.message, ...(problem.hint ? [element("br"), problem.hint] : [])),
  };
}

class Editor {
  constructor(textarea) {
    this.textarea = textarea;
    this.words = { ...WORDS, ...JSON.parse(textarea.dataset.words || "{}") };
    this.api = { globals: {}, types: {} };
    this.status = element("p", { class: "ed-status", role: "status" });
    this.host = element("div", { class: "editor-host" });
    this.list = document.getElementById(textarea.dataset.problems ?? "");
    textarea.after(this.host, this.status);
    this.view = new EditorView({ parent: this.host, state: EditorState.create({ doc: textarea.value, extensions: this.extensions() }) });
    textarea.hidden = true;
    // A hidden field that must not be empty would stop the form without a word; the server says it instead.
    textarea.required = false;
    for (const label of textarea.labels ?? []) label.addEventListener("click", () => this.view.focus());
    this.load();
  }

  extensions() {
    const { textarea } = this;
    const label = textarea.getAttribute("aria-label") ?? textarea.labels?.[0]?.textContent.trim() ?? "Script";
    const attributes = { "aria-label": label, tabindex: "0" };
    const description = textarea.getAttribute("aria-describedby");
    if (description) attributes["aria-describedby"] = description;
    const press = (id) => () => {
      const button = document.getElementById(id ?? "");
      if (button) button.click();
      return Boolean(button);
    };
    return [
      EditorView.cspNonce.of(meta("csp-nonce")),
      EditorState.readOnly.of(textarea.readOnly || textarea.disabled),
      EditorState.allowMultipleSelections.of(true),
      lineNumbers(),
      foldGutter(),
      highlightSpecialChars(),
      history(),
      drawSelection(),
      indentUnit.of("    "),
      indentOnInput(),
      bracketMatching(),
      closeBrackets(),
      replaceSelection,
      highlightActiveLine(),
      highlightActiveLineGutter(),
      highlightSelectionMatches(),
      search({ top: true }),
      python(),
      syntaxHighlighting(colours),
      theme,
      autocompletion({ override: [(context) => completions(this.api)(context), unlessDotted(localCompletionSource), statements] }),
      hoverTooltip((view, pos) => hover(this.api, view, pos)),
      explained,
      textarea.dataset.check ? [lintGutter(), linter((view) => this.check(view), { delay: CHECK_AFTER_MS })] : [],
      EditorView.contentAttributes.of(attributes),
      EditorView.updateListener.of((update) => {
        if (!update.docChanged) return;
        textarea.value = update.state.doc.toString();
        textarea.dispatchEvent(new Event("input", { bubbles: true }));
      }),
      keymap.of([
        { key: "Mod-s", preventDefault: true, run: () => (textarea.form?.requestSubmit(document.getElementById(textarea.dataset.save ?? "")), true) },
        { key: "Mod-Enter", preventDefault: true, run: press(textarea.dataset.try) },
        { key: "Ctrl-m", run: toggleTabFocusMode },
        { key: "Ctrl-Shift-Space", preventDefault: true, run: (view) => explainAt(this.api)(view) },
        { key: "Escape", run: closeExplained },
        ...closeBracketsKeymap,
        ...defaultKeymap,
        ...searchKeymap,
        ...historyKeymap,
        ...foldKeymap,
        ...completionKeymap,
        ...lintKeymap,
        indentWithTab,
      ]),
    ];
  }

  async load() {
    const { api } = this.textarea.dataset;
    if (!api) return;
    try {
      const answer = await fetch(api, { credentials: "same-origin", signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      this.api = await answer.json();
    } catch {
      this.say(this.words.uncompleted);
    }
  }

  // The server's view of the text. An answer that did not come is said; it is never "no problems".
  async check(view) {
    const { doc } = view.state;
    let answer;
    try {
      answer = await fetch(this.textarea.dataset.check, {
        method: "POST",
        credentials: "same-origin",
        headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRF-Token": meta("csrf-token") },
        body: JSON.stringify({ source: doc.toString() }),
        signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
        redirect: "manual", // a redirect leads to the sign-in page
      });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const { problems } = await answer.json();
      // Somebody typed on meanwhile: these places are no longer right, and the next check is on its way.
      if (view.state.doc !== doc) return [];
      this.show(problems);
      return problems.map((problem) => diagnostic(doc, problem));
    } catch {
      const status = answer?.type === "opaqueredirect" ? 401 : answer?.status;
      this.say(status === 429 ? this.words.busy : status === 401 || status === 403 ? this.words.signedOut : this.words.unchecked);
      this.list?.replaceChildren();
      return [];
    }
  }

  show(problems) {
    const n = problems.length;
    this.say(n === 0 ? this.words.none : n === 1 ? this.words.one : fill(this.words.many, { n }));
    this.list?.replaceChildren(...problems.slice(0, SHOWN_PROBLEMS).map((problem) => this.button(problem)));
  }

  button(problem) {
    const error = problem.severity === "error";
    const button = element("button", { type: "button", class: error ? "e" : "w" });
    const { icons } = this.textarea.dataset;
    if (icons) {
      const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      svg.setAttribute("class", "i s");
      svg.setAttribute("aria-hidden", "true");
      const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
      use.setAttribute("href", `${icons}#${error ? "circle-alert" : "triangle-alert"}`);
      svg.append(use);
      button.append(svg);
    }
    const text = [fill(this.words.line, problem), problem.message, problem.hint].filter(Boolean).join(" ");
    button.append(element("span", {}, text));
    button.addEventListener("click", () => this.go(problem.line, problem.column ?? 0));
    return button;
  }

  go(line, column) {
    const at = position(this.view.state.doc, line, column);
    this.view.dispatch({ selection: { anchor: at }, effects: EditorView.scrollIntoView(at, { y: "center" }) });
    this.view.focus();
  }

  say(text) {
    this.status.textContent = text;
  }
}

const editors = new Map();

function mount(within) {
  // Without its nonce the editor would stand there without a style; the textarea is better than that.
  if (!meta("csp-nonce")) return;
  for (const textarea of within.querySelectorAll("textarea[data-editor]")) {
    if (!editors.has(textarea)) editors.set(textarea, new Editor(textarea));
  }
  for (const textarea of editors.keys()) {
    if (textarea.isConnected) continue;
    editors.get(textarea).view.destroy();
    editors.delete(textarea);
  }
}

mount(document);
document.addEventListener("htmx:load", (event) => mount(event.target));
// Anything on the page with data-editor-line leads to that line, e.g. a step of a run.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("[data-editor-line]");
  const [editor] = editors.values();
  if (!link || !editor) return;
  event.preventDefault();
  editor.go(Number(link.dataset.editorLine), 0);
});
performance.mark("editor-ready");
