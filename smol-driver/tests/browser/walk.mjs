// A walk through the demo in headless Chromium, with a server that is already running.
//
//   node walk.mjs BASE_URL [--timeout SECONDS] [--shots FOLDER] [--users rob:password,luke:password] [--only WORD]
//
// --timeout is the server's --session-timeout (8 by default; at least 4). It takes about eight times as long and a
// minute. --shots writes screenshots there. CHROMIUM names the browser (/usr/bin/chromium). The exit code is 0 if all
// passed, 1 if not, 2 if it could not run.
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    timeout: { type: 'string', default: '8' },
    shots: { type: 'string' },
    users: { type: 'string', default: 'rob:password,luke:password' },
    only: { type: 'string', default: '' },
  },
});
const base = positionals[0]?.replace(/\/$/, '');
const T = Number(options.timeout) * 1000;
if (!base || !(T >= 4000)) {
  console.error('node walk.mjs BASE_URL [--timeout SECONDS, at least 4] [--shots FOLDER]');
  process.exit(2);
}
if (options.shots) mkdirSync(options.shots, { recursive: true });
const [rob, luke] = options.users.split(',').map((u) => ({ name: u.split(':')[0], password: u.slice(u.indexOf(':') + 1) }));

const REASON = 'This connection was established under an authenticated HTTP Session that has expired';
const SHAPES = { desktop: { width: 1280, height: 800 }, phone: { width: 375, height: 667 } };

setTimeout(() => {
  console.error('the walk took too long');
  process.exit(1);
}, 8 * T + 180_000).unref();

// --- small tools ------------------------------------------------------------------------------------------------------

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function assert(truth, what) {
  if (!truth) throw new Error(what);
}

function equal(got, wanted, what) {
  assert(got === wanted, `${what}: ${JSON.stringify(got)} instead of ${JSON.stringify(wanted)}`);
}

/** Looks until it is true, and answers what it saw. */
async function until(what, look, ms = 5000) {
  const end = Date.now() + ms;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (Date.now() > end) throw new Error(`waited ${ms} ms in vain for: ${what}`);
    await pause(20);
  }
}

/** What is watched in every page: each WebSocket with what it sent and how it closed, and violations of the CSP. */
function watch() {
  window.sockets = [];
  window.violations = [];
  document.addEventListener('securitypolicyviolation', (e) => window.violations.push(`${e.violatedDirective} ${e.blockedURI}`));
  window.WebSocket = class extends WebSocket {
    constructor(...args) {
      super(...args);
      const seen = { socket: this, sent: [], received: 0, closed: null };
      window.sockets.push(seen);
      this.addEventListener('message', () => { seen.received += 1; });
      this.addEventListener('close', (e) => { seen.closed = { code: e.code, reason: e.reason, at: Date.now() }; });
    }

    send(data) {
      window.sockets.find((seen) => seen.socket === this).sent.push({ at: Date.now(), command: data.split('\n')[0] });
      super.send(data);
    }
  };
}

const troubles = [];
let forgiving = false;
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update'],
});

async function context(settings = {}) {
  const made = await browser.newContext({ viewport: SHAPES.desktop, ignoreHTTPSErrors: true, ...settings });
  await made.addInitScript(watch);
  return made;
}

async function tab(inside) {
  const page = await inside.newPage();
  page.setDefaultTimeout(5000);
  page.on('console', (m) => { if (['error', 'warning'].includes(m.type()) && !forgiving) troubles.push(`console: ${m.text()}`); });
  page.on('pageerror', (e) => troubles.push(`script: ${e.message}`));
  page.on('requestfinished', () => { page.asked = Date.now(); });
  return page;
}

async function fillIn(page, { name, password }) {
  await page.fill('input[name=username]', name);
  await page.fill('input[name=password]', password);
  await page.click('button[type=submit]');
}

const state = (page) => page.getAttribute('#tether', 'data-state');
const live = (page) => until('the page to be live', async () => (await state(page)) === 'live');

/** Somebody logged in, in a browser of their own: their page, live. */
async function signIn(user, settings) {
  const page = await tab(await context(settings));
  await page.goto(`${base}/`);
  await fillIn(page, user);
  await page.waitForURL(`${base}/`);
  await live(page);
  return page;
}

async function open(page, name) {
  await page.click(`.person:has(.name:text-is("${name}"))`);
}

async function write(page, text) {
  await page.fill('#text', text);
  await page.press('#text', 'Enter');
}

const shown = (page) => page.locator('.messages:not([hidden]) li:not(.pending) .words').allTextContents();
const sees = (page, text) => until(`"${text}" to be seen`, async () => (await shown(page)).includes(text));
/** By the page's own count. Chromium slows the timers of pages that are behind others. */
const leftMs = async (page) => {
  await page.bringToFront();
  return Number(await page.locator('#rope').evaluate((rope) => rope.style.getPropertyValue('--left'))) * T;
};
const closing = (page) => page.evaluate(() => window.sockets.at(-1).closed);
const lastSent = (page) => page.evaluate(() => window.sockets.at(-1).sent.at(-1).at);

