// Bundles the viewer into the Python package; with --check, says whether that is up to date.
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const target = fileURLToPath(new URL("../keras_lcb/viewer/static/", import.meta.url));

/** @type {import("esbuild").BuildOptions} */
const shared = {
  absWorkingDir: here,
  bundle: true,
  minify: true,
  write: false,
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  banner: {
    js: "/* keras_lcb (Apache-2.0), with uPlot (MIT, Leon Sorokin) and d3-scale-chromatic, d3-interpolate, d3-color (ISC, Mike Bostock) */",
  },
};

const CODES = "/* keras_lcb (Apache-2.0), with uqr (MIT, Anthony Fu, Project Nayuki) */";

/** Pages take a script, notebooks a module; the styles are the same. */
const outputs = await Promise.all([
  build({ ...shared, entryPoints: ["src/report.js"], outfile: "report.js", format: "iife" }),
  build({ ...shared, entryPoints: ["src/widget.js"], outfile: "widget.js", format: "esm" }),
  build({ ...shared, banner: { js: CODES }, entryPoints: ["src/address.js"], outfile: "address.js", format: "esm" }),
  build({ ...shared, entryPoints: ["src/atlas.js"], outfile: "atlas.js", format: "iife" }),
  build({ ...shared, banner: {}, entryPoints: ["src/viewer.css"], outfile: "viewer.css" }),
  build({ ...shared, banner: {}, entryPoints: ["src/atlas.css"], outfile: "atlas.css" }),
]);
const check = process.argv.includes("--check");
let stale = false;
for (const { outputFiles } of outputs) {
  for (const { path, contents } of outputFiles ?? []) {
    const name = path.slice(path.lastIndexOf("/") + 1);
    const current = await readFile(target + name).catch(() => Buffer.alloc(0));
    if (check && !current.equals(contents)) {
      console.error(`keras_lcb/viewer/static/${name} is not what viewer/ makes: npm run build`);
      stale = true;
    }
    if (!check) await writeFile(target + name, contents);
    console.log(`${name}: ${(contents.length / 1000).toFixed(0)} kB`);
  }
}
process.exitCode = stale ? 1 : 0;
