// Shows what the server sends twice a second. Text goes into the page as text only, and elements stay what they are,
// so that neither the keyboard's focus nor a screen reader's place is lost.

const byId = id => document.getElementById(id);
const POINTS = 120; // a minute

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function say(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

function look(target, className) {
  if (target.className !== className) target.className = className;
}

// One child for each item, made once and updated from then on. Of items with the same key each has a child of its own.
function each(parent, items, key, make, update) {
  const known = new Map([...parent.children].map(child => [child.dataset.key, child]));
  const seen = new Map();
  items.forEach((item, index) => {
    const same = seen.get(key(item)) ?? 0;
    seen.set(key(item), same + 1);
    const name = key(item) + '#' + same;
    let child = known.get(name);
    if (!child) {
      child = make(item);
      child.dataset.key = name;
    }
    known.delete(name);
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
    update(child, item);
  });
  known.forEach(child => child.remove());
}

function row(cells) {
  const made = element('tr');
  for (let i = 0; i < cells; i++) made.append(i === 0 ? Object.assign(element('th'), { scope: 'row' }) : element('td'));
  return made;
}

function badge(target, state) {
  let shown = target.firstElementChild;
  if (!shown) target.append(shown = element('span'));
  const good = ['ok', 'up', 'running', 'closed', 'yes'];
  const bad = ['failing', 'down', 'ejected', 'stopped', 'open', 'no'];
  look(shown, 'badge ' + (good.includes(state) ? 'good' : bad.includes(state) ? 'bad' : 'warn'));
  say(shown, state);
}

async function post(path, body) {
  try {
    const answer = await fetch(path, {
      method: 'POST',
      headers: body ? { 'Content-Type': 'application/json' } : {},
      body: body && JSON.stringify(body),
    });
    // what a wrong reload says stands beside its button
    say(byId('failed'), answer.ok || body ? '' : `That did not work: the application answers ${answer.status} to ${path}.`);
    if (body && !answer.ok && answer.status !== 400) say(byId('failed'), `${path} is not there or not allowed: set management.endpoint.proxies.access to unrestricted, and expose it.`);
  } catch {
    say(byId('failed'), 'That did not work: the application does not answer.');
  }
}

function button(text, label, press) {
  const made = element('button', '', text);
  made.type = 'button';
  made.setAttribute('aria-label', label);
  made.addEventListener('click', press);
  return made;
}

// --- exchanges

function feeds(all) {
  const exchanges = [...new Set(all.map(feed => feed.exchange))];
  each(byId('feeds'), exchanges, name => name, name => {
    const card = element('article', 'card');
    const title = element('h3', '', name);
    title.id = 'exchange-' + name;
    card.setAttribute('aria-labelledby', title.id);
    card.append(title, element('div'));
    return card;
  }, (card, name) => each(card.lastElementChild, all.filter(feed => feed.exchange === name), feed => feed.connectionType,
    feed => {
      const made = element('div', 'feed');
      made.id = `feed-${feed.exchange}-${feed.connectionType}`;
      made.append(element('span', '', feed.connectionType), element('span', 'price'),
        button('Why?', `Why does ${feed.exchange} ${feed.connectionType} take this proxy?`, () => why(feed)),
        element('span'), element('span', 'from'), element('span', 'error'));
      return made;
    },
    (made, feed) => {
      const [, price, , state, from, error] = made.children;
      say(price, feed.price ? `${feed.symbol} ${feed.price}` : feed.raw ?? 'no tick yet');
      badge(state, stateOfFeed(feed));
      const age = Math.round(ageOf(feed));
      say(from, feed.seenFrom ? `via ${feed.seenFrom}${age > 1 ? `, ${age} s ago` : ''}` : '');
      say(error, feed.state === 'failing' ? withNames(feed.lastError ?? '') : '');
    }));
  const those = state => all.filter(feed => stateOfFeed(feed) === state).map(feed => `${feed.exchange} ${feed.connectionType}`).join(', ');
  const direct = all.filter(feed => feed.seenFrom?.startsWith('DIRECT')).map(feed => feed.exchange).join(', ');
  const told = all.every(feed => feed.seenFrom);
  const [failing, late, starting] = ['failing', 'late', 'starting'].map(those);
  summary(direct ? `Seen without a proxy: ${direct}!` : failing
    ? `Waiting for a proxy: ${failing}.${told ? ' Nothing connects directly.' : ''}`
    : late ? `Silent: ${late}.` : starting ? 'Starting.'
    : told ? `All ${all.length} feeds tick, each through a proxy.`
    : `All ${all.length} feeds tick. These exchanges do not say whom they see; ask "Why?".`,
    direct || failing ? 'bad' : late || starting ? '' : 'good');
}

function summary(text, how) {
  look(byId('summary'), 'summary ' + how);
  say(byId('summary'), text);
}

// A tick comes each second; one that is missing is seen before anybody gives the connection up.
const ageOf = feed => feed.lastTickAt ? Math.max(0, (now - Date.parse(feed.lastTickAt)) / 1000) : null;
const stateOfFeed = feed => feed.state === 'ok' && feed.seenFrom && ageOf(feed) > 1.8 ? 'late' : feed.state;

async function why(feed) {
  // by the host, as the feed itself goes: its name is only what it is called here
  const url = `actuator/proxies/*/${feed.connectionType}?host=${encodeURIComponent(feed.host)}&port=${feed.port}`;
  say(byId('why-title'), `${feed.exchange} ${feed.connectionType}`);
  byId('why-steps').replaceChildren();
  try {
    const answer = await fetch(url);
    if (!answer.ok) {
      say(byId('why-decision'), `There is no answer (${answer.status}): expose the actuator endpoint "proxies".`);
      byId('why').showModal();
      return;
    }
    const explained = await answer.json();
    say(byId('why-decision'), `A connection opened now goes ${withNames(explained.decision)}, because:`);
    byId('why-steps').replaceChildren(...(explained.steps ?? []).map(step => element('li', '', withNames(step))));
  } catch {
    say(byId('why-decision'), 'The application does not answer.');
  }
  byId('why').showModal();
}

// --- proxies and pools

const PROXY_STATES = [['Running', 'start', 'running'], ['Frozen', 'freeze', 'frozen'], ['Killed', 'stop', 'stopped']];
const SERVICE_STATES = [['Running', 'start', 'running'], ['Hanging', 'hang', 'hanging'], ['Stopped', 'stop', 'stopped']];

function states(choices, what, path) {
  return choices.map(([text, command, state]) => {
    const made = button(text, `${what}: ${text}`, () => post(`${path}/${command}`));
    made.dataset.state = state;
    return made;
  });
}

function press(buttons, state) {
  for (const one of buttons) one.setAttribute('aria-pressed', String(one.dataset.state === state));
}

const stateOf = proxy => !proxy.running ? 'stopped' : proxy.frozen ? 'frozen' : 'running';
let names = new Map();
const named = proxy => names.get(proxy.replace(/\/\/.*@/, '//')) ?? proxy;
// the same wherever an address stands in a text
const withNames = text => text.replace(/\b\w+:\/\/(\S+@)?[\w.]+:\d+/g, named);

function localProxies(all) {
  byId('local-section').hidden = !all;
  names = new Map((all ?? []).map(proxy => [proxy.url, proxy.name]));
  each(byId('local-proxies'), all ?? [], proxy => proxy.name, proxy => {
    const made = row(4);
    made.id = 'proxy-' + proxy.name;
    const buttons = element('div', 'buttons');
    buttons.setAttribute('role', 'group');
    buttons.setAttribute('aria-label', proxy.name);
    buttons.append(...states(PROXY_STATES, proxy.name, 'local-proxies/' + proxy.name));
    made.children[1].className = 'narrow-hidden';
    made.lastElementChild.append(buttons);
    return made;
  }, (made, proxy) => {
    say(made.children[0], proxy.name);
    say(made.children[1], proxy.url);
    badge(made.children[2], stateOf(proxy));
    press(made.querySelectorAll('button'), stateOf(proxy));
  });
}

function pools(all) {
  each(byId('pools'), Object.entries(all ?? {}), ([name]) => name, ([name]) => {
    const card = element('article', 'card');
    card.id = 'pool-' + name.replace('/', '-');
    const scroll = element('div', 'scroll');
    scroll.tabIndex = 0;
    scroll.setAttribute('role', 'region');
    scroll.setAttribute('aria-label', 'pool ' + name);
    const table = element('table');
    const head = element('tr');
    for (const title of ['Proxy', 'State', 'Open', 'Worked', 'Failed']) head.append(Object.assign(element('th', '', title), { scope: 'col' }));
    table.append(element('thead'), element('tbody'));
    table.tHead.append(head);
    scroll.append(table);
    card.append(element('h3', '', name), element('p', 'hint'), scroll);
    return card;
  }, (card, [, pool]) => {
    say(card.children[1], `${pool.strategy}${pool['check-interval'] ? `, checked each ${pool['check-interval']}` : ''}`);
    each(card.querySelector('tbody'), [...pool.proxies].sort((one, other) => one.proxy.localeCompare(other.proxy)),
      member => member.proxy, () => row(5), (made, member) => {
        say(made.children[0], named(member.proxy));
        badge(made.children[1], member.state);
        if (made.children[1].children.length < 2) made.children[1].append(element('div', 'reason'));
        say(made.children[1].lastElementChild, member.why ?? '');
        say(made.children[2], String(member.active));
        say(made.children[3], String(member.succeeded));
        say(made.children[4], String(member.failed));
      });
  });
}

// --- the proxy service

function service(seen, local) {
  byId('service-section').hidden = !seen && !local;
  const facts = [];
  if (seen) {
    facts.push(['asked', seen.available ? 'yes' : 'no'], ['breaker', seen.breaker]);
    for (const [endpoint, state] of Object.entries(seen.endpoints)) facts.push([endpoint, state]);
  }
  if (local) {
    facts.push(['requests', String(local.requests)],
      ['gave', Object.entries(local.given).map(([proxy, count]) => `${proxy} ${count}`).join(', ') || 'nothing'],
      ['was told', Object.entries(local.reports).map(([report, count]) => `${report.replaceAll('_', ' ')} ${count}`).join(', ') || 'nothing']);
    if (!byId('service-buttons').children.length) {
      byId('service-buttons').append(...states(SERVICE_STATES, 'proxy service', 'local-proxy-service'));
    }
    press(byId('service-buttons').children, !local.running ? 'stopped' : local.hanging ? 'hanging' : 'running');
  }
  const list = byId('service');
  each(list, facts.flatMap(([name, value]) => [[name, true], [name, false, value]]), ([name, term]) => name + term,
    ([name, term]) => element(term ? 'dt' : 'dd', '', term ? name : undefined),
    (made, [name, term, value]) => {
      if (term) return;
      if (value && !['requests', 'gave', 'was told'].includes(name)) badge(made, value); else say(made, value);
    });
  each(byId('answers'), seen?.answers ?? [], answer => `${answer.exchange} ${answer['connection-type']}`, () => row(4), (made, answer) => {
    say(made.children[0], `${answer.exchange} ${answer['connection-type']}`);
    say(made.children[1], answer.proxy === 'none' ? 'none of its own' : named(answer.proxy));
    say(made.children[2], `${answer['age-seconds']} s of ${answer['ttl-seconds']} s`);
    say(made.children[3], `${answer['holds-for-seconds']} s`);
  });
}

function lastFallbacks(all) {
  byId('none').hidden = all.length > 0;
  each(byId('last'), all.slice(0, 12), one => one.time + one.exchange + one['connection-type'] + one.reason, () => row(4), (made, one) => {
    say(made.children[0], new Date(one.time).toLocaleTimeString());
    say(made.children[1], `${one.exchange} ${one['connection-type']}`);
    say(made.children[2], one.reason.replaceAll('_', ' '));
    say(made.children[3], withNames(one.decision));
  });
}

// --- charts

const PALETTE = { light: ['#0b57c2', '#0f6b3a', '#a3560e', '#8a1f7a', '#a3160e', '#525c6b'], dark: ['#7db4ff', '#7fdba4', '#f3c777', '#e79bdb', '#ff9d94', '#a6b1c0'] };
const charts = {};

function theme() {
  return document.documentElement.dataset.theme === 'dark' ? 'dark' : 'light';
}

function chart(id) {
  return charts[id] ??= new Chart(byId(id), {
    type: 'line',
    data: { labels: Array(POINTS).fill(''), datasets: [] },
    options: {
      animation: false, responsive: true, maintainAspectRatio: false,
      elements: { point: { radius: 0 }, line: { borderWidth: 2, stepped: true } },
      scales: { x: { display: false }, y: { beginAtZero: true, suggestedMax: 3, ticks: { precision: 0, maxTicksLimit: 4 } } },
      plugins: { legend: { position: 'bottom', labels: { boxWidth: 10, boxHeight: 10 } }, tooltip: { enabled: false } },
    },
  });
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  for (const one of Object.values(charts)) {
    one.options.scales.y.ticks.color = one.options.plugins.legend.labels.color = style.getPropertyValue('--soft');
    one.options.scales.y.grid = { color: style.getPropertyValue('--line') };
    one.data.datasets.forEach((line, index) => { line.borderColor = line.backgroundColor = PALETTE[theme()][index % 6]; });
    one.update('none');
  }
}

// A line for each name; those that have gone go on at zero.
function draw(id, values) {
  const shown = chart(id);
  const before = shown.data.datasets.length;
  for (const name of Object.keys(values)) {
    if (!shown.data.datasets.some(line => line.label === name)) {
      shown.data.datasets.push({ label: name, data: Array(POINTS).fill(null) });
    }
  }
  for (const line of shown.data.datasets) {
    line.data.push(values[line.label] ?? 0);
    line.data.shift();
  }
  if (before !== shown.data.datasets.length) colours(); else shown.update('none');
}

let counted;
let countedAt;

// What has been added in each of the last looks, by the second.
function rates(counters, time) {
  const added = {};
  const seconds = countedAt ? (time - countedAt) / 1000 : 0;
  for (const [meter, counts] of Object.entries(counters)) {
    added[meter] = {};
    for (const [name, count] of Object.entries(counts)) {
      const before = counted ? counted[meter][name] ?? 0 : count;
      added[meter][name] = seconds > 0 ? Math.max(0, count - before) / seconds : 0;
    }
  }
  counted = counters;
  countedAt = time;
  return added;
}

function counters(totals, all, time) {
  const added = rates(totals, time);
  const usable = Object.fromEntries(Object.entries(all ?? {})
    .map(([name, pool]) => [name, pool.proxies.filter(member => member.state === 'up').length]));
  const shown = { decisions: totals.decisions, fallbacks: totals.fallbacks, feedback: totals.feedback, usable };
  for (const [id, values] of Object.entries(shown)) {
    const numbers = Object.entries(values).filter(([, count]) => count > 0 || id === 'usable').map(([name, count]) => `${name.replaceAll('_', ' ')} ${count}`).join(', ') || 'none';
    const text = (id === 'usable' ? 'Now: ' : 'In all: ') + numbers;
    say(byId(id + '-text'), text);
    byId(id).setAttribute('aria-label', text);
    draw(id, id === 'usable' ? usable : added[id]);
  }
}

// --- all together

let now = Date.now();

function show(view) {
  now = view.time;
  lastView = Date.now();
  connected(true);
  const exposed = Boolean(view.proxying.pools);
  byId('not-exposed').hidden = exposed;
  for (const id of ['pools-section', 'last-section', 'configuration-section']) byId(id).hidden = !exposed;
  localProxies(view.localProxies);
  feeds(view.feeds);
  pools(view.proxying.pools);
  service(view.proxying.service, view.localProxyService);
  lastFallbacks(view.proxying.fallbacks ?? []);
  counters(view.counters, view.proxying.pools, view.time);
  const configuration = view.proxying.configuration;
  if (configuration) {
    say(byId('configuration'), configuration.state === 'initial' ? 'as at the start'
      : `${configuration.state} at ${new Date(configuration.time).toLocaleTimeString()}${configuration.problems ? ': ' + configuration.problems.join('; ') : ''}`);
  }
}

let lastView = Date.now();

function connected(is) {
  look(byId('link'), 'badge ' + (is ? 'good' : 'bad'));
  say(byId('link'), is ? 'live' : 'not connected');
  if (!is) summary(`The application does not answer. What stands here was so at ${new Date(lastView).toLocaleTimeString()}.`, 'bad');
}

const prefersDark = matchMedia('(prefers-color-scheme: dark)');

function setTheme(dark) {
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
  byId('theme').setAttribute('aria-pressed', String(dark));
  colours();
}

setTheme(prefersDark.matches);
prefersDark.addEventListener('change', change => setTheme(change.matches));
byId('theme').addEventListener('click', () => setTheme(theme() === 'light'));
byId('reload').addEventListener('click', () => post('actuator/proxies/reload', {}));

globalThis.events = new EventSource('events'); // which connects again by itself
setInterval(() => Date.now() - lastView > 2500 && connected(false), 500); // also if it hangs
events.addEventListener('error', () => connected(false));
events.addEventListener('message', event => show(JSON.parse(event.data)));
