// The page of the atlas: chapters, dials, prediction, and the viewer below them.
import { element, say } from "../dom.js";
import { lazily } from "../lazily.js";
import { mount } from "../viewer.js";
import { addressOf, keyOf, readAddress, settingInWords } from "./address.js";
import { showDials } from "./dials.js";
import { images } from "./images.js";
import { ask, tell } from "./prediction.js";

// The address follows once nothing has changed for so many milliseconds, or, while something
// does, after so many at most.
const REST = 300;
const LONGEST = 1000;

/**
 * @typedef {import("./address.js").Chapter} Chapter
 * @typedef {import("./address.js").Setting} Setting
 * @typedef {import("./library.js").Library} Library
 * @typedef {import("./library.js").AtlasForm} AtlasForm
 */

/**
 * @param {HTMLElement} host
 * @param {Chapter[]} chapters
 * @param {Library} library
 */
export function start(host, chapters, library) {
  return new Page(host, chapters, library).turnTo();
}

class Page {
  #chapters;
  #library;
  #parts;
  #place;
  /** What was predicted; "" where nothing was. */
  #answer = "";
  /** @type {ReturnType<typeof mount> | null} */
  #viewer = null;
  #asked = 0;
  /** Writing the address takes longer than drawing, so it waits until the reader rests. */
  #later = lazily(() => this.#remember(), LONGEST);

  /**
   * @param {HTMLElement} host
   * @param {Chapter[]} chapters
   * @param {Library} library
   */
  constructor(host, chapters, library) {
    this.#chapters = chapters;
    this.#library = library;
    this.#place = readAddress(chapters, location.hash);
    this.#parts = frame(host);
    const { pin, large } = this.#parts;
    chapterChoice(this.#parts.chapters, chapters, this.#place.setting.chapter, (chapter) =>
      this.#open(chapter),
    );
    pin.addEventListener("click", () => {
      this.#place.pinned = this.#place.pinned ? null : this.#place.setting;
      this.#show();
    });
    largeType(large, this.#place, () => this.#remember());
  }

  /** Shows the dials of what is chosen, and the training itself. */
  turnTo() {
    const { setting } = this.#place;
    const chapter = this.#chapters.find(({ name }) => name === setting.chapter) ?? this.#chapters[0];
    say(this.#parts.task, chapter.task);
    this.#parts.sample.replaceChildren(...(chapter.sample ? [images(chapter.sample)] : []));
    showDials(this.#parts.dials, chapter.dials, setting.positions, (positions) => {
      this.#place.setting = { chapter: chapter.name, positions };
      this.#answer = "";
      this.#show();
    });
    return this.#show();
  }

  /** @param {Chapter} chapter */
  #open({ name, dials }) {
    this.#answer = "";
    this.#place.setting = { chapter: name, positions: dials.map((dial) => dial.start) };
    this.turnTo();
  }

