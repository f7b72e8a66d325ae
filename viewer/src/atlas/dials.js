// The dials of a chapter: sliders for what has an order, choices for what has none.
import { element, freshId, say } from "../dom.js";

/**
 * @typedef {import("./address.js").Dial} Dial
 */

/**
 * @param {HTMLElement} host
 * @param {Dial[]} dials
 * @param {number[]} positions
 * @param {(positions: number[]) => void} turned
 */
export function showDials(host, dials, positions, turned) {
  const now = [...positions];
  host.replaceChildren(
    ...dials.flatMap((dial, index) => {
      if (dial.texts.length < 2) return [];
      /** @param {number} position */
      const turn = (position) => {
        now[index] = position;
        turned([...now]);
      };
      return dial.kind === "slider"
        ? slider(dial, positions[index], turn)
        : choice(dial, positions[index], turn);
    }),
  );
}

/**
 * @param {Dial} dial
 * @param {number} position
 * @param {(position: number) => void} turn
 */
function slider({ label, texts }, position, turn) {
  const id = freshId();
  const told = element("output", { for: id });
  const range = element("input", { type: "range", id, min: 0, max: texts.length - 1, step: 1, value: position });
  const tell = () => {
    const text = texts[Number(range.value)];
    say(told, text);
    range.setAttribute("aria-valuetext", text);
  };
  range.addEventListener("input", () => {
    tell();
    turn(Number(range.value));
  });
  tell();
  return element("div", { class: "lcb-dial" }, element("label", { for: id }, `${label}: `, told), range);
}

/**
 * @param {Dial} dial
 * @param {number} position
 * @param {(position: number) => void} turn
 */
function choice({ label, texts }, position, turn) {
  const name = freshId();
  const options = texts.map((text, index) => {
    const radio = element("input", { type: "radio", name, value: index, checked: index === position });
    radio.addEventListener("change", () => turn(index));
    return element("label", {}, radio, element("span", {}, text));
  });
  return element("fieldset", { class: "lcb-dial" }, element("legend", {}, label), ...options);
}
