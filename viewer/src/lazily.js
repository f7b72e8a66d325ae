// What may wait until calls rest: what is said, and what is written into the address.

/**
 * Does something once calls rest for so long, and now and then while they do not.
 * @param {() => void} action
 * @param {number} longest Milliseconds that it waits at most.
 */
export function lazily(action, longest) {
  let waiting = 0;
  let due = Infinity;
  return (/** @type {number} */ rest) => {
    clearTimeout(waiting);
    const now = performance.now();
    due = Math.min(due, now + longest);
    waiting = window.setTimeout(() => {
      due = Infinity;
      action();
    }, Math.min(rest, due - now));
  };
}
