// STOMP 1.2 over one WebSocket, or what looks like one: what the chat page needs of it, and nothing more.

/**
 * Frames out of WebSocket messages, however they are cut: `{ command, headers, body }`. Throws at what is no STOMP. Of a
 * header that is there twice the first counts. In CONNECTED a backslash is a backslash (STOMP 1.2, "Value Encoding").
 */
export class Decoder {
  #bytes = new Uint8Array(0);

  /** Takes a WebSocket message and returns the frames that are whole now. */
  feed(data) {
    const more = typeof data === 'string' ? encoder.encode(data) : new Uint8Array(data);
    const all = new Uint8Array(this.#bytes.length + more.length);
    all.set(this.#bytes);
    all.set(more, this.#bytes.length);
    this.#bytes = all;
    const frames = [];
    for (let frame = this.#next(); frame; frame = this.#next()) frames.push(frame);
    return frames;
  }

  #next() {
    let start = 0;
    while (this.#bytes[start] === LF || this.#bytes[start] === CR) start += 1;
    const lines = [];
    for (let from = start; ;) {
      const end = this.#bytes.indexOf(LF, from);
      if (end < 0) return this.#keep(start);
      const line = decoder.decode(this.#bytes.subarray(from, end)).replace(/\r$/, '');
      from = end + 1;
      if (line !== '') {
        lines.push(line);
        continue;
      }
      // The head is whole; it is read again if the body is not, which a server that sends whole frames never causes.
      const headers = readHeaders(lines.slice(1), lines[0] !== 'CONNECTED');
      const length = headers.get('content-length');
      const stop = length === undefined ? this.#bytes.indexOf(NUL, from) : from + Number(length);
      if (stop < 0 || stop >= this.#bytes.length) return this.#keep(start);
      if (this.#bytes[stop] !== NUL) throw new Error('a frame does not end where it says');
      const body = decoder.decode(this.#bytes.subarray(from, stop));
      this.#bytes = this.#bytes.slice(stop + 1);
      return { command: lines[0], headers, body };
    }
  }

  #keep(start) {
    this.#bytes = this.#bytes.slice(start);
    return null;
  }
}

/** A frame as text. */
export function encode(command, headers, body = '') {
  const escaped = command !== 'CONNECT';
  const lines = Object.entries(headers).map(([name, value]) => (escaped ? `${escape(name)}:${escape(value)}` : `${name}:${value}`));
  return `${[command, ...lines].join('\n')}\n\n${body}\0`;
}

/**
 * A STOMP connection on a WebSocket that is being opened, whose CONNECT has these further headers. It calls
 * `on.connected(headers)`, `on.message(subscription, headers, body)`, `on.error(text)`, `on.sent()` for each frame sent, and at
 * its end `on.closed(code, reason)`, once.
 */
export class Connection {
  #socket;
  #decoder = new Decoder();
  #connected = false;

  constructor(socket, headers, on) {
    this.#socket = socket;
    this.#socket.binaryType = 'arraybuffer';
    this.#socket.onopen = () => this.#write(on, 'CONNECT', { 'accept-version': '1.2', host: location.host, 'heart-beat': '0,0', ...headers });
    this.#socket.onclose = (event) => {
      this.#connected = false;
      on.closed(event.code, event.reason);
    };
    this.#socket.onmessage = (event) => {
      let frames = [];
      try {
        frames = this.#decoder.feed(event.data);
      } catch (error) {
        on.error(error.message);
        this.close();
      }
      for (const frame of frames) this.#take(on, frame);
    };
    this.subscribe = (id, destination) => this.#write(on, 'SUBSCRIBE', { id, destination });
    this.send = (destination, value) => this.#connected
      && this.#write(on, 'SEND', { destination, 'content-type': 'application/json' }, JSON.stringify(value));
  }

  /** Closes it. `on.closed` follows. */
  close() {
    this.#socket.close();
  }

  #take(on, { command, headers, body }) {
    if (command === 'MESSAGE') {
      on.message(headers.get('subscription'), headers, body);
    } else if (command === 'CONNECTED') {
      this.#connected = true;
      on.connected(headers);
    } else if (command === 'ERROR') {
      on.error(headers.get('message') ?? body);
    }
  }

  #write(on, command, headers, body) {
    if (this.#socket.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(encode(command, headers, body));
    on.sent();
    return true;
  }
}

function readHeaders(lines, escaped) {
  const plain = escaped ? unescape : (text) => text;
  const headers = new Map();
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = plain(line.slice(0, colon));
    if (!headers.has(name)) headers.set(name, plain(line.slice(colon + 1)));
  }
  return headers;
}

const escape = (text) => text.replace(/[\\\r\n:]/g, (c) => ESCAPES[c]);
const unescape = (text) => text.replace(/\\[rnc\\]/g, (c) => PLAIN[c]);

const ESCAPES = { '\\': '\\\\', '\r': '\\r', '\n': '\\n', ':': '\\c' };
const PLAIN = { '\\\\': '\\', '\\r': '\r', '\\n': '\n', '\\c': ':' };
const NUL = 0;
const LF = 10;
const CR = 13;
const encoder = new TextEncoder();
const decoder = new TextDecoder();
