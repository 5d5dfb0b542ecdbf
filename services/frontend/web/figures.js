// Calculates the figures and the verdict of a run.
import { duration, plural } from './text.js';
import { figures } from './trace.js';

function compared(run, first, second) {
  const [turn, together] = [run.parts[0], run.parts[1]];
  const [before, after] = [first ? first.request : turn.ms, second ? second.request : together.ms];
  const ratio = before / after;
  const how = run.how ? `Rolling ${run.how}` : 'Rolling as a batch';
  const verdict = [
    ratio >= 1.05 ? `${how} was ${ratio.toFixed(1)} times as fast: ${duration(after)} instead of ${duration(before)}.` : `${how} was not faster: ${duration(after)} against ${duration(before)}.`,
    !run.parts.every((part) => part.complete) && '(Based on the spans received so far.)',
    'Each run has its own random delays.'];
  return { verdict: verdict.filter(Boolean).join(' '), list: [
    { key: 'sequential', label: turn.title, value: before, share: 1, note: `${plural(turn.asked, 'request')}, first start to last end` },
    { key: 'together', label: together.title, value: after, share: after / before, note: 'one request, start to end' },
    { key: 'max-at-once', label: 'Peak concurrency', value: String(second ? second.peak : '–'), note: first ? `one after another: ${first.peak}` : 'rolls in progress at the same time' }] };
}

function batched(run, part, f) {
  const scale = Math.max(f.sum, f.together) || 1;
  const list = [
    { key: 'sequential', label: 'Added up', value: f.sum, share: f.sum / scale,
      note: `the ${plural(f.count, 'roll')}${part.model.rolls.some((span) => span.state === 'cancelled') ? ', the cancelled ones until they stopped' : ' one after another'}` },
    { key: 'together', label: 'Elapsed', value: f.together, share: f.together / scale, note: 'first roll’s start to last roll’s end' },
    { key: 'max-at-once', label: 'Peak concurrency', value: String(f.peak), note: 'rolls in progress at the same time' }];
  if (run.error || f.count < 2) return { list, verdict: '' };
  const decisive = run.words.verdict && part.model.rolls.find((span) => span.result !== undefined);
  if (decisive) {
    const began = Math.min(...part.model.rolls.map(({ start }) => start));
    return { list, verdict: run.words.verdict.replace('{roll}', decisive.name).replace('{duration}', duration(decisive.end - began)) };
  }
  const ratio = f.sum / f.together;
  return { list, verdict: `${f.longest.name} took longest: ${duration(f.longestMs)}.${ratio >= 1.05 ? ` One after another, the rolls would have taken ${ratio.toFixed(1)} times as long.` : ''}` };
}

/** {verdict, list: [{key, label, value (ms, or text), share (of the gauge), note}]} */
export function judge(run) {
  const [first, second] = run.parts.map((part) => part.model && figures(part.model));
  if (run.kind === 'compare') {
    if (run.ms === undefined) return { verdict: '', list: [] };
    if (run.parts.some((part) => part.failed)) return { verdict: 'There is nothing to compare: one of the two did not finish.', list: [] };
    return compared(run, first, second);
  }
  if (!first?.count) return { verdict: '', list: [] };
  if (run.kind === 'batch') return batched(run, run.parts[0], first);
  return { verdict: '', list: [
    { key: 'roll', label: 'The roll', value: first.sum, share: first.sum / first.request, note: 'simulated work, then the draw' },
    { key: 'request', label: 'The whole request', value: first.request, share: 1, note: 'from this page’s service and back' }] };
}
