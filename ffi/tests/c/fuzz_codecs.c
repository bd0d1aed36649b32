/* The codecs through the C ABI. What bytes mean does not depend on where they are cut, and what is written is read as it was
 * meant. An input is what is tried (a digit), how (a digit: who reads, and the version), the limit, two bytes that cut, and
 * then what it is tried with. */
#include "fuzz.h"

/* What a decoder made of bytes, one thing after the other. */
typedef struct transcript {
  size_t len;
  uint8_t bytes[1 << 20];
} transcript;

static transcript whole, parts;

static void note(transcript *said, const void *bytes, size_t len) {
  CHECK(len <= sizeof said->bytes - said->len);
  if (len) memcpy(said->bytes + said->len, bytes, len);
  said->len += len;
}

static void note_number(transcript *said, uint64_t number) { note(said, &number, sizeof number); }

static void note_slice(transcript *said, tethered_slice slice) {
  note_number(said, slice.len);
  note(said, slice.ptr, slice.len);
}

static void note_headers(transcript *said, const tethered_header *headers, size_t count) {
  for (size_t i = 0; i < count; i++) note_slice(said, headers[i].name), note_slice(said, headers[i].value);
}

static void expect_the_same(const char *what) {
  if (whole.len != parts.len || memcmp(whole.bytes, parts.bytes, whole.len) != 0) failed(what, 0, "depends on where it is cut");
}

/* Pieces as large as all, of one byte (of what is not too long for that), or of any size. */
enum cuts { NONE, EVERYWHERE, ANYWHERE };

static uint64_t chance;

static size_t piece(enum cuts cuts, size_t rest) {
  if (cuts == NONE) return rest;
  if (cuts == EVERYWHERE) return rest / 2048 + 1;
  chance ^= chance << 13, chance ^= chance >> 7, chance ^= chance << 17;
  const size_t size = (size_t)(chance >> 32) % ((size_t)1 << (1 + (chance & 7)));
  return size < rest ? size : rest;
}

static void decode_ws(uint32_t role, uint64_t limit, tethered_slice bytes, enum cuts cuts, transcript *said) {
  tethered_ws_decoder *decoder = NULL;
  int32_t status = TETHERED_MORE;
  said->len = 0;
  CHECK(tethered_ws_decoder_new(role, limit, &decoder) == TETHERED_OK);
  for (size_t from = 0, size; from < bytes.len && status == TETHERED_MORE; from += size) {
    size = piece(cuts, bytes.len - from);
    uint8_t *own = exact(bytes.ptr + from, size);
    size_t done = 0;
    do {
      tethered_ws_message message = {0};
      size_t used = SIZE_MAX;
      status = fine(tethered_ws_decode(decoder, own + done, size - done, &used, &message, sizeof message));
      CHECK(used <= size - done && status != TETHERED_E_ARGUMENT);
      CHECK(status != TETHERED_MORE || used == size - done);
      CHECK(status != TETHERED_OK || used > 0);
      done += used;
      if (status == TETHERED_MORE) break;
      note_number(said, (uint64_t)status), note_number(said, message.kind), note_number(said, message.code);
      note_slice(said, message.data);
    } while (status == TETHERED_OK);
    free(own);
  }
  /* For ever after the first time, with the same words. */
  if (status == TETHERED_E_PROTOCOL) {
    tethered_ws_message again = {0};
    uint8_t byte = 0x81;
    size_t used, from = said->len;
    CHECK(tethered_ws_decode(decoder, &byte, 1, &used, &again, sizeof again) == TETHERED_E_PROTOCOL);
    note_slice(said, again.data);
    CHECK(from >= said->len - from && memcmp(said->bytes + from, said->bytes + from - (said->len - from), said->len - from) == 0);
  }
  tethered_ws_decoder_free(decoder);
}

