// The chat page: people, conversations, and what the tether is doing.

import { Tether } from './tether.js';

const { user, timeoutMs, connectHeader } = document.body.dataset;
const at = (id) => document.getElementById(id);
const page = Object.fromEntries(['tether', 'state', 'left', 'rope', 'cut', 'cut-why', 'cut-code', 'cut-reason', 'again', 'kept',
  'people', 'nobody', 'with', 'log', 'compose', 'to', 'text', 'send', 'said', 'logout'].map((id) => [id, at(id)]));

/** Everybody met so far: name → { online, unread, list, button, badge, draft, pending }. */
const people = new Map();
let current = null;
let warned = false;

const DRAFTS = 'tethered.drafts';
/** Messages of a conversation that stay on the page. */
const KEPT = 500;
const saved = load();

let tether = null;
let state = 'connecting';

// --- what arrives ---------------------------------------------------------------------------------------------------

function received(subscription, headers, body) {
  const value = JSON.parse(body);
  if (subscription === 'inbox') {
    arrived(value);
  } else if (subscription === 'users') {
    for (const [name, person] of people) if (!value.includes(name)) setOnline(person, name, false);
    for (const name of value) setOnline(meet(name), name, true);
  } else {
    const online = subscription === 'in' || Number(headers.get('connections') ?? 0) > 0;
    for (const name of value) if (name !== user) setOnline(meet(name), name, online, true);
  }
}

function arrived({ to, from, message, created }) {
  const mine = from === user;
  const name = mine ? to : from;
  const person = meet(name);
  const sent = mine ? person.pending.findIndex((p) => p.message === message) : -1;
  if (sent >= 0) person.pending.splice(sent, 1)[0].item.remove();
  person.list.append(item(from, message, new Date(created)));
  while (person.list.childElementCount > KEPT) person.list.firstElementChild.remove();
  if (name === current) {
    toEnd();
  } else if (!mine) {
    person.unread += 1;
    showUnread(person);
    say(`${name} wrote to you.`);
  }
  if (document.hidden && !mine) showTitle();
}

function item(from, message, when) {
  const mine = from === user;
  const li = make('li', mine ? 'mine' : 'theirs');
  const head = make('p', 'meta');
  const who = make('span', 'from', mine ? 'You' : from);
  head.append(who);
  if (when) {
    const time = make('time', '', when.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' }));
    time.dateTime = when.toISOString();
    head.append(' ', time);
  } else {
    head.append(' ', make('span', '', 'sending…'));
  }
  li.append(head, make('p', 'words', message));
  return li;
}

// --- people ---------------------------------------------------------------------------------------------------------

function meet(name) {
  if (!people.has(name)) {
    const button = make('button', 'person');
    button.type = 'button';
    const badge = make('span', 'badge');
    const presence = make('span', 'hidden');
    button.append(make('span', 'dot'), make('span', 'name', name), presence, badge);
    button.addEventListener('click', () => { choose(name); page.text.focus(); });
    const list = make('ol', 'messages');
    list.hidden = true;
    page.log.append(list);
    people.set(name, { online: false, unread: 0, list, button, badge, presence, draft: saved.drafts[name] ?? '', pending: [] });
    const names = [...people.keys()].sort();
    page.people.replaceChildren(...names.map((n) => {
      const li = document.createElement('li');
      li.append(people.get(n).button);
      return li;
    }));
    page.nobody.hidden = true;
  }
  return people.get(name);
}

function setOnline(person, name, online, tell = false) {
  if (tell && person.online !== online) say(`${name} ${online ? 'came' : 'left'}.`);
  person.online = online;
  person.button.dataset.online = online;
  person.presence.textContent = online ? ', here' : ', away';
  if (current === null && online) choose(name);
}

function choose(name) {
  if (current !== null) {
    const before = people.get(current);
    before.draft = page.text.value;
    before.list.hidden = true;
    before.button.removeAttribute('aria-current');
  }
  const person = meet(name);
  current = name;
  person.list.hidden = false;
  person.button.setAttribute('aria-current', 'true');
  person.unread = 0;
  showUnread(person);
  page.with.textContent = `Conversation with ${name}`;
  page.to.textContent = `Message to ${name}`;
  page.text.value = person.draft;
  toEnd();
  save();
  enable();
}

function showUnread(person) {
  person.badge.textContent = person.unread ? `${person.unread}` : '';
  if (person.unread) person.badge.append(make('span', 'hidden', ' unread'));
  showTitle();
}

function showTitle() {
  const unread = [...people.values()].reduce((sum, person) => sum + person.unread, 0);
  const cut = state === 'ended' ? 'Cut off · ' : '';
  document.title = `${cut}${unread ? `(${unread}) ` : ''}tethered · ${user}`;
}

// --- writing --------------------------------------------------------------------------------------------------------

page.compose.addEventListener('submit', (event) => {
  event.preventDefault();
  const message = page.text.value.trim();
  if (current === null || message === '' || !tether.send('/app/im', { to: current, message })) return;
  const person = people.get(current);
  const li = item(user, message, null);
  li.classList.add('pending');
  person.list.append(li);
  person.pending.push({ message, item: li });
  page.text.value = '';
  person.draft = '';
  save();
  toEnd();
});

page.text.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  page.compose.requestSubmit();
});