  /** Draws what is chosen; the newest choice wins where data are still on their way. */
  async #show() {
    this.#asked += 1;
    const asked = this.#asked;
    const { setting, pinned, revealed } = this.#place;
    const wanted = pinned && revealed ? [pinned, setting] : [setting];
    const forms = await Promise.all(wanted.map((each) => formOf(this.#library, each)));
    if (asked !== this.#asked) return;
    this.#draw(
      forms.map((form, i) => ({
        form,
        title: wanted.length > 1 ? this.#title(wanted, i) : "",
        ...(!revealed && { until: 0 }),
      })),
    );
    this.#ask(forms);
    this.#parts.viewer.classList.toggle("lcb-before", !revealed);
    this.#parts.sample.hidden = revealed;
    this.#parts.pin.hidden = !revealed;
    say(this.#parts.pin, pinned ? "Let go of A" : "Keep this one as A");
    this.#later(REST);
  }

  /** @param {Setting[]} wanted @param {number} i */
  #title(wanted, i) {
    return `${"AB"[i]}: ${settingInWords(this.#chapters, wanted[i], wanted[1 - i])}`;
  }

  /** @param {import("../viewer.js").Shown[]} shown */
  #draw(shown) {
    if (this.#viewer) {
      this.#viewer.show(shown);
      return;
    }
    this.#viewer = mount(this.#parts.viewer, shown, this.#place.view);
    this.#viewer.store.subscribe((changed) => {
      if (changed.has("update") || changed.has("layer") || changed.has("quantity")) this.#later(REST);
    });
  }

  /** What was predicted is compared with the last; the others are told beside it. @param {AtlasForm[]} forms */
  #ask(forms) {
    const { answer } = forms[forms.length - 1].outcome;
    const texts = forms.map(({ outcome }, i) => (forms.length > 1 ? `${"AB"[i]}: ${outcome.text}` : outcome.text));
    const { prediction } = this.#parts;
    if (!this.#place.revealed) {
      ask(prediction, async (answer) => {
        this.#answer = answer;
        this.#place.revealed = true;
        await this.#show();
        this.#viewer?.play();
      });
      return;
    }
    tell(prediction, this.#answer, { answer, texts }, () => {
      this.#place = { ...this.#place, revealed: false, pinned: null, view: {} };
      this.#show();
    });
  }

  /** Writes the place into the address. */
  #remember() {
    if (this.#viewer && this.#place.revealed) {
      const { update, layer, quantity } = this.#viewer.store.get();
      this.#place.view = { update, layer, quantity };
    }
    history.replaceState(null, "", addressOf(this.#chapters, this.#place));
  }
}

/**
 * @param {Library} library
 * @param {Setting} setting
 */
async function formOf(library, setting) {
  const form = (await library.chapter(setting.chapter)).get(keyOf(setting));
  if (!form) throw new Error(`The atlas holds no training ${setting.chapter} ${keyOf(setting)}.`);
  return form;
}

/** @param {HTMLElement} host */
function frame(host) {
  const parts = {
    chapters: element("fieldset", { class: "lcb-dial lcb-chapters" }),
    task: element("p"),
    sample: element("div", { class: "lcb-samples" }),
    dials: element("div", { class: "lcb-dials" }),
    prediction: element("section", { class: "lcb-prediction", "aria-label": "Prediction" }),
    pin: element("button", { type: "button", hidden: true }),
    large: element("input", { type: "checkbox" }),
    viewer: element("div"),
  };
  const settings = element("section", { class: "lcb-settings", "aria-label": "Training" }, parts.chapters, parts.task, parts.dials);
  const tools = element("div", { class: "lcb-tools" }, parts.pin, element("label", {}, parts.large, " large type"));
  const side = element("div", { class: "lcb-side" }, settings, tools);
  const stage = element("div", { class: "lcb-stage" }, parts.prediction, parts.sample, parts.viewer);
  host.append(element("div", { class: "lcb-page" }, side, stage));
  return parts;
}

/**
 * @param {HTMLElement} host
 * @param {Chapter[]} chapters
 * @param {string} current
 * @param {(chapter: Chapter) => void} chosen
 */
function chapterChoice(host, chapters, current, chosen) {
  const options = chapters.map((chapter) => {
    const radio = element("input", { type: "radio", name: "lcb-chapter", checked: chapter.name === current });
    radio.addEventListener("change", () => chosen(chapter));
    return element("label", {}, radio, element("span", {}, chapter.title));
  });
  host.replaceChildren(element("legend", {}, "What is learned"), ...options);
}

/**
 * @param {HTMLInputElement} box
 * @param {import("./address.js").Place} place
 * @param {() => void} remember
 */
function largeType(box, place, remember) {
  const apply = () => document.documentElement.classList.toggle("lcb-large", place.large);
  box.checked = place.large;
  box.addEventListener("change", () => {
    place.large = box.checked;
    apply();
    remember();
  });
  apply();
}