static void decode_stomp(uint32_t role, uint32_t version, uint64_t limit, tethered_slice bytes, enum cuts cuts, transcript *said) {
  tethered_stomp_decoder *decoder = NULL;
  int32_t status = TETHERED_MORE;
  const int agreed = version <= 12;
  said->len = 0;
  if (!agreed) version = 10;
  CHECK(tethered_stomp_decoder_new(role, limit, &decoder) == TETHERED_OK);
  for (size_t from = 0, size; from < bytes.len && status == TETHERED_MORE; from += size) {
    size = piece(cuts, bytes.len - from);
    uint8_t *own = exact(bytes.ptr + from, size);
    size_t done = 0;
    do {
      tethered_stomp_frame frame = {0};
      size_t used = SIZE_MAX;
      status = fine(tethered_stomp_decode(decoder, version, own + done, size - done, &used, &frame, sizeof frame));
      CHECK(used <= size - done && status != TETHERED_E_ARGUMENT);
      CHECK(status != TETHERED_MORE || used == size - done);
      CHECK(status != TETHERED_OK || used > 0);
      done += used;
      if (status == TETHERED_MORE) break;
      note_number(said, (uint64_t)status), note_number(said, frame.command), note_number(said, frame.n_headers);
      note_headers(said, frame.headers, frame.n_headers), note_slice(said, frame.body);
      /* As a server and a client do that agree upon 1.2. */
      if (!agreed && (frame.command == TETHERED_STOMP_CONNECT || frame.command == TETHERED_STOMP_CONNECTED)) version = 12;
    } while (status == TETHERED_OK);
    CHECK(size == 0 || memcmp(own, bytes.ptr + from, size) == 0);
    free(own);
  }
  tethered_stomp_decoder_free(decoder);
}

static void ws_in_any_cut(uint32_t role, uint64_t limit, tethered_slice bytes) {
  decode_ws(role, limit, bytes, NONE, &whole);
  decode_ws(role, limit, bytes, EVERYWHERE, &parts), expect_the_same("a WebSocket, byte by byte,");
  decode_ws(role, limit, bytes, ANYWHERE, &parts), expect_the_same("a WebSocket");
}

static void stomp_in_any_cut(uint32_t role, uint32_t version, uint64_t limit, tethered_slice bytes) {
  decode_stomp(role, version, limit, bytes, NONE, &whole);
  decode_stomp(role, version, limit, bytes, EVERYWHERE, &parts), expect_the_same("STOMP, byte by byte,");
  decode_stomp(role, version, limit, bytes, ANYWHERE, &parts), expect_the_same("STOMP");
}

/* A head is read once it is whole, no earlier, and is written as it was read. */
static void heads_and_masks(uint32_t role) {
  uint8_t *bytes = exact(input, left), *same = exact(input, left), written[14];
  tethered_ws_head head, again;
  int32_t status = TETHERED_MORE;
  size_t len = 0;
  for (; len <= left && status == TETHERED_MORE; len += status == TETHERED_MORE) {
    uint8_t *begun = exact(bytes, len);
    status = fine(tethered_ws_parse_head(begun, len, role, &head));
    free(begun);
  }
  CHECK(status != TETHERED_E_ARGUMENT && (status != TETHERED_MORE || left < 14));
  if (status == TETHERED_OK) {
    CHECK(head.head_len == len && tethered_ws_parse_head(bytes, left, role, &again) == TETHERED_OK);
    CHECK(memcmp(&head, &again, sizeof head) == 0);
    CHECK(tethered_ws_write_head(&head, written) == len && memcmp(written, bytes, len) == 0);
    tethered_ws_mask(bytes, left, head.mask, 0);
    for (size_t at = 0, size; at < left; at += size) {
      size = piece(ANYWHERE, left - at);
      tethered_ws_mask(same + at, size, head.mask, at);
    }
    CHECK(left == 0 || memcmp(bytes, same, left) == 0);
  }
  char accept[29];
  status = fine(tethered_ws_accept_key((const char *)same, left < 24 ? left : 24, accept));
  CHECK(status == TETHERED_OK ? strlen(accept) == 28 : status == TETHERED_E_PROTOCOL);
  free(bytes);
  free(same);
}

static uint8_t wire[1 << 15];
static size_t wired;

/* Whole characters of these are a text, in whatever fragments it comes. */
static const char TEXT[] = "gr\xc3\xbc\xc3\x9f dich \xe2\x9c\x93 \xf0\x9f\x98\x80 ";

static void wire_frame(uint32_t role, uint8_t opcode, uint8_t fin, uint8_t *payload, size_t len) {
  tethered_ws_head head = {.payload_len = len, .opcode = opcode, .fin = fin, .masked = role == TETHERED_SERVER};
  if (head.masked)
    for (size_t i = 0; i < 4; i++) head.mask[i] = (uint8_t)take(1);
  const size_t size = tethered_ws_write_head(&head, wire + wired);
  CHECK(size >= 2 && size <= 14);
  wired += size;
  if (len) memcpy(wire + wired, payload, len);
  if (head.masked) tethered_ws_mask(wire + wired, len, head.mask, 0);
  wired += len;
}

