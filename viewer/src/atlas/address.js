// Where the reader is, in the address: a reload, or a link, gives the same picture.

/**
 * @typedef {object} Dial
 * @property {string} name
 * @property {string} label
 * @property {string[]} texts
 * @property {number} start
 * @property {"slider" | "choice"} kind
 *
 * @typedef {object} Chapter
 * @property {string} name
 * @property {string} title
 * @property {string} task
 * @property {{size: number, count: number, data: string} | null} sample
 * @property {Dial[]} dials
 *
 * @typedef {object} Setting What is chosen: a chapter, and where its dials stand.
 * @property {string} chapter
 * @property {number[]} positions
 *
 * @typedef {object} Place
 * @property {Setting} setting
 * @property {Setting | null} pinned
 * @property {boolean} revealed
 * @property {boolean} large
 * @property {{update?: number, layer?: string, quantity?: string}} view
 */

/**
 * @param {Chapter[]} chapters
 * @param {string} hash
 * @returns {Place}
 */
export function readAddress(chapters, hash) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const pinned = given.get("a");
  const update = given.get("update");
  return {
    setting: settingFrom(chapters, given),
    pinned: pinned === null ? null : settingFrom(chapters, new URLSearchParams(pinned)),
    revealed: given.has("seen"),
    large: given.has("large"),
    view: {
      ...(update !== null && Number.isFinite(Number(update)) && { update: Number(update) }),
      ...(given.has("layer") && { layer: given.get("layer") ?? "" }),
      ...(given.has("quantity") && { quantity: given.get("quantity") ?? "" }),
    },
  };
}

/**
 * What is unknown or missing stands where it starts.
 * @param {Chapter[]} chapters
 * @param {URLSearchParams} given
 * @returns {Setting}
 */
function settingFrom(chapters, given) {
  const chapter = chapters.find(({ name }) => name === given.get("in")) ?? chapters[0];
  const positions = chapter.dials.map(({ name, texts, start }) => {
    const at = texts.indexOf(given.get(name) ?? "");
    return at < 0 ? start : at;
  });
  return { chapter: chapter.name, positions };
}

/**
 * @param {Chapter[]} chapters
 * @param {Place} place
 */
export function addressOf(chapters, { setting, pinned, revealed, large, view }) {
  const address = settingTo(chapters, setting);
  if (pinned) address.set("a", settingTo(chapters, pinned).toString());
  if (revealed) address.set("seen", "");
  if (large) address.set("large", "");
  for (const [name, value] of Object.entries(view)) {
    if (value !== undefined && value !== "") address.set(name, String(value));
  }
  return `#${address.toString().replaceAll("=&", "&").replace(/=$/, "")}`;
}

/**
 * @param {Chapter[]} chapters
 * @param {Setting} setting
 */
function settingTo(chapters, { chapter, positions }) {
  const found = chapters.find(({ name }) => name === chapter) ?? chapters[0];
  const entries = found.dials.map(({ name, texts }, i) => [name, texts[positions[i]]]);
  return new URLSearchParams([["in", found.name], ...entries]);
}

/** The name of a training among those of its chapter. @param {Setting} setting */
export function keyOf({ positions }) {
  return positions.join(".");
}

/**
 * A setting in words; with another one, only what differs from it.
 * @param {Chapter[]} chapters
 * @param {Setting} setting
 * @param {Setting} [other]
 */
export function settingInWords(chapters, setting, other) {
  const chapter = chapters.find(({ name }) => name === setting.chapter) ?? chapters[0];
  const elsewhere = other && other.chapter !== setting.chapter;
  const told = chapter.dials.flatMap(({ label, texts }, i) => {
    const same = other && !elsewhere && other.positions[i] === setting.positions[i];
    return same || texts.length < 2 ? [] : [`${label.toLowerCase()} ${texts[setting.positions[i]]}`];
  });
  const words = told.length ? told.join(", ") : "the same training";
  return elsewhere || !other ? `${chapter.title}: ${words}` : words;
}
