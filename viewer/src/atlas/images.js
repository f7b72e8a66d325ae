// What an image network sees: one picture of each class.
import { bytesOf } from "../bytes.js";
import { element } from "../dom.js";

/** @param {{size: number, count: number, data: string}} sample */
export function images({ size, count, data }) {
  const canvas = element("canvas", {
    class: "lcb-sample",
    width: count * (size + 1) - 1,
    height: size,
    role: "img",
    "aria-label": `${count} images that the network learns to tell apart, ${size} by ${size} pixels.`,
  });
  const context = canvas.getContext("2d");
  const pixels = bytesOf(data);
  for (let number = 0; context && number < count; number += 1) {
    const image = context.createImageData(size, size);
    for (let i = 0; i < size * size; i += 1) {
      const ink = pixels[number * size * size + i];
      image.data.set([255 - ink, 255 - ink, 255 - ink, 255], 4 * i);
    }
    context.putImageData(image, number * (size + 1), 0);
  }
  return canvas;
}