async function shoot(page, name) {
  if (!options.shots) return;
  for (const [shape, size] of Object.entries(SHAPES)) {
    for (const colorScheme of ['light', 'dark']) {
      await page.setViewportSize(size);
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: join(options.shots, `${name}-${shape}-${colorScheme}.png`) });
    }
  }
  await page.setViewportSize(SHAPES.desktop);
  await page.emulateMedia({ colorScheme: 'light' });
}

async function leave(...pages) {
  for (const page of pages) {
    const violations = await page.evaluate(() => window.violations).catch(() => []);
    troubles.push(...violations.map((v) => `policy: ${v}`));
    await page.context().close();
  }
}

let passed = 0;
let failed = 0;

async function step(name, walk) {
  if (!name.includes(options.only)) return;
  try {
    await walk();
    equal(troubles.splice(0).join('; '), '', 'troubles in the console');
    passed += 1;
    console.log(`ok    ${name}`);
  } catch (error) {
    troubles.length = 0;
    failed += 1;
    console.log(`FAIL  ${name}\n      ${error.message.split('\n')[0]}`);
    for (const left of browser.contexts()) await left.close();
  }
  forgiving = false;
}

// --- the walk ---------------------------------------------------------------------------------------------------------

await step('a stranger is led to the login, and a wrong password leads nowhere', async () => {
  const page = await tab(await context());
  await page.goto(`${base}/`);
  equal(page.url(), `${base}/login`, 'the address');
  await shoot(page, 'login');
  await fillIn(page, { name: rob.name, password: 'wrong' });
  await page.waitForURL(`${base}/login?error`);
  assert((await page.textContent('.notice')).includes('do not belong together'), 'the page says so');
  equal(await page.inputValue('input[name=password]'), '', 'the password is not kept');
  await shoot(page, 'login-wrong');
  await leave(page);
});

await step('two people see each other, and each what the other writes', async () => {
  const [r, l] = [await signIn(rob), await signIn(luke)];
  equal(await r.locator('input[type=password]').count(), 0, 'password fields on the chat page');
  await open(r, luke.name);
  await open(l, rob.name);
  await write(r, 'Hello there.');
  for (const page of [r, l]) await sees(page, 'Hello there.');
  await write(l, 'Hello yourself.\nHow is the tether?');
  await write(r, 'Holding.');
  for (const page of [r, l]) {
    await sees(page, 'Holding.');
    await sees(page, 'Hello yourself.\nHow is the tether?');
    equal(await page.locator('.pending').count(), 0, 'messages still on their way');
  }
  equal(await r.locator('.mine').count(), 2, 'messages of one’s own');
  await shoot(r, 'chat');
  await leave(l);
  await until('luke to be seen going', async () => (await r.getAttribute('.person', 'data-online')) === 'false');
  await leave(r);
});

await step('markup in a message is text', async () => {
  const evil = '<img src=x onerror="window.evil=1"><script>window.evil=1</script> &amp; "quotes"';
  const [r, l] = [await signIn(rob), await signIn(luke)];
  await open(r, luke.name);
  await open(l, rob.name);
  await write(r, evil);
  for (const page of [r, l]) {
    await sees(page, evil);
    equal(await page.locator('#log img, #log script').count(), 0, 'elements made of it');
    equal(await page.evaluate(() => window.evil), undefined, 'what it did');
  }
  await leave(r, l);
});

await step('the countdown is wound up by what one sends and by nothing that comes', async () => {
  const [r, l] = [await signIn(rob), await signIn(luke)];
  await open(r, luke.name);
  await open(l, rob.name);
  await write(r, 'wind');
  await until('a fresh count', async () => (await leftMs(r)) > T - 500);
  await pause(1500);
  const before = await leftMs(r);
  assert(before < T - 1300 && before > T - 2500, `after 1.5 s of silence ${before} ms are left`);
  await write(l, 'this does not count');
  await sees(r, 'this does not count');
  await pause(300);
  const after = await leftMs(r);
  assert(after < before, `a message that came wound it up: ${before} to ${after} ms`);
  await write(r, 'this does');
  await until('a fresh count', async () => (await leftMs(r)) > T - 500);
  assert(/^\d+:\d\d left$/.test(await r.textContent('#left')), 'it is told in figures too');
  await leave(r, l);
});

