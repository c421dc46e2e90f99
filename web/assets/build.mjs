// Writes web/static/dist: each file with its content's hash in its name, and manifest.json saying which is which.
// Started by ./run when a source changed; `node build.mjs FOLDER` writes elsewhere, for comparing two builds.
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const target = resolve(process.argv[2] ?? join(here, "..", "static", "dist"));

const editor = await build({
  entryPoints: [join(here, "editor.js")],
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  write: false,
});

const files = {
  "editor.js": Buffer.from(editor.outputFiles[0].contents),
  "htmx.js": await readFile(join(here, "node_modules", "htmx.org", "dist", "htmx.min.js")),
};

await mkdir(target, { recursive: true });
const manifest = {};
for (const [name, content] of Object.entries(files)) {
  const hash = createHash("sha256").update(content).digest("hex").slice(0, 12);
  manifest[name] = name.replace(/\.js$/, `.${hash}.js`);
  await writeFile(join(target, manifest[name]), content);
}
// Last, so that nobody reads of a file that is not there yet; what the one before named is cleared after it.
await writeFile(join(target, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
const kept = new Set([...Object.values(manifest), "manifest.json", "stamp"]);
for (const name of await readdir(target)) {
  if (!kept.has(name)) await rm(join(target, name), { recursive: true });
}