static void said_to_parts(uint32_t kind, uint32_t code, tethered_slice data) {
  note_number(&parts, TETHERED_OK), note_number(&parts, kind), note_number(&parts, code), note_slice(&parts, data);
}

/* Messages in fragments, with control frames between them, are read as they were meant, and a Close is the last thing. */
static void ws_written_is_read(uint32_t role) {
  static uint8_t message[sizeof wire], payload[4200];
  const uint32_t codes[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4500, 4999};
  size_t gathered = 0, at = 0;
  uint8_t kind = 0;
  int over = 0;
  wired = 0, parts.len = 0;
  while (left > 0 && !over && wired < 3 * sizeof payload) {
    const uint64_t what = take(1);
    if (what < 16) {
      const uint8_t opcode = what % 2 ? TETHERED_WS_PING : TETHERED_WS_PONG;
      const size_t len = (size_t)take(1) % 126;
      for (size_t i = 0; i < len; i++) payload[i] = (uint8_t)take(1);
      said_to_parts(opcode, 0, (tethered_slice){payload, len});
      wire_frame(role, opcode, 1, payload, len);
    } else if (what < 20) {
      const uint32_t code = codes[take(1) % (sizeof codes / sizeof codes[0])];
      const size_t len = (size_t)take(1) % 124;
      payload[0] = (uint8_t)(code >> 8), payload[1] = (uint8_t)code;
      for (size_t i = 0; i < len; i++) payload[2 + i] = (uint8_t)(take(1) & 0x7f);
      said_to_parts(TETHERED_WS_CLOSE, code, (tethered_slice){payload + 2, len});
      wire_frame(role, TETHERED_WS_CLOSE, 1, payload, 2 + len);
      over = 1;
    } else {
      const uint8_t fin = what % 2;
      size_t len = what < 200 ? (size_t)what % 70 : (size_t)take(2) % 4100;
      const uint8_t opcode = kind == 0 ? (what & 2 ? TETHERED_WS_TEXT : TETHERED_WS_BINARY) : 0;
      if (opcode) kind = opcode, gathered = at = 0;
      for (size_t i = 0; i < len; i++) payload[i] = kind == TETHERED_WS_TEXT ? (uint8_t)TEXT[at++ % (sizeof TEXT - 1)] : (uint8_t)(len < 100 ? take(1) : i);
      if (kind == TETHERED_WS_TEXT && fin)
        while (((uint8_t)TEXT[at % (sizeof TEXT - 1)] & 0xc0) == 0x80) payload[len++] = (uint8_t)TEXT[at++ % (sizeof TEXT - 1)];
      if (len) memcpy(message + gathered, payload, len);
      gathered += len;
      wire_frame(role, opcode, fin, payload, len);
      if (fin) said_to_parts(kind, 0, (tethered_slice){message, gathered}), kind = 0;
    }
  }
  for (enum cuts cuts = NONE; cuts <= ANYWHERE; cuts++) {
    decode_ws(role, 0, (tethered_slice){wire, wired}, cuts, &whole);
    if (whole.len != parts.len || memcmp(whole.bytes, parts.bytes, whole.len) != 0) failed("a WebSocket", 0, "is not read as written");
  }
}

static int is_ascii(tethered_slice slice) {
  for (size_t i = 0; i < slice.len; i++)
    if (slice.ptr[i] >= 0x80) return 0;
  return 1;
}

static int holds(tethered_slice slice, uint8_t byte) { return slice.len > 0 && memchr(slice.ptr, byte, slice.len) != NULL; }

/* NUL cannot be written in any version, CR not before 1.2, LF not before 1.1, and in 1.0 a name ends at its first colon. */
static int writable(uint32_t version, const tethered_header *header) {
  const tethered_slice both[2] = {header->name, header->value};
  if (header->name.len == 0 || (version == 10 && holds(header->name, ':'))) return 0;
  for (size_t i = 0; i < 2; i++)
    if (holds(both[i], 0) || (version < 12 && holds(both[i], '\r')) || (version < 11 && holds(both[i], '\n'))) return 0;
  return 1;
}

