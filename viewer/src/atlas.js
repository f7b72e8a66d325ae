// The atlas: many trainings, chosen by dials, on the viewer.
import { start } from "./atlas/page.js";
import { createLibrary } from "./atlas/library.js";

const library = createLibrary();
// The data files call this as they arrive; a page from a file may not fetch them.
Object.assign(window, { lcbAtlas: { add: library.add } });

const chapters = JSON.parse(document.getElementById("lcb-chapters")?.textContent ?? "[]");
const host = document.getElementById("lcb-atlas");
if (host) start(host, chapters, library);