await step('a tab of the same login winds the count of the other', async () => {
  const [r, l] = [await signIn(rob), await signIn(luke)];
  const second = await tab(r.context());
  await second.goto(`${base}/`);
  await live(second);
  await open(second, luke.name);
  await pause(1200);
  assert((await leftMs(r)) < T - 1000, 'it runs down');
  await write(second, 'for both');
  await until('the other tab to count anew', async () => (await leftMs(r)) > T - 500);
  await leave(r, l);
});

await step('a lost connection comes back, and what was being written stays', async () => {
  forgiving = true;
  const [r, l] = [await signIn(rob), await signIn(luke)];
  await open(r, luke.name);
  await r.fill('#text', 'half a thought');
  await r.context().setOffline(true);
  await r.evaluate(() => window.sockets.at(-1).socket.close(4001));
  await until('the page to say so', async () => (await state(r)) === 'waiting');
  assert(await r.isDisabled('#send'), 'nothing can be sent meanwhile');
  await shoot(r, 'waiting');
  await r.context().setOffline(false);
  await live(r);
  equal(await r.inputValue('#text'), 'half a thought', 'the text');
  await r.press('#text', 'Enter');
  await sees(r, 'half a thought');
  await leave(r, l);
});

await step('writing every half timeout keeps one in; only receiving does not', async () => {
  const [r, l] = [await signIn(rob), await signIn(luke)];
  await open(r, luke.name);
  await open(l, rob.name);
  await l.fill('#text', 'not sent in time');
  const end = Date.now() + 3 * T;
  let n = 0;
  for (let next = Date.now(); next < end; next += T / 2) {
    await pause(Math.max(0, next - Date.now()));
    await write(r, `still here ${n += 1}`);
    await sees(r, `still here ${n}`);
  }
  await pause(Math.max(0, end - Date.now()));
  equal(await state(r), 'live', 'who wrote');

  const closed = await closing(l);
  assert(closed, 'who only received is still connected');
  equal(closed.code, 1008, 'the close code');
  equal(closed.reason, REASON, 'the reason');
  const lived = closed.at - Math.max(await lastSent(l), l.asked);
  assert(lived > T - 200 && lived <= T + 1000, `closed ${lived} ms after the last thing sent, with a timeout of ${T} ms`);
  console.log(`      closed ${lived - T} ms after the end`);
  assert((await shown(l)).length >= 2, 'it did receive until then');
  equal(await l.evaluate(() => window.sockets.length), 1, 'it does not try to connect again');

  equal(await state(l), 'ended', 'the tether');
  for (const [where, text] of [['#cut-why', 'You sent nothing for'], ['#cut-code', '1008'], ['#cut-reason', REASON], ['#kept', 'kept in this tab']]) {
    assert((await l.textContent(where)).includes(text) && await l.isVisible(where), `${where} says ${text}`);
  }
  equal(await l.evaluate(() => document.activeElement.id), 'again', 'what has the focus');
  const count = (await shown(l)).length;
  await write(r, 'does anybody hear me?');
  await sees(r, 'does anybody hear me?');
  await pause(300);
  equal((await shown(l)).length, count, 'messages after the end');
  await shoot(l, 'cut');

  await l.press('#again', 'Enter');
  await l.waitForURL(`${base}/login`);
  await fillIn(l, luke);
  await l.waitForURL(`${base}/`);
  await live(l);
  await open(l, rob.name);
  equal(await l.inputValue('#text'), 'not sent in time', 'the text is back');
  await leave(r, l);
});

await step('a logout cuts every other tab of that login at once, and nobody else', async () => {
  const [r, elsewhere, l] = [await signIn(rob), await signIn(rob), await signIn(luke)];
  const other = await tab(r.context());
  await other.goto(`${base}/`);
  await live(other);
  await open(other, luke.name);
  const at = Date.now();
  await r.click('#logout button');
  await r.waitForURL(`${base}/login?logout`);
  assert((await r.textContent('.notice')).includes('You are logged out'), 'the login page says so');
  const closed = await until('the other tab to be cut', () => closing(other), 2000);
  assert(closed.at - at < 1000, `it took ${closed.at - at} ms`);
  equal(closed.code, 1008, 'the close code');
  equal(closed.reason, REASON, 'the reason');
  assert((await other.textContent('#cut-why')).includes('before its time'), 'it says why');
  await shoot(other, 'logged-out');
  for (const page of [elsewhere, l]) {
    equal(await state(page), 'live', 'the others');
    equal(await closing(page), null, 'their sockets');
  }
  await open(l, rob.name);
  await write(l, 'are you there?');
  await sees(l, 'are you there?');
  await open(elsewhere, luke.name);
  await sees(elsewhere, 'are you there?');
  await leave(r, elsewhere, l);
});

