// The tether: a connection that is kept up as long as the login lives, and the time that the login has left.

import { Connection } from './stomp.js';

/**
 * States: `connecting`, `live`, `waiting` (for the network or the server; it tries again), `ended` (the login is over:
 * it does not), `leaving` (the user is logging out).
 *
 * It calls `on.state(state, detail)`, `on.wound()` when the time begins anew, `on.message(subscription, headers, body)`.
 *
 * The time left is this page's own count: the server's is the one that matters. It begins anew with what this browser
 * sends, as the server's does: a page's request, CONNECT, SUBSCRIBE, SEND. What arrives changes nothing.
 */
export class Tether {
  state = 'connecting';
  #connection = null;
  #active = 0;
  #attempt = 0;
  #timer = 0;
  #steady = 0;
  #channel = null;

  /** `proof`: headers of CONNECT that show whose page this is; none if the server does not ask for it. */
  constructor({ user, timeoutMs, proof, subscriptions, on }) {
    Object.assign(this, { user, timeoutMs, proof, subscriptions, on });
    if ('BroadcastChannel' in window) {
      this.#channel = new BroadcastChannel('tethered');
      this.#channel.onmessage = ({ data }) => data === user && this.#wind(false);
      this.#channel.postMessage(user);
    }
    addEventListener('online', () => this.state === 'waiting' && this.#retry());
    this.#connect();
  }

  /** Milliseconds that the login has left, by this page's count. */
  leftMs() {
    return Math.max(0, this.timeoutMs - (performance.now() - this.#active));
  }

  /** Sends JSON. Says whether it could. */
  send(destination, value) {
    return this.state === 'live' && this.#connection.send(destination, value);
  }

  /** The user is logging out: what closes now is meant. */
  leave() {
    this.#become('leaving');
  }

  #connect() {
    this.#become('connecting');
    const patience = setTimeout(() => connection.close(), PATIENCE_MS);
    let error = '';
    const connection = new Connection(open(), this.proof, {
      sent: () => this.#wind(true),
      error: (text) => { error = text; },
      message: (...message) => this.on.message(...message),
      connected: (headers) => {
        clearTimeout(patience);
        if (headers.get('user-name') !== this.user) {
          location.reload();
          return;
        }
        for (const [id, destination] of Object.entries(this.subscriptions)) connection.subscribe(id, destination);
        this.#steady = setTimeout(() => { this.#attempt = 0; }, STEADY_MS);
        this.#become('live');
      },
      closed: (code, reason) => {
        clearTimeout(patience);
        clearTimeout(this.#steady);
        if (this.state === 'leaving') return;
        if (code === POLICY) this.#end(code, reason);
        else this.#wait(code, reason || error);
      },
    });
    this.#connection = connection;
  }

  #wait(code, reason) {
    const most = Math.min(LONGEST_WAIT_MS, SHORTEST_WAIT_MS * 2 ** this.#attempt);
    const ms = most / 2 + Math.random() * most / 2;
    this.#attempt += 1;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#retry(), ms);
    this.#become('waiting', { code, reason, ms });
  }

  /**
   * A refused handshake does not say why; a request does. It is answered 302 if the login has ended, and else with the
   * token of the login that there is now: it may be another one of the same user.
   */
  async #retry() {
    clearTimeout(this.#timer);
    let answer;
    let proof = this.proof;
    try {
      answer = await fetch('/csrf', { redirect: 'manual', cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS) });
      if (answer.ok && Object.keys(proof).length > 0) {
        const { headerName, token } = await answer.json();
        proof = { [headerName]: token };
      }
    } catch {
      answer = null;
    }
    if (this.state !== 'waiting') return;
    this.proof = proof;
    if (answer?.type === 'opaqueredirect') this.#end(null, '');
    else if (answer?.ok) this.#connect();
    else this.#wait(null, 'the server does not answer');
  }

  #end(code, reason) {
    this.#become('ended', { code, reason, early: this.leftMs() > EARLY_MS });
    this.#channel?.close();
  }

  #wind(tell) {
    this.#active = performance.now();
    if (tell) this.#channel?.postMessage(this.user);
    this.on.wound();
  }

  #become(state, detail = {}) {
    this.state = state;
    this.on.state(state, detail);
  }
}

/**
 * What the page talks over: a plain WebSocket. With `?transport=NAME` in its address, and sockjs-client in the page, it is that
 * transport of SockJS.
 */
function open() {
  const transport = new URLSearchParams(location.search).get('transport');
  if (transport && window.SockJS) return new window.SockJS('/messages', null, { transports: [transport] });
  const url = new URL('/messages/websocket', location.href);
  url.protocol = url.protocol.replace('http', 'ws');
  return new WebSocket(url, ['v12.stomp']);
}

/** The close code of a login that has ended. */
const POLICY = 1008;
/** How long a handshake, CONNECT or request may take. */
const PATIENCE_MS = 10_000;
const SHORTEST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
/** A connection that held for so long was a good one. */
const STEADY_MS = 5_000;
/** With more time left than this, it was not time that ended the login. */
const EARLY_MS = 1_500;
