// Predict first: the question, and what came of it.
import { element } from "../dom.js";

export const ANSWERS = {
  first: "the first hidden layer",
  last: "the last hidden layer",
  alike: "about the same",
};

const QUESTION = "Which comes half the way to its final weights sooner?";

/**
 * @param {HTMLElement} host
 * @param {(answer: string) => void} predicted
 */
export function ask(host, predicted) {
  const buttons = Object.entries(ANSWERS).map(([answer, text]) => {
    const button = element("button", { type: "button" }, text[0].toUpperCase() + text.slice(1));
    button.addEventListener("click", () => predicted(answer));
    return button;
  });
  host.replaceChildren(
    element("h2", {}, "Your prediction"),
    element("p", {}, QUESTION),
    element("div", { class: "lcb-answers" }, ...buttons),
  );
}

/**
 * @param {HTMLElement} host
 * @param {string} answer What was predicted; "" where nothing was.
 * @param {{answer: string, texts: string[]}} outcome What happened, in a sentence for each training.
 * @param {() => void} again
 */
export function tell(host, answer, outcome, again) {
  const button = element("button", { type: "button" }, "Predict anew");
  button.addEventListener("click", again);
  const said = ANSWERS[/** @type {keyof typeof ANSWERS} */ (answer)];
  const right = answer === outcome.answer ? "You were right" : "It went otherwise";
  const own = said ? `You said: ${said}. ${right}.` : "";
  host.replaceChildren(
    element("h2", {}, "What happened"),
    element("p", { role: "status" }, [own, ...outcome.texts].filter(Boolean).join(" ")),
    element("div", { class: "lcb-answers" }, button),
  );
}
