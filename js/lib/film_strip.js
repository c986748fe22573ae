/**
 * The prompts of a whole film as a strip: which stands from which frame to which.
 *
 * The same description as keyframes.js makes, so that both are drawn alike.
 */

import { parse, parsePlaces, PromptTextError, timeline } from "./prompt_text.js";

const STYLES = { "optimal transport": "solid", "row order": "dashed", random: "dotted" };

/**
 * The strip of prompts as text.
 * @param {string | undefined} text undefined if it is only known when the workflow runs
 * @param {{frames: number, fps: number, ending: string, method: string}} film
 * @param {(key: string, values?: object) => string} say
 */
export function describeText(text, film, say) {
  if (typeof text !== "string") return empty(say("filmUnknown"));
  return read(() => parse(text), film, say);
}

/**
 * The strip of connected prompts.
 * @param {string | undefined} places as they are written
 * @param {(string | null)[]} prompts the words of each connected prompt, null if unknown
 * @param {{frames: number, fps: number, ending: string, method: string}} film
 */
export function describePrompts(places, prompts, film, say) {
  if (typeof places !== "string") return empty(say("filmUnknown"));
  if (prompts.length < 2) return empty(say("filmConnect"));
  const name = (number) => prompts[number - 1] ?? say("stripPrompt", { number });
  return read(() => parsePlaces(places, prompts.length), film, say, name);
}

function read(entries, film, say, name = (text) => text) {
  if (![film.frames, film.fps].every((value) => Number.isFinite(value)))
    return empty(say("filmUnknown"));
  try {
    return describeFilm(timeline(entries(), film), film, say, name);
  } catch (error) {
    if (!(error instanceof PromptTextError)) throw error;
    return empty(say("filmUnread", { line: error.line, problem: error.message }));
  }
}

function describeFilm({ stops, forward }, film, say, name) {
  const last = Math.max(1, film.ending === "loop" ? film.frames : forward - 1);
  const stations = stops.map(({ text, first, last: end }) => ({
    share: first / last,
    label: name(text) || say("stripEmpty"),
    full: say("filmStation", { frames: span(first, end), text: name(text) }),
    own: true,
  }));
  const legs = stops.flatMap((stop, k) => [
    ...held(stop, k + 1 < stops.length || film.ending === "loop" ? stop.last : forward - 1),
    ...(k > 0 ? [way(stop, stops[k - 1].last, stop.first)] : []),
  ]);
  if (film.ending === "loop") legs.push(way(stops[0], stops.at(-1).last, film.frames));
  return { stations, legs: legs.map(shown), words: "" };

  function held({ first }, end) {
    return end > first ? [{ from: first, to: end, style: "hold", how: say("filmHold") }] : [];
  }
  function way({ frames, method, easing }, from, to) {
    const used = method ?? film.method;
    return { from, to, style: STYLES[used] ?? "unknown", how: `${used}, ${easing}`, frames };
  }
  function shown({ from, to, style, how }) {
    const count = to - from;
    const full = say("filmLeg", { from, to, count, how });
    const labels = style === "hold" ? [] : [say("filmFrames", { count }), String(count)];
    return { from: from / last, to: to / last, weight: count, method: "", style, labels, full };
  }
}

const span = (first, last) => (first === last ? String(first) : `${first}–${last}`);

/** A strip without a film, and the words to show in its place. */
function empty(message) {
  return { stations: [], legs: [], words: message, message };
}
