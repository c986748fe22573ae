/**
 * A schedule of prompts written as text, as geometry/prompt_text.py and timeline.py read it.
 *
 * Golden cases in tests/golden/prompt_text.json keep both alike. What cannot be read is an error
 * with the line where it stands; the node says the rest when it runs.
 */

const EASINGS = new Set(["linear", "ease in", "ease out", "ease in-out"]);
const METHODS = new Set(["optimal transport", "row order", "random"]);

/** The way that leads to a prompt of which nothing is said. */
const PLAIN = { easing: "linear", method: null };

const WHEN = String.raw`(end|(\+)?(\d+(?:\.\d+)?|\.\d+)(s|%)?)`;
const PLACE = new RegExp(String.raw`^\s*${WHEN}\s*$`);
const PROMPT_LINE = new RegExp(String.raw`^\s*${WHEN}\s*:([\s\S]*)$`);
const HOLD_LINE = new RegExp(String.raw`^\s*${WHEN}\s+hold\s*$`);
const COMMENT = /(?:^\s*#|\s#(?:\s|$)).*$/;
const BAR = /(?<!\\)\s\|\s/;
const JSON_STRING = /"((?:[^"\\]|\\[\s\S])*)"/y;

/** What cannot be read or placed. */
export class PromptTextError extends Error {
  constructor(line, message) {
    super(message);
    this.line = line;
  }
}

/**
 * The entries of a text in either form.
 * @param {string} text
 * @returns {{when: {amount: number, unit: string, relative: boolean}, text: string | null,
 *   easing: string, method: string | null, line: number}[]} text: null for a hold
 */
export function parse(text) {
  const first = text.trimStart()[0];
  const entries = first === '"' || first === "{" ? jsonLike(text) : lines(text);
  if (!entries.some((entry) => entry.text !== null))
    throw new PromptTextError(1, "expected at least one prompt");
  return entries;
}

/**
 * Places alone, for prompts that are connected: none is at equal distances.
 * @param {string} written
 * @param {number} count of the prompts; each entry's text is its number
 */
export function parsePlaces(written, count) {
  const parts = written.split(",");
  const whens = written.trim()
    ? parts.map((part) => {
        const found = PLACE.exec(part);
        if (!found) throw new PromptTextError(1, `'${part.trim()}'`);
        return whenOf(found);
      })
    : Array.from({ length: count }, (_, k) => ({
        amount: (100 * k) / Math.max(count - 1, 1),
        unit: "%",
        relative: false,
      }));
  if (whens.length !== count) throw new PromptTextError(1, `${count} ≠ ${whens.length}`);
  const { easing, method } = PLAIN;
  return whens.map((when, k) => ({ when, text: String(k + 1), easing, method, line: k + 1 }));
}

function lines(text) {
  const entries = [];
  let current = null;
  const finish = () => current && entries.push(entryOf(current));
  text.split(/\r\n|\r|\n/).forEach((written, k) => {
    const number = k + 1;
    const line = written.replace(COMMENT, "").trimEnd();
    if (!line.trim()) return;
    const started = PROMPT_LINE.exec(line);
    const hold = HOLD_LINE.exec(line);
    if (current && /^\s/.test(line) && !started && !hold) {
      current.rest += ` ${line.trim()}`;
      return;
    }
    finish();
    current = null;
    if (hold) entries.push({ when: whenOf(hold), text: null, ...PLAIN, line: number });
    else if (started) current = { match: started, line: number, rest: started[5] };
    else throw new PromptTextError(number, "expected a place and a prompt");
  });
  finish();
  return entries;
}

function entryOf({ match, line, rest }) {
  const parts = rest.split(BAR);
  const ways = parts.length > 1 ? options(parts.pop(), line) : PLAIN;
  const text = parts.join(" | ").replaceAll("\\|", "|").trim();
  return { when: whenOf(match), text, ...ways, line };
}

function options(written, line) {
  const found = { ...PLAIN };
  for (const option of written.split(",").map((part) => part.trim())) {
    if (EASINGS.has(option)) found.easing = option;
    else if (METHODS.has(option)) found.method = option;
    else throw new PromptTextError(line, `unknown option '${option}'`);
  }
  return found;
}

function whenOf([, whole, plus, number, unit]) {
  if (whole === "end") return { amount: 0, unit: "end", relative: false };
  return { amount: Number(number), unit: unit ?? "", relative: plus === "+" };
}

