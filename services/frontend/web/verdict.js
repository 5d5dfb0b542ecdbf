// Says in one sentence or two what a run has shown, and calculates its figures.
import { isRead } from './run.js';
import { duration, plural } from './text.js';
import { figures } from './trace.js';

const those = (n) => (n === 1 ? 'this roll' : `these ${n} rolls`);
const faster = (ratio) => (ratio >= 1.05 ? `${ratio.toFixed(ratio < 9.95 ? 1 : 0)} times faster` : 'no faster');
const withFailures = ({ failed }) => (failed ? ` ${plural(failed, 'roll')} failed.` : '');
const isLimited = (run) => run.concurrency && run.concurrency < run.times;

function batchVerdict(run, { model }, f) {
  const [{ end: ended } = {}] = model.rolls.filter(({ state }) => state === run.words.endsOn).sort((a, b) => a.end - b.end);
  const decisive = model.rolls.find((span) => span.state === run.words.endsOn && span.end === ended);
  if (run.stopped || run.error?.code === 'cancelled') {
    return `Cancelled after ${duration(model.end)}: ${plural(f.ok + f.failed, 'roll')} had ended, ${f.cancelled} ${f.cancelled === 1 ? 'was' : 'were'} cancelled${
      f.count < run.times ? `, ${run.times - f.count} had not begun` : ''}.`;
  }
  if (decisive && (f.cancelled || decisive.state === 'ok')) {
    return `Roll ${decisive.rollIndex} ${decisive.state === 'ok' ? 'succeeded first' : 'failed'}, after ${duration(ended - f.first)}, and ended the batch${
      f.cancelled ? `: ${plural(f.cancelled, 'other')} ${f.cancelled === 1 ? 'was' : 'were'} cancelled` : ''}.`;
  }
  const slowest = `Roll ${f.longest.rollIndex} was the slowest.`;
  if (f.count === 1) return `The roll took ${duration(f.sum)}, the whole request ${duration(f.request)}.`;
  if (f.peak <= 1) return `${those(f.count).replace('t', 'T')} ran one at a time and took ${duration(f.together)}, no faster than one by one.${withFailures(f)} ${slowest}`;
  return `One by one, ${those(f.count)} would have taken ${duration(f.sum)}. ${isLimited(run) ? `At most ${run.concurrency} at a time, they took` : 'Together they took'} ${
    duration(f.together)}, ${faster(f.sum / f.together)}.${withFailures(f)} ${slowest}`;
}

function compareVerdict(run, turn, batch) {
  const [before, after] = [turn.request, batch.request];
  const ratio = before / after;
  const how = isLimited(run) ? `at most ${run.concurrency} at a time` : 'all at once';
  return `One after another, in ${plural(turn.count, 'request')}, these rolls took ${duration(before)}. In one batch, ${how}, the same rolls took ${
    duration(after)}, ${faster(ratio)}.${withFailures(batch)} Roll ${batch.longest.rollIndex} was the slowest.`;
}

const figure = (key, label, value, whole, note) => ({ key, label, value, share: whole ? value / whole : undefined, note });

/** {verdict, list: [{key, label, value (ms, or text), share (of the gauge), note}]} */
export function judge(run) {
  const [part, second] = run.drawn;
  const [first, other] = [part, second].map((one) => one?.model?.rolls.length && figures(one.model));
  if (!first) return { verdict: '', list: [] };
  if (run.parts.length > 1) {
    if (!other || !isRead(part) || !isRead(second)) return { verdict: '', list: [] };
    if (part.failed || second.failed) return { verdict: 'There is nothing to compare: one of the two did not finish.', list: [] };
    const whole = Math.max(first.request, other.request);
    return { verdict: compareVerdict({ times: run.times, concurrency: second.concurrency ?? run.concurrency }, first, other), list: [
      figure('sequential', part.title, first.request, whole, `${plural(first.count, 'roll')}, added up ${duration(first.sum)}`),
      figure('together', second.title, other.request, whole, `${plural(other.count, 'roll')}, added up ${duration(other.sum)}`),
      figure('max-at-once', 'Peak concurrency', String(other.peak), 0, `one after another: ${first.peak}`)] };
  }
  if (run.state === 'rolling' || part.model.open) return { verdict: '', list: [] };
  const verdict = batchVerdict(run, part, first);
  const whole = Math.max(first.sum, first.together) || 1;
  if (first.count === 1) return { verdict, list: [] };
  return { verdict, list: [
    figure('sequential', 'Added up', first.sum, whole, `${plural(first.count, 'roll')}${first.cancelled ? ', the cancelled ones until they stopped' : ''}`),
    figure('together', 'Elapsed', first.together, whole, 'from the start of the first roll to the end of the last'),
    figure('max-at-once', 'Peak concurrency', String(first.peak), 0, 'rolls in progress at the same time'),
    figure('request', 'Whole request', first.request, 0, 'from this page’s service and back')] };
}

/**
 * The points of the speed-up curve: {concurrency, request (ms), speedup, amdahl, part}, and its limits. The speed-up is the time of the request
 * with one roll at a time, divided by that with `concurrency`. By Amdahl's law it would be 1 / (s + (1 - s) / concurrency), where s is the share of the
 * request with one roll at a time in which no roll is at work (G. Amdahl, AFIPS 1967). That law takes the work as divisible; a roll is not, so
 * no request is shorter than its slowest roll: `limit`.
 */
export function speedup(parts, times) {
  const measured = parts.filter((part) => isRead(part) && !part.failed).map((part) => ({ part, concurrency: part.concurrency ?? times, ...figures(part.model) }))
    .sort((a, b) => a.concurrency - b.concurrency);
  const [one] = measured;
  if (one?.concurrency !== 1) return null;
  const serial = Math.max(one.request - one.sum, 0);
  const amdahl = (k) => one.request / (serial + (one.request - serial) / k);
  const slowest = measured.reduce((a, b) => (b.longestMs < a.longestMs ? b : a));
  return { amdahl, serial, limit: one.request / slowest.longestMs, slowest: slowest.longest.rollIndex, longestMs: slowest.longestMs,
    points: measured.map(({ part, concurrency, request }) => ({ part, concurrency, request, speedup: one.request / request, amdahl: amdahl(concurrency) })) };
}
