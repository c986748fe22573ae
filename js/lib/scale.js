/** Axes: the position of a value on the screen, and the values that get a label. */

/**
 * A linear scale from [from0, from1] to [to0, to1]; `scale.back` inverts it.
 * An empty domain maps to the middle.
 */
export function linear([from0, from1], [to0, to1]) {
  const span = from1 - from0;
  const scale = (value) =>
    span === 0 ? (to0 + to1) / 2 : to0 + ((value - from0) / span) * (to1 - to0);
  scale.back = (place) => from0 + ((place - to0) / (to1 - to0)) * span;
  return scale;
}

/** About `count` round numbers from 0 to at least `most`, in steps of 1, 2 or 5 times 10^k. */
export function ticks(most, count = 4) {
  if (!(most > 0) || !Number.isFinite(most)) return [0, 1];
  const rough = most / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((k) => k * power).find((k) => k >= rough * (1 - 1e-9));
  const result = [];
  for (let k = 0; (k - 1) * step < most * (1 - 1e-9); k++)
    result.push(Number((k * step).toPrecision(12)));
  return result;
}

/** About `count` round numbers from at most `least` to at least `most`, as `ticks` has them. */
export function ticksAcross(least, most, count = 4) {
  if (!(most > least)) return [least, least + 1];
  const step = ticks(most - least, count)[1];
  const first = Math.floor(least / step + 1e-9);
  const last = Math.ceil(most / step - 1e-9);
  return Array.from({ length: last - first + 1 }, (_, k) =>
    Number(((first + k) * step).toPrecision(12)),
  );
}

/** Powers of ten from at most `least` to at least `most`, both above 0; at most about `count`. */
export function decades(least, most, count = 4) {
  const first = Math.floor(Math.log10(least) + 1e-9);
  const last = Math.max(Math.ceil(Math.log10(most) - 1e-9), first + 1);
  const every = Math.max(1, Math.ceil((last - first) / count));
  const steps = Math.ceil((last - first) / every);
  return Array.from({ length: steps + 1 }, (_, k) => Number(`1e${first + k * every}`));
}

/** A number with three or four significant digits, as people read it. */
export function short(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 0.001 && size < 1e5
    ? String(Number(value.toPrecision(4)))
    : value.toExponential(2);
}
