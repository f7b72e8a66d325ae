// The address of a lab's page: it follows the settings, and is a code that a phone reads from the
// screen. Only the browser knows where the page is.
import { encode } from "uqr";
import { element, svgElement } from "./dom.js";

/** @typedef {import("./widget.js").Model} Model */

const BORDER = 4; // modules of white around a code, which readers need
const HERE_ONLY = /^(localhost|127(\.\d+){3}|\[::1\])$|\.localhost$/;

/**
 * The address with these settings, and with nothing else that was in it, such as a secret key.
 * @param {{origin: string, pathname: string}} place
 * @param {string} query
 */
export function addressOf({ origin, pathname }, query) {
  return `${origin}${pathname}?${query}`;
}

/** Whether no other machine reaches a host of this name. @param {string} hostname */
export function isHereOnly(hostname) {
  return HERE_ONLY.test(hostname);
}

/** The dark squares of a code, as the path of an SVG image. @param {string} text */
export function squares(text) {
  const { data, size } = encode(text, { ecc: "L", border: BORDER });
  const path = data.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : ""))).join("");
  return { path, size };
}

/** @param {string} text */
function code(text) {
  const { path, size } = squares(text);
  const image = svgElement("svg", { viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": "QR code of this page's address", "shape-rendering": "crispEdges" });
  image.append(svgElement("rect", { width: size, height: size, fill: "#ffffff" }), svgElement("path", { d: path }));
  return image;
}

/** @param {{model: Model, el: HTMLElement}} given */
function render({ model, el }) {
  function show() {
    const query = model.get("query");
    const address = addressOf(location, query);
    history.replaceState(null, "", `?${query}`);
    const told = isHereOnly(location.hostname) ? " It opens on this machine only." : "";
    el.replaceChildren(code(address), element("p", {}, `The address of this page, with its settings.${told}`));
  }
  model.on("change:query", show);
  show();
  return () => model.off("change:query", show);
}

export default { render };
