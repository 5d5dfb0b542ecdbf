// The page: creates its parts and connects them.
import { Drawing } from './drawing.js';
import { Form } from './form.js';
import { Health } from './health.js';
import { History } from './history.js';
import { Run, summary } from './run.js';
import { plural } from './text.js';

const node = (id) => document.getElementById(id);
const page = { rolling: null, config: { grafana_url: '' } };
const cancel = () => page.rolling?.cancel();

const form = new Form(node('controls'), roll);
const drawing = new Drawing(node('stage'), page.config, cancel);
const history = new History(node('history'), show);
const health = new Health(node('service-status'), (names) => form.setDice(names), (config) => {
  Object.assign(page.config, config);
  if (config.max_async_rolls) form.setMaximum(config.max_async_rolls);
  node('version').textContent = config.version && `version ${config.version}`;
  drawing.trace();
  if (config.faults_enabled && !page.load) openLoad();
});

async function openLoad() {
  page.load = true;
  const { LoadPanel } = await import('./load.js');
  const host = document.createElement('section');
  host.id = 'load-panel';
  host.setAttribute('aria-label', 'Load and faults');
  host.dataset.services = ['front' + 'end', 'dice-' + 'roller', 'die-' + 'service'].join(' ');
  document.querySelector('main').append(host);
  page.load = new LoadPanel(host, { dice: () => form.read(), openTrace: (id) => fetch(`api/traces/${id}`), max: page.config.max_async_rolls });
}

function show(run) {
  drawing.show(run);
  history.draw(run);
}

function setRolling(run) {
  page.rolling = run;
  form.setBusy(Boolean(run));
  drawing.setBusy(Boolean(run));
}

async function roll(compare) {
  if (!form.ready()) return;
  const focused = document.activeElement;
  const run = new Run(form.read(), compare);
  const ifShown = (draw) => () => { if (drawing.run === run) draw(); };
  health.clear();
  history.add(run);
  setRolling(run);
  show(run);
  node('announce').textContent = `Rolling ${plural(run.parts[0].slots.length, 'die', 'dice')}`;
  const clock = setInterval(ifShown(() => drawing.elapsed()), 100);
  await run.roll({ dice: ifShown(() => drawing.dice()), trace: ifShown(() => drawing.result()) });
  clearInterval(clock);
  setRolling(null);
  if (document.activeElement === document.body) focused?.focus();
  ifShown(() => drawing.show(run))();
  history.draw(drawing.run);
  node('announce').textContent = run.error ? '' : run.parts.map((part) => `${part.title} ${summary(part)}`).join('. ');
  if (run.error?.code === 'network') health.find();
}

document.addEventListener('keydown', (event) => { if (event.key === 'Escape') cancel(); });
health.find();
