// Names of layers in few letters, which still tell layers apart: their parts are cut, not their numbers.
import { short } from "./format.js";

const PARTS = /(?<=[_/])|(?<= … )/;

/**
 * Ways to shorten a name, the one that changes least first, given the parts that all like it share.
 * @type {((parts: string[], shared: number) => string)[]}
 */
const WAYS = [
  (parts) => parts.join(""),
  (parts, shared) => parts.slice(shared).join(""),
  (parts) => [...parts.slice(0, -1).map(initials), ...parts.slice(-1)].join(""),
  (parts) => parts.map(initials).join(""),
  (parts) => unseparated(parts.map(initials).join("")),
];

/**
 * Names that fit, each in the same way as those that differ from it in numbers only.
 * @param {string[]} names
 * @param {number} limit In letters.
 */
export function telling(names, limit) {
  const found = new Map([...alike(names)].flatMap((group) => shortened(group, limit)));
  const made = names.map((name) => found.get(name) ?? name);
  // Two that would be called alike show their beginning and their end.
  const twice = new Set(made.filter((name, i) => made.indexOf(name) !== i));
  return made.map((name, i) => (twice.has(name) ? short(names[i], limit) : name));
}

/** @param {string[]} names */
function alike(names) {
  /** @type {Map<string, string[]>} */
  const groups = new Map();
  for (const name of names) {
    const kind = name.replace(/\d+/g, "0");
    groups.set(kind, [...(groups.get(kind) ?? []), name]);
  }
  return groups.values();
}

/**
 * @param {string[]} group
 * @param {number} limit
 * @returns {[string, string][]}
 */
function shortened(group, limit) {
  const parts = group.map((name) => name.split(PARTS));
  const shared = sharedBy(parts);
  const ways = parts[0].length > 1 ? WAYS : WAYS.slice(0, 1);
  const ready = ways
    .map((way) => parts.map((own) => way(own, shared)))
    .find((names) => names.every(({ length }) => length <= limit));
  return group.map((name, i) => [name, ready?.[i] ?? short(name, limit)]);
}

/**
 * How many parts all begin with, the last part not among them.
 * @param {string[][]} all
 */
function sharedBy(all) {
  const [first] = all;
  if (all.length < 2) return 0;
  const differs = first.findIndex((part, i) => all.some((own) => own[i] !== part));
  return Math.max(0, Math.min(differs, first.length - 1));
}

/** @param {string} part */
function initials(part) {
  return part.replace(/\p{L}+/gu, ([letter]) => letter);
}

/** Without separators, but for those between two numbers. @param {string} name */
function unseparated(name) {
  return name.replace(/(?<!\d)[_/]|[_/](?!\d)/g, "").replace(" … ", "…");
}