await step('a tab that missed the end is told so when it comes back', async () => {
  forgiving = true;
  const page = await signIn(rob);
  await page.context().setOffline(true);
  await page.evaluate(() => window.sockets.at(-1).socket.close(4001));
  await until('the page to wait', async () => (await state(page)) === 'waiting');
  await page.context().clearCookies({ name: 'SESSION' });
  await page.context().setOffline(false);
  await until('the page to see that the login is gone', async () => (await state(page)) === 'ended', 20_000);
  assert((await page.textContent('#cut-why')).includes('while this page was not connected'), 'it says so');
  await leave(page);
});

await step('it can be used with the keyboard alone, and fits a phone', async () => {
  const [r, l] = [await signIn(rob), await signIn(luke)];
  await until('luke to be there', async () => (await r.locator('.person').count()) > 0);
  const stops = [];
  await r.evaluate(() => { document.activeElement.blur(); window.scrollTo(0, 0); });
  for (let i = 0; i < 6; i += 1) {
    await r.keyboard.press('Tab');
    stops.push(await r.evaluate(() => document.activeElement.id || document.activeElement.className || document.activeElement.textContent));
  }
  equal(stops.join(' '), 'skip quiet person log text send', 'the order of Tab');
  const nameless = await r.evaluate(() => [...document.querySelectorAll('button, a, input:not([type=hidden]), textarea')]
    .filter((e) => !(e.textContent.trim() || e.labels?.length)).map((e) => e.outerHTML));
  equal(nameless.join(), '', 'controls without a name');
  await r.setViewportSize(SHAPES.phone);
  await write(r, `${'long'.repeat(60)} and some words to wrap`);
  await until('it to be seen', async () => (await shown(r)).length > 0);
  for (const page of [r]) {
    equal(await page.evaluate(() => document.scrollingElement.scrollWidth), SHAPES.phone.width, 'the width');
    assert(await page.evaluate(() => document.scrollingElement.scrollHeight <= innerHeight), 'the writing field is on the screen');
    const small = await page.evaluate(() => [...document.querySelectorAll('button, a.button')].filter((b) => b.offsetHeight && b.offsetHeight < 44).map((b) => b.textContent));
    equal(small.join(), '', 'buttons too small for a thumb');
  }
  await leave(r, l);
});

// By its name in the page's address, and how its requests end.
const TRANSPORTS = { websocket: 'websocket', 'xhr-streaming': 'xhr_streaming', eventsource: 'eventsource', 'xhr-polling': 'xhr' };
const SOCKJS = createRequire(import.meta.url).resolve('sockjs-client/dist/sockjs.min.js');

for (const [transport, ending] of Object.entries(TRANSPORTS)) {
  await step(`by SockJS over ${transport}: chat, a logout, and the end of who only receives`, async () => {
    // An answer that is given up is an error to the browser.
    forgiving = true;
    const over = async (page) => {
      await page.context().addInitScript({ path: SOCKJS });
      const used = new Set();
      const note = (url) => used.add(new URL(url).pathname.split('/').at(-1));
      page.on('request', (request) => note(request.url()));
      page.on('websocket', (socket) => note(socket.url()));
      await page.goto(`${base}/?transport=${transport}`);
      await live(page);
      page.since = Date.now();
      assert(used.has(ending), `${ending} is not among ${[...used].join(' ')}`);
      const others = [...used].filter((name) => Object.values(TRANSPORTS).includes(name) && name !== ending);
      equal(others.join(), '', 'other ways that were taken');
    };
    const [r, l] = [await signIn(rob), await signIn(luke)];
    const other = await tab(r.context());
    for (const page of [r, other, l]) await over(page);
    await open(r, luke.name);
    await open(l, rob.name);
    const { since } = l;
    for (let n = 1; Date.now() < since + T + 500; n += 1) {
      await write(r, `written ${n}`);
      await sees(r, `written ${n}`);
      if (Date.now() < since + T - 1000) await sees(l, `written ${n}`);
      if (n === 1) equal(await l.locator('.mine').count(), 0, 'messages of who only receives');
      await pause(T / 4);
    }
    equal(await state(r), 'live', 'who wrote');
    await until('the end of who only received', async () => (await state(l)) === 'ended', 1000);
    for (const [where, text] of [['#cut-code', '1008'], ['#cut-reason', REASON]]) {
      assert((await l.textContent(where)).includes(text), `${where} says ${text}`);
    }
    const count = (await shown(l)).length;

    equal(await state(other), 'live', 'the other tab');
    await r.click('#logout button');
    await r.waitForURL(`${base}/login?logout`);
    await until('the other tab to be cut', async () => (await state(other)) === 'ended', 1000);
    equal(await other.textContent('#cut-code'), await l.textContent('#cut-code'), 'the code');
    equal((await shown(l)).length, count, 'messages after the end');
    await leave(r, l);
  });
}

await browser.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed || !passed ? 1 : 0);