static tethered_slice stretch(size_t len) {
  if (len > left) len = left;
  const tethered_slice slice = {input, len};
  input += len, left -= len;
  return slice;
}

static void stomp_written_is_read(uint32_t version) {
  /* What the commands need. Of repeated headers the first counts, so that nothing else that is written matters. */
  tethered_header headers[24] = {header("destination", "/a"), header("id", "1"), header("message-id", "1"),
                                 header("subscription", "1"), header("transaction", "1"), header("receipt-id", "1"),
                                 header("content-type", "a/b"), header("accept-version", "1.2"), header("host", "h"),
                                 header("version", "1.2")};
  const uint32_t command = 1 + (uint32_t)take(1) % 15;
  const int of_server = command >= TETHERED_STOMP_CONNECTED;
  const int plain = command == TETHERED_STOMP_CONNECT || command == TETHERED_STOMP_STOMP || command == TETHERED_STOMP_CONNECTED;
  const int has_body = command == TETHERED_STOMP_SEND || command == TETHERED_STOMP_MESSAGE || command == TETHERED_STOMP_ERROR;
  size_t count = 10, written = 0, more = (size_t)take(1) % 14;
  if (version > 12) version = 12;
  int ascii = 1;
  for (; more > 0; more--) {
    headers[count].name = stretch((size_t)take(1) % 40), headers[count].value = stretch((size_t)take(1) % 90);
    ascii = ascii && is_ascii(headers[count].name) && is_ascii(headers[count].value);
    if (!is(headers[count].name, "content-length")) count++;
  }
  const tethered_slice body = has_body ? stretch(left) : (tethered_slice){NULL, 0};
  size_t len = 0, same = 0;
  int32_t status = fine(tethered_stomp_encode(version, command, headers, count, body, NULL, 0, &len));
  CHECK(status == TETHERED_MORE || (status == TETHERED_E_ARGUMENT && !ascii));
  if (status != TETHERED_MORE) return;
  uint8_t *out = exact(wire, len);
  CHECK(tethered_stomp_encode(version, command, headers, count, body, out, len - 1, &same) == TETHERED_MORE && same == len);
  CHECK(memcmp(out, wire, len) == 0);
  CHECK(tethered_stomp_encode(version, command, headers, count, body, out, len, &same) == TETHERED_OK && same == len);
  char length[24];
  snprintf(length, sizeof length, "%zu", body.len);
  for (size_t i = 0; i < count; i++)
    if (writable(plain ? 10 : version, &headers[i])) headers[written++] = headers[i];
  if (body.len) headers[written++] = header("content-length", length);
  parts.len = 0;
  note_number(&parts, TETHERED_OK), note_number(&parts, command), note_number(&parts, written);
  note_headers(&parts, headers, written), note_slice(&parts, body);
  for (enum cuts cuts = NONE; cuts <= ANYWHERE; cuts++) {
    decode_stomp(of_server ? TETHERED_CLIENT : TETHERED_SERVER, version, 0, (tethered_slice){out, len}, cuts, &whole);
    if (whole.len != parts.len || memcmp(whole.bytes, parts.bytes, whole.len) != 0) failed("STOMP", 0, "is not read as written");
  }
  free(out);
}

enum { TEXTS = 16 };

/* The texts of an array, each noted; a status. What is read of them is room for them, which is the caller's to free. */
static int32_t read_texts(const uint8_t *json, size_t len, tethered_slice *texts, size_t *count, uint8_t **room) {
  size_t ends[TEXTS] = {0};
  *room = exact(json, len);
  *count = 0;
  const int32_t status = fine(tethered_sockjs_decode(json, len, *room, ends, TEXTS, count));
  CHECK(status != TETHERED_E_ARGUMENT && (status != TETHERED_MORE || *count > TEXTS));
  if (status != TETHERED_OK) return status;
  CHECK(*count <= TEXTS);
  for (size_t i = 0; i < *count; i++) {
    const size_t from = i ? ends[i - 1] : 0;
    CHECK(from <= ends[i] && ends[i] <= len);
    texts[i] = (tethered_slice){*room + from, ends[i] - from};
  }
  return TETHERED_OK;
}

