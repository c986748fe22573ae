/**
 * Labels along a line: wrapped, shortened and moved so that none touches another.
 *
 * `measure(text, strong)` gives the width of a text in pixels; this file does not depend on a font.
 */

const MORE = "…";

/**
 * A text in at most `most` lines no wider than `width`; a longer text ends in an ellipsis.
 * Lines break between words, or inside a word that is too wide by itself.
 */
export function wrap(text, width, most, measure) {
  const lines = [];
  let rest = text.trim();
  while (rest && lines.length < most) {
    if (measure(rest) <= width) return [...lines, rest];
    if (lines.length === most - 1) return [...lines, shorten(rest, width, measure)];
    const cut = wordsThatFit(rest, width, measure) || charactersThatFit(rest, width, measure);
    if (cut === 0) return lines;
    lines.push(rest.slice(0, cut).trimEnd());
    rest = rest.slice(cut).trimStart();
  }
  return lines;
}

/** Like `wrap`, but with lines of about equal length if the whole text fits. */
function balanced(text, width, most, measure) {
  const lines = wrap(text, width, most, measure);
  const whole = lines.join(" ");
  if (lines.length < 2 || whole.endsWith(MORE)) return lines;
  for (let narrow = width / lines.length; narrow < width; narrow += 8) {
    const tried = wrap(text, narrow, lines.length, measure);
    if (tried.join(" ") === whole) return tried;
  }
  return lines;
}

/** The beginning of a text that fits with an ellipsis; ends between words if little is lost. */
function shorten(text, width, measure) {
  const room = width - measure(MORE);
  const most = charactersThatFit(text, room, measure);
  const words = wordsThatFit(text, room, measure);
  const shown = text.slice(0, words >= most * 0.5 ? words : most);
  return measure(MORE) <= width ? shown.replace(/[\s,;:.]+$/, "") + MORE : "";
}

function wordsThatFit(text, width, measure) {
  let fitting = 0;
  for (const { index } of text.matchAll(/\s+|$/g)) {
    if (measure(text.slice(0, index)) > width) break;
    fitting = index;
  }
  return fitting;
}

function charactersThatFit(text, width, measure) {
  let fitting = 0;
  for (const character of text) {
    if (measure(text.slice(0, fitting + character.length)) > width) break;
    fitting += character.length;
  }
  return fitting;
}

/**
 * Centres without overlap, in order, as near to the wanted ones as possible (least squares).
 * @param {number[]} wanted ascending
 * @param {number[]} widths
 * @param {number} gap least space between two labels
 * @param {[number, number]} span the limits for all labels; wide enough for them
 */
export function spread(wanted, widths, gap, [start, end]) {
  if (wanted.length === 0) return [];
  // After subtracting the widths, "no overlap" means "ascending": pool neighbours out of order.
  const before = [0];
  for (let k = 1; k < wanted.length; k++)
    before.push(before[k - 1] + (widths[k - 1] + widths[k]) / 2 + gap);
  const pools = [];
  for (const [k, place] of wanted.entries()) {
    pools.push({ sum: place - before[k], count: 1 });
    while (pools.length > 1 && mean(pools.at(-1)) < mean(pools.at(-2))) {
      const { sum, count } = pools.pop();
      pools.at(-1).sum += sum;
      pools.at(-1).count += count;
    }
  }
  const least = start + widths[0] / 2;
  const most = end - widths.at(-1) / 2 - before.at(-1);
  const inside = (place) => Math.max(least, Math.min(most, place));
  return pools
    .flatMap((pool) => Array(pool.count).fill(mean(pool)))
    .map((place, k) => inside(place) + before[k]);
}

const mean = ({ sum, count }) => sum / count;

/**
 * Labels for points on a line: as many labels, and as much of each, as there is room for.
 * @param {{x: number, text: string, strong?: boolean, keep?: boolean}[]} items by ascending x;
 *   `keep` are left out last, `strong` ones never
 * @param {{span: [number, number], lines: number, gap: number, least: number, most: number,
 *   reach: number, measure: (text: string, strong?: boolean) => number}} room
 *   least: a shortened label narrower than this is left out. most: no label is wider.
 *   reach: the largest distance of a label from its point.
 * @returns {{item: number, lines: string[], left: number, right: number}[]}
 */
export function captions(items, room) {
  const kept = items.map((item, k) => ({ ...item, item: k })).filter(({ text }) => text);
  while (kept.length > 0) {
    const placed = attempt(kept, room);
    if (placed) return placed;
    kept.splice(mostCrowded(kept), 1);
  }
  return [];
}

/** Place all labels; null if one would be too short or too far from its point. */
function attempt(items, { span, lines, gap, least, most, reach, measure }) {
  const alone = items.length === 1;
  const natural = items.map(({ text, strong }) => Math.min(measure(text, strong), most));
  const width = level(natural, span[1] - span[0] - gap * (items.length - 1));
  if (!alone && width < least && natural.some((wanted) => wanted > width)) return null;
  const wrapped = items.map(({ text, strong }, k) =>
    balanced(text, Math.min(natural[k], width), lines, (part) => measure(part, strong)),
  );
  const widths = wrapped.map((parts, k) =>
    Math.max(0, ...parts.map((part) => measure(part, items[k].strong))),
  );
  const centres = spread(
    items.map(({ x }) => x),
    widths,
    gap,
    span,
  );
  const placed = items.map(({ item }, k) => ({
    item,
    lines: wrapped[k],
    left: centres[k] - widths[k] / 2,
    right: centres[k] + widths[k] / 2,
  }));
  const far = placed.some(
    ({ left, right }, k) => Math.max(left - items[k].x, items[k].x - right) > reach,
  );
  return far && !alone ? null : placed;
}

/** The width to which wider labels are cut so that all labels together fill `room`. */
function level(widths, room) {
  let left = room;
  const ascending = widths.toSorted((a, b) => a - b);
  for (const [k, width] of ascending.entries()) {
    const share = left / (ascending.length - k);
    if (width > share) return Math.max(0, share);
    left -= width;
  }
  return ascending.at(-1);
}

/** The label to leave out: of those with the lowest rank, the one with the least space. */
function mostCrowded(items) {
  const rank = ({ strong, keep }) => (strong ? 2 : keep ? 1 : 0);
  const lowest = Math.min(...items.map(rank));
  const space = (k) => (items[k + 1]?.x ?? Infinity) - (items[k - 1]?.x ?? -Infinity);
  const open = items.flatMap((item, k) => (rank(item) === lowest ? [k] : []));
  return open.reduce((best, k) => (space(k) < space(best) ? k : best));
}