function jsonLike(text) {
  const entries = [];
  let position = 0;
  const lineAt = (place) => text.slice(0, place).split("\n").length;
  const skip = (extra) => {
    while (position < text.length && (/\s/.test(text[position]) || extra.includes(text[position])))
      position++;
  };
  const string = (what) => {
    JSON_STRING.lastIndex = position;
    const found = JSON_STRING.exec(text);
    if (!found) throw new PromptTextError(lineAt(position), `expected ${what}`);
    position = JSON_STRING.lastIndex;
    return found[1];
  };
  skip("{");
  while (position < text.length) {
    const line = lineAt(position);
    const key = string("a frame in quotes");
    skip("");
    if (text[position] !== ":") throw new PromptTextError(lineAt(position), "expected a colon");
    position++;
    skip("");
    const promptLine = lineAt(position);
    const prompt = jsonPrompt(string("a prompt in double quotes"), promptLine);
    entries.push({ when: jsonWhen(key, line), text: prompt, ...PLAIN, line });
    skip("");
    if (position < text.length && !",}".includes(text[position]))
      throw new PromptTextError(lineAt(position), "expected a comma");
    skip(",}");
  }
  return entries;
}

function jsonWhen(key, line) {
  if (key.trim() === "max_f") return { amount: 0, unit: "end", relative: false };
  const found = new RegExp(`^\\s*${WHEN}\\s*$`).exec(key);
  if (!found) throw new PromptTextError(line, `expected a frame, not '${key}'`);
  return whenOf(found);
}

function jsonPrompt(written, line) {
  let prompt;
  try {
    const escaped = written.replaceAll("\n", "\\n").replaceAll("\t", "\\t").replaceAll("\r", "");
    prompt = JSON.parse(`"${escaped}"`);
  } catch {
    throw new PromptTextError(line, "a backslash that escapes nothing");
  }
  for (const sign of ["--neg", "`"])
    if (prompt.includes(sign))
      throw new PromptTextError(line, `expected a plain prompt, not ${sign}`);
  return prompt.split(/\s+/).filter(Boolean).join(" ");
}

/**
 * The prompts on the frames of a film, each with the frames at which it stands.
 * @param {ReturnType<typeof parse>} entries
 * @param {{frames: number, fps: number, ending: string}} film
 * @returns {{stops: {text: string, first: number, last: number, frames: number, easing: string,
 *   method: string | null}[], forward: number}} frames: of the way that leads there; for the first,
 *   of the way that closes a loop, else 0. forward: the number of frames before a way back.
 */
export function timeline(entries, { frames, fps, ending }) {
  const forward = ending === "ping-pong" ? Math.floor((frames + 1) / 2) : frames;
  const marks = placed(entries, forward, fps);
  const stops = [];
  for (const { frame, text, easing, method } of marks) {
    const before = stops.at(-1);
    if (before?.text === text) before.last = frame;
    else stops.push({ text, first: frame, last: frame, frames: 0, easing, method });
  }
  if (stops.length < 2)
    throw new PromptTextError(entries[0].line, "expected at least two different prompts");
  stops[0].first = 0;
  stops.forEach((stop, k) => {
    if (k > 0) stop.frames = stop.first - stops[k - 1].last;
  });
  if (ending === "loop") stops[0].frames = frames - stops.at(-1).last;
  return { stops, forward };
}

function placed(entries, frames, fps) {
  const marks = [];
  for (const { when, text, easing, method, line } of entries) {
    const before = marks.at(-1);
    const frame = frameOf(when, before?.frame ?? 0, frames - 1, fps);
    if (frame > frames - 1) throw new PromptTextError(line, `frame ${frame} is after the end`);
    if (before && frame <= before.frame)
      throw new PromptTextError(line, `frame ${frame} is not after ${before.frame}`);
    if (text === null && !before)
      throw new PromptTextError(line, "expected a prompt before 'hold'");
    marks.push({ frame, text: text ?? before.text, easing, method });
  }
  return marks;
}

function frameOf({ amount, unit, relative }, before, last, fps) {
  if (unit === "end") return last;
  const factor = { s: fps, "%": last / 100 }[unit] ?? 1;
  const frame = Math.floor(amount * factor + 0.5);
  return relative ? before + frame : frame;
}
