// Plays through training: about ten seconds for all of it.

const SECONDS = 10;

/**
 * @param {() => number} last The last update.
 * @param {() => number} now
 * @param {(update: number) => void} show
 * @param {(playing: boolean) => void} tell
 */
export function createPlayer(last, now, show, tell) {
  let frame = 0;
  let before = 0;
  let position = 0;
  const calm = matchMedia("(prefers-reduced-motion: reduce)");

  /** @param {number} time */
  function tick(time) {
    const passed = Math.min(250, time - before);
    // Ten still pictures instead of a film, where the reader wants no motion.
    const due = calm.matches ? time - before >= 1000 : true;
    if (due) {
      const share = calm.matches ? 0.1 : passed / (1000 * SECONDS);
      position = Math.min(last(), position + share * last());
      before = time;
      show(position);
      if (position >= last()) return stop();
    }
    frame = requestAnimationFrame(tick);
  }

  function play() {
    stop();
    position = now() >= last() ? 0 : now();
    before = performance.now();
    show(position);
    frame = requestAnimationFrame(tick);
    tell(true);
  }

  function stop() {
    cancelAnimationFrame(frame);
    frame = 0;
    tell(false);
  }

  return { toggle: () => (frame ? stop() : play()), play, stop };
}
