// The page's STOMP, without a browser: node --test
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Decoder, encode } from '../../pages/stomp.js';

const plain = (frames) => frames.map(({ command, headers, body }) => [command, Object.fromEntries(headers), body]);

test('a frame is written with its headers escaped, but for CONNECT', () => {
  assert.equal(encode('SEND', { destination: '/app/a:b', x: 'a\\b\nc\rd' }, '{}'), 'SEND\ndestination:/app/a\\cb\nx:a\\\\b\\nc\\rd\n\n{}\0');
  assert.equal(encode('CONNECT', { host: 'localhost:8080' }), 'CONNECT\nhost:localhost:8080\n\n\0');
});

test('frames are read alike, however they are cut', () => {
  const text = '\n\r\nCONNECTED\r\nversion:1.2\r\nuser-name:a:b\\c\r\n\r\n\0\n'
    + 'MESSAGE\nsubscription:in\nx\\c:1\\n2\\\\n\nx\\c:later\ncontent-length:5\n\né\0ab\0\n\n'
    + 'ERROR\nmessage:no\n\nwhy\0';
  const bytes = new TextEncoder().encode(text);
  const wanted = [
    ['CONNECTED', { version: '1.2', 'user-name': 'a:b\\c' }, ''],
    ['MESSAGE', { subscription: 'in', 'x:': '1\n2\\n', 'content-length': '5' }, 'é\0ab'],
    ['ERROR', { message: 'no' }, 'why'],
  ];
  assert.deepEqual(plain(new Decoder().feed(text)), wanted);
  const decoder = new Decoder();
  assert.deepEqual(plain([...bytes].flatMap((byte) => decoder.feed(Uint8Array.of(byte).buffer))), wanted);
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    const split = new Decoder();
    const frames = [...split.feed(bytes.slice(0, cut).buffer), ...split.feed(bytes.slice(cut).buffer)];
    assert.deepEqual(plain(frames), wanted, `cut at ${cut}`);
  }
});

test('what is not whole waits', () => {
  const decoder = new Decoder();
  assert.deepEqual(decoder.feed('MESSAGE\ncontent-length:3\n\nab'), []);
  assert.deepEqual(decoder.feed('c'), []);
  assert.deepEqual(plain(decoder.feed('\0')), [['MESSAGE', { 'content-length': '3' }, 'abc']]);
  assert.throws(() => new Decoder().feed('MESSAGE\ncontent-length:3\n\nabcd\0'), /does not end where it says/);
  assert.deepEqual(plain(new Decoder().feed('A\n\nx\0B\n\n\0C')), [['A', {}, 'x'], ['B', {}, '']]);
});