static uint8_t *sockjs_frame(uint32_t frame, const tethered_slice *texts, size_t count, uint32_t code, size_t *len) {
  size_t same = 0;
  CHECK(tethered_sockjs_encode(frame, texts, count, code, NULL, 0, len) == TETHERED_MORE && *len > 0);
  uint8_t *out = calloc(1, *len);
  CHECK(out != NULL && tethered_sockjs_encode(frame, texts, count, code, out, *len - 1, &same) == TETHERED_MORE && same == *len);
  for (size_t i = 0; i < *len; i++) CHECK(out[i] == 0);
  CHECK(tethered_sockjs_encode(frame, texts, count, code, out, *len, &same) == TETHERED_OK && same == *len);
  return out;
}

/* What a decoder gave is written, and read as the same. */
static void texts_stay(const tethered_slice *texts, size_t count) {
  size_t len = 0, again = 0;
  tethered_slice same[TEXTS];
  uint8_t *room, *json = sockjs_frame(TETHERED_SOCKJS_MESSAGES, texts, count, 0, &len);
  CHECK(json[0] == 'a' && read_texts(json + 1, len - 1, same, &again, &room) == TETHERED_OK && again == count);
  for (size_t i = 0; i < count; i++)
    CHECK(same[i].len == texts[i].len && (same[i].len == 0 || memcmp(same[i].ptr, texts[i].ptr, same[i].len) == 0));
  free(room);
  free(json);
}

static void sockjs_is_read(void) {
  tethered_slice texts[TEXTS];
  size_t count;
  uint8_t *bytes = exact(input, left), *room;
  if (read_texts(bytes, left, texts, &count, &room) == TETHERED_OK) texts_stay(texts, count);
  free(room);
  free(bytes);
}

static void sockjs_written_is_read(void) {
  tethered_slice given[TEXTS], texts[TEXTS];
  size_t n = (size_t)take(1) % (TEXTS + 1), count = 0, len = 0;
  const uint32_t code = (uint32_t)take(2);
  for (size_t i = 0; i < n; i++) given[i] = stretch((size_t)take(1));
  uint8_t *room, *json = sockjs_frame(TETHERED_SOCKJS_MESSAGES, given, n, 0, &len);
  CHECK(read_texts(json + 1, len - 1, texts, &count, &room) == TETHERED_OK && count == n);
  for (size_t i = 0; i < n; i++)
    CHECK(!is_ascii(given[i]) || (given[i].len == texts[i].len && (given[i].len == 0 || memcmp(given[i].ptr, texts[i].ptr, given[i].len) == 0)));
  /* What was not UTF-8 is by now, so that it stays as it is. */
  texts_stay(texts, count);
  if (n > 0) {
    size_t size = 0, reasons = 0;
    tethered_slice reason[TEXTS];
    uint8_t *same, *close = sockjs_frame(TETHERED_SOCKJS_CLOSE, texts, 1, code, &size), *comma = memchr(close, ',', size);
    CHECK(close[0] == 'c' && close[1] == '[' && comma != NULL && strtoul((const char *)close + 2, NULL, 10) == code);
    *comma = '[';
    CHECK(read_texts(comma, size - (size_t)(comma - close), reason, &reasons, &same) == TETHERED_OK && reasons == 1);
    CHECK(reason[0].len == texts[0].len && (reason[0].len == 0 || memcmp(reason[0].ptr, texts[0].ptr, reason[0].len) == 0));
    free(same);
    free(close);
  }
  free(room);
  free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  input = bytes, left = len;
  const uint64_t what = take(1), how = take(1), limit = take(1);
  const uint32_t role = how & 1 ? TETHERED_CLIENT : TETHERED_SERVER, version = 10 + (uint32_t)(how >> 1) % 4;
  /* Below 128 there is none of its own. */
  const uint64_t most = limit < 128 ? 0 : limit - 127;
  chance = take(2) | 1u << 20;
  switch (what % 8) {
  case 0: ws_in_any_cut(role, most, (tethered_slice){input, left}); break;
  case 1: stomp_in_any_cut(role, version, most, (tethered_slice){input, left}); break;
  case 2: sockjs_is_read(); break;
  case 3: ws_written_is_read(role); break;
  case 4: stomp_written_is_read(version); break;
  case 5: sockjs_written_is_read(); break;
  default: heads_and_masks(role); break;
  }
  return 0;
}