page.text.addEventListener('input', () => {
  if (current !== null) people.get(current).draft = page.text.value;
  save();
});

/** What was sent and has not come back may be lost: it becomes text to be sent again. */
function takeBack() {
  for (const [name, person] of people) {
    if (person.pending.length === 0) continue;
    const lost = person.pending.map((p) => p.message);
    person.pending.forEach((p) => p.item.remove());
    person.pending = [];
    person.draft = [...lost, person.draft].filter((text) => text !== '').join('\n');
    if (name === current) page.text.value = person.draft;
  }
  save();
}

function enable() {
  page.send.disabled = state !== 'live' || current === null;
  page.text.readOnly = state === 'ended';
}

// --- what was being written outlives the login, in this tab only and for this user only ----------------------------------

function load() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(DRAFTS) ?? '{}');
    if (kept.user === user) return { current: kept.current ?? null, drafts: kept.drafts ?? {} };
  } catch { /* Not ours, or not to be had: begin with nothing. */ }
  return { current: null, drafts: {} };
}

function save() {
  const drafts = {};
  for (const [name, person] of people) if (person.draft) drafts[name] = person.draft;
  try {
    sessionStorage.setItem(DRAFTS, JSON.stringify({ user, current, drafts }));
  } catch { /* A browser that keeps nothing keeps no drafts either. */ }
  return Object.keys(drafts).length > 0;
}

page.logout.addEventListener('submit', () => {
  tether.leave();
  try {
    sessionStorage.removeItem(DRAFTS);
  } catch { /* There was none. */ }
});

// --- the tether -----------------------------------------------------------------------------------------------------

function showState(now, { code, reason, ms, early }) {
  state = now;
  page.tether.dataset.state = state;
  document.body.dataset.tether = state;
  page.state.textContent = {
    connecting: 'Connecting…',
    live: 'Live',
    waiting: `Not connected${code ? ` (${code}${reason ? ` ${reason}` : ''})` : reason ? ` (${reason})` : ''}. Trying again in ${Math.ceil(ms / 1000)} s.`,
    ended: 'Cut off',
    leaving: 'Logging out…',
  }[state];
  if (state === 'waiting' || state === 'ended') takeBack();
  if (state === 'ended') showCut(code, reason, early);
  enable();
  showTime();
  showTitle();
}

function showCut(code, reason, early) {
  page['cut-why'].textContent = code === null
    ? 'Your login ended while this page was not connected.'
    : early
      ? 'Your login was ended before its time, most likely by a log out in another tab.'
      : `You sent nothing for ${span(timeoutMs)}, so your login ended, and this connection with it.`;
  page['cut-code'].textContent = code === null ? '' : `Close code ${code}:`;
  page['cut-reason'].textContent = reason;
  page['cut-reason'].hidden = reason === '';
  page.kept.hidden = !save();
  for (const person of people.values()) person.presence.textContent = '';
  page.cut.hidden = false;
  page.again.focus();
}

function wound() {
  warned = false;
  page.rope.classList.remove('wound');
  void page.rope.offsetWidth;
  page.rope.classList.add('wound');
  showTime();
}

function showTime() {
  if (!tether) return;
  const left = tether.leftMs();
  const on = state === 'live' || state === 'connecting' || state === 'waiting';
  const low = on && left < Math.min(10_000, timeoutMs / 4);
  page.tether.toggleAttribute('data-low', low);
  page.rope.style.setProperty('--left', on ? left / timeoutMs : 0);
  page.left.textContent = !on ? '' : left > 0 ? `${clock(left)} left` : 'time is up, by this page’s count';
  if (low && !warned && left > 0 && timeoutMs >= 20_000) {
    warned = true;
    say(`${Math.ceil(left / 1000)} seconds left. A message you send winds the tether up again.`);
  }
}

/** 0:09, 12:00, 3:04:05, 2 days. */
function clock(ms) {
  const seconds = Math.ceil(ms / 1000);
  if (seconds >= 172_800) return `${Math.floor(seconds / 86_400)} days`;
  const two = (n) => String(n).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  const rest = `${hours ? two(Math.floor(seconds / 60) % 60) : Math.floor(seconds / 60)}:${two(seconds % 60)}`;
  return hours ? `${hours}:${rest}` : rest;
}

function span(ms) {
  const seconds = Math.round(ms / 100) / 10;
  return seconds >= 120 ? `${Math.round(seconds / 60)} minutes` : `${seconds} second${seconds === 1 ? '' : 's'}`;
}

// --- small things -----------------------------------------------------------------------------------------------------

function make(tag, className = '', text = '') {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

function say(text) {
  page.said.textContent = text;
}

function toEnd() {
  page.log.scrollTop = page.log.scrollHeight;
}

for (const name of Object.keys(saved.drafts)) meet(name);
if (saved.current !== null && people.has(saved.current)) choose(saved.current);
addEventListener('pageshow', (event) => event.persisted && location.reload());
tether = new Tether({
  user,
  timeoutMs: Number(timeoutMs),
  proof: connectHeader ? { [connectHeader]: page.logout.elements._csrf.value } : {},
  subscriptions: {
    inbox: '/user/queue/messages',
    in: '/topic/friends/signin',
    out: '/topic/friends/signout',
    users: '/app/users',
  },
  on: { state: showState, wound, message: received },
});
setInterval(showTime, 250);
addEventListener('visibilitychange', showTime);
