/* The codecs alone: as they are meant, in every cut, with NULL and without room. */
#include "check.h"

/* RFC 6455 section 5.7. */
static const uint8_t HELLO[] = {0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58};
static const uint8_t PARTS[] = {0x01, 0x83, 0, 0, 0, 0, 'H', 'e', 'l', 0x89, 0x81, 1, 1, 1, 1, 'p' ^ 1,
                                0x80, 0x82, 0, 0, 0, 0, 'l', 'o'};
static const uint8_t GOODBYE[] = {0x88, 0x85, 0, 0, 0, 0, 0x03, 0xe8, 'b', 'y', 'e'};

static void heads(void) {
  tethered_ws_head head, same;
  uint8_t out[14];
  for (size_t len = 0; len < 6; len++) {
    uint8_t *bytes = exact(HELLO, len);
    CHECK(tethered_ws_parse_head(bytes, len, TETHERED_SERVER, &head) == TETHERED_MORE);
    free(bytes);
  }
  CHECK(tethered_ws_parse_head(HELLO, 6, TETHERED_SERVER, &head) == TETHERED_OK);
  CHECK(head.payload_len == 5 && head.head_len == 6 && head.opcode == TETHERED_WS_TEXT && head.fin == 1 && head.masked == 1);
  CHECK(memcmp(head.mask, HELLO + 2, 4) == 0);
  CHECK(tethered_ws_parse_head(HELLO, 6, TETHERED_CLIENT, &head) == TETHERED_E_PROTOCOL);
  CHECK(tethered_ws_parse_head(HELLO, 6, 2, &head) == TETHERED_E_ARGUMENT);
  CHECK(tethered_ws_parse_head(HELLO, 6, TETHERED_SERVER, NULL) == TETHERED_E_ARGUMENT);
  CHECK(tethered_ws_parse_head(NULL, 6, TETHERED_SERVER, &head) == TETHERED_E_ARGUMENT);
  CHECK(tethered_ws_parse_head(NULL, 0, TETHERED_SERVER, &head) == TETHERED_MORE);
  const uint64_t lens[] = {0, 1, 125, 126, 65535, 65536, (uint64_t)INT64_MAX};
  for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++)
    for (uint8_t masked = 0; masked < 2; masked++) {
      head = (tethered_ws_head){.payload_len = lens[i], .opcode = TETHERED_WS_BINARY, .fin = 1, .masked = masked};
      if (masked) memcpy(head.mask, "abcd", 4);
      size_t written = tethered_ws_write_head(&head, out);
      CHECK(written >= 2 && written <= 14);
      CHECK(tethered_ws_parse_head(out, written, masked ? TETHERED_SERVER : TETHERED_CLIENT, &same) == TETHERED_OK);
      head.head_len = (uint32_t)written;
      CHECK(memcmp(&head, &same, sizeof head) == 0);
    }
  CHECK(tethered_ws_write_head(NULL, out) == 0 && tethered_ws_write_head(&head, NULL) == 0);
  head = (tethered_ws_head){.opcode = 3, .fin = 1};
  CHECK(tethered_ws_write_head(&head, out) == 0);
  head = (tethered_ws_head){.opcode = TETHERED_WS_PING, .fin = 1, .payload_len = 126};
  CHECK(tethered_ws_write_head(&head, out) == 0);
  head.payload_len = 125, CHECK(tethered_ws_write_head(&head, out) == 2);
}

static void masks_and_keys(void) {
  uint8_t bytes[32], cut[32];
  const uint8_t key[4] = {1, 2, 3, 4};
  char accept[29];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = cut[i] = (uint8_t)i;
  tethered_ws_mask(bytes, sizeof bytes, key, 0);
  for (size_t i = 0; i < sizeof bytes; i++) CHECK(bytes[i] == (i ^ key[i % 4]));
  for (size_t i = 0; i < sizeof cut; i++) tethered_ws_mask(cut + i, 1, key, i);
  CHECK(memcmp(bytes, cut, sizeof bytes) == 0);
  tethered_ws_mask(NULL, 0, key, 3);
  tethered_ws_mask(NULL, 1, key, 3);
  tethered_ws_mask(bytes, 1, NULL, 3);
  CHECK(memcmp(bytes, cut, sizeof bytes) == 0);
  CHECK(tethered_ws_accept_key("dGhlIHNhbXBsZSBub25jZQ==", 24, accept) == TETHERED_OK);
  CHECK(strcmp(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == 0);
  CHECK(tethered_ws_accept_key("dGhlIHNhbXBsZSBub25jZQ==", 23, accept) == TETHERED_E_PROTOCOL);
  CHECK(tethered_ws_accept_key(NULL, 24, accept) == TETHERED_E_ARGUMENT);
  CHECK(tethered_ws_accept_key("x", 1, NULL) == TETHERED_E_ARGUMENT);
}

/* What a decoder makes of bytes that come in steps of so many. */
static void decode(tethered_ws_decoder *decoder, const uint8_t *bytes, size_t len, size_t step, char *said, size_t room) {
  *said = 0;
  for (size_t from = 0; from < len; from += step) {
    size_t size = len - from < step ? len - from : step, done = 0, used;
    uint8_t *piece = exact(bytes + from, size);
    tethered_ws_message message;
    int32_t status;
    while ((status = tethered_ws_decode(decoder, piece + done, size - done, &used, &message, sizeof message)) != TETHERED_MORE) {
      size_t at = strlen(said);
      snprintf(said + at, room - at, "%d:%u:%u:%.*s;", (int)status, message.kind, message.code, (int)message.data.len,
               message.data.len ? (const char *)message.data.ptr : "");
      if (status != TETHERED_OK) break;
      done += used;
    }
    free(piece);
    if (status != TETHERED_MORE) return;
  }
}

static void frames_in_every_cut(void) {
  for (size_t step = 1; step <= sizeof PARTS; step++) {
    tethered_ws_decoder *decoder = NULL;
    char said[256];
    CHECK(tethered_ws_decoder_new(TETHERED_SERVER, 0, &decoder) == TETHERED_OK);
    decode(decoder, PARTS, sizeof PARTS, step, said, sizeof said);
    CHECK(strcmp(said, "0:9:0:p;0:1:0:Hello;") == 0);
    decode(decoder, HELLO, sizeof HELLO, step, said, sizeof said);
    CHECK(strcmp(said, "0:1:0:Hello;") == 0);
    decode(decoder, GOODBYE, sizeof GOODBYE, step, said, sizeof said);
    CHECK(strcmp(said, "0:8:1000:bye;") == 0);
    tethered_ws_decoder_free(decoder);
  }
}

static void what_is_wrong_with_frames(void) {
  tethered_ws_decoder *decoder = NULL;
  tethered_ws_message message = {.kind = 77};
  char said[256];
  size_t used = 77;
  uint8_t byte = 0x81;
  CHECK(tethered_ws_decoder_new(2, 0, &decoder) == TETHERED_E_ARGUMENT && decoder == NULL);
  CHECK(tethered_ws_decoder_new(TETHERED_SERVER, 0, NULL) == TETHERED_E_ARGUMENT);
  CHECK(tethered_ws_decoder_new(TETHERED_SERVER, 4, &decoder) == TETHERED_OK);
  CHECK(tethered_ws_decode(NULL, &byte, 1, &used, &message, sizeof message) == TETHERED_E_ARGUMENT);
  CHECK(tethered_ws_decode(decoder, &byte, 1, NULL, &message, sizeof message) == TETHERED_E_ARGUMENT);
  CHECK(tethered_ws_decode(decoder, &byte, 1, &used, NULL, sizeof message) == TETHERED_E_ARGUMENT);
  CHECK(tethered_ws_decode(decoder, &byte, 1, &used, &message, 0) == TETHERED_E_ARGUMENT);
  CHECK(tethered_ws_decode(decoder, &byte, 1, &used, &message, 7) == TETHERED_E_ARGUMENT);
  CHECK(tethered_ws_decode(decoder, NULL, 1, &used, &message, sizeof message) == TETHERED_E_ARGUMENT);
  CHECK(used == 77 && message.kind == 77);
  CHECK(tethered_ws_decode(decoder, NULL, 0, &used, &message, sizeof message) == TETHERED_MORE && used == 0);
  for (int again = 0; again < 2; again++) {
    decode(decoder, HELLO, sizeof HELLO, sizeof HELLO, said, sizeof said);
    CHECK(strncmp(said, "-7:8:1009:", 10) == 0 && strlen(said) > 12);
  }
  /* An old caller's struct is filled as far as it goes. */
  struct {
    uint32_t kind, code, canary[2];
  } old = {.canary = {7, 7}};
  CHECK(tethered_ws_decode(decoder, &byte, 1, &used, (tethered_ws_message *)(void *)&old, 8) == TETHERED_E_PROTOCOL);
  CHECK(old.code == 1009 && old.canary[0] == 7 && old.canary[1] == 7);
  tethered_ws_decoder_free(decoder);
  tethered_ws_decoder_free(NULL);
}

static const char TALK[] = "CONNECT\naccept-version:1.2\n\n\0\nSEND\ndestination:/topic/a\nx\\cy:1\\n2\n\nhello\0";

/* What a decoder makes of bytes that come in steps of so many. */
static void parse(tethered_stomp_decoder *decoder, const char *bytes, size_t len, size_t step, char *said, size_t room) {
  uint32_t version = 10;
  *said = 0;
  for (size_t from = 0; from < len; from += step) {
    size_t size = len - from < step ? len - from : step, done = 0, used;
    uint8_t *piece = exact(bytes + from, size);
    tethered_stomp_frame frame;
    int32_t status;
    while ((status = tethered_stomp_decode(decoder, version, piece + done, size - done, &used, &frame, sizeof frame)) !=
           TETHERED_MORE) {
      size_t at = strlen(said);
      snprintf(said + at, room - at, "%d:%u:", (int)status, frame.command);
      for (size_t i = 0; i < frame.n_headers; i++) {
        const tethered_header *h = &frame.headers[i];
        at = strlen(said);
        snprintf(said + at, room - at, "%.*s=%.*s,", (int)h->name.len, (const char *)h->name.ptr, (int)h->value.len,
                 (const char *)h->value.ptr);
      }
      at = strlen(said);
      snprintf(said + at, room - at, "%.*s;", (int)frame.body.len, frame.body.len ? (const char *)frame.body.ptr : "");
      if (status != TETHERED_OK) break;
      if (frame.command == TETHERED_STOMP_CONNECT) version = 12;
      done += used;
    }
    free(piece);
    if (status != TETHERED_MORE) return;
  }
}

static void stomp_in_every_cut(void) {
  for (size_t step = 1; step < sizeof TALK; step++) {
    tethered_stomp_decoder *decoder = NULL;
    char said[512];
    CHECK(tethered_stomp_decoder_new(TETHERED_SERVER, 0, &decoder) == TETHERED_OK);
    parse(decoder, TALK, sizeof TALK - 1, step, said, sizeof said);
    CHECK(strcmp(said, "0:1:accept-version=1.2,;0:0:;0:3:destination=/topic/a,x:y=1\n2,hello;") == 0);
    tethered_stomp_decoder_free(decoder);
  }
}

static void what_is_wrong_with_stomp(void) {
  tethered_stomp_decoder *decoder = NULL;
  tethered_stomp_frame frame = {.command = 77};
  char said[256];
  size_t used = 77;
  uint8_t byte = 'S';
  CHECK(tethered_stomp_decoder_new(9, 0, &decoder) == TETHERED_E_ARGUMENT && decoder == NULL);
  CHECK(tethered_stomp_decoder_new(TETHERED_CLIENT, 0, NULL) == TETHERED_E_ARGUMENT);
  CHECK(tethered_stomp_decoder_new(TETHERED_SERVER, 20, &decoder) == TETHERED_OK);
  CHECK(tethered_stomp_decode(NULL, 12, &byte, 1, &used, &frame, sizeof frame) == TETHERED_E_ARGUMENT);
  CHECK(tethered_stomp_decode(decoder, 13, &byte, 1, &used, &frame, sizeof frame) == TETHERED_E_ARGUMENT);
  CHECK(tethered_stomp_decode(decoder, 12, &byte, 1, NULL, &frame, sizeof frame) == TETHERED_E_ARGUMENT);
  CHECK(tethered_stomp_decode(decoder, 12, &byte, 1, &used, NULL, sizeof frame) == TETHERED_E_ARGUMENT);
  CHECK(tethered_stomp_decode(decoder, 12, &byte, 1, &used, &frame, 4) == TETHERED_E_ARGUMENT);
  CHECK(tethered_stomp_decode(decoder, 12, NULL, 1, &used, &frame, sizeof frame) == TETHERED_E_ARGUMENT);
  CHECK(used == 77 && frame.command == 77);
  for (int again = 0; again < 2; again++) {
    parse(decoder, TALK, sizeof TALK - 1, 100, said, sizeof said);
    CHECK(strncmp(said, "-7:15:", 6) == 0 && strlen(said) > 8);
  }
  tethered_stomp_decoder_free(decoder);
  tethered_stomp_decoder_free(NULL);
}

static void what_is_written_is_read(void) {
  const tethered_header headers[2] = {header("destination", "/topic/a"), header("x:y", "1\n2")};
  static const char expected[] = "SEND\ndestination:/topic/a\nx\\cy:1\\n2\ncontent-length:5\n\nhello";
  uint8_t out[256];
  size_t len = 77;
  CHECK(tethered_stomp_encode(12, TETHERED_STOMP_SEND, headers, 2, text("hello"), NULL, 0, &len) == TETHERED_MORE);
  CHECK(len == sizeof expected);
  for (size_t capacity = 0; capacity < len; capacity++) {
    uint8_t *room = exact(expected, capacity);
    memset(room, 7, capacity);
    CHECK(tethered_stomp_encode(12, TETHERED_STOMP_SEND, headers, 2, text("hello"), room, capacity, &len) == TETHERED_MORE);
    for (size_t i = 0; i < capacity; i++) CHECK(room[i] == 7);
    free(room);
  }
  CHECK(tethered_stomp_encode(12, TETHERED_STOMP_SEND, headers, 2, text("hello"), out, sizeof out, &len) == TETHERED_OK);
  CHECK(len == sizeof expected && memcmp(out, expected, len) == 0);
  CHECK(tethered_stomp_encode(9, TETHERED_STOMP_SEND, headers, 2, text(""), out, sizeof out, &len) == TETHERED_E_ARGUMENT);
  CHECK(tethered_stomp_encode(12, TETHERED_STOMP_HEART_BEAT, NULL, 0, text(""), out, sizeof out, &len) == TETHERED_E_ARGUMENT);
  CHECK(tethered_stomp_encode(12, 99, NULL, 0, text(""), out, sizeof out, &len) == TETHERED_E_ARGUMENT);
  CHECK(tethered_stomp_encode(12, TETHERED_STOMP_SEND, NULL, 1, text(""), out, sizeof out, &len) == TETHERED_E_ARGUMENT);
  CHECK(tethered_stomp_encode(12, TETHERED_STOMP_SEND, headers, 2, text(""), out, sizeof out, NULL) == TETHERED_E_ARGUMENT);
  CHECK(tethered_stomp_encode(12, TETHERED_STOMP_SEND, headers, 2, text(""), NULL, 9, &len) == TETHERED_E_ARGUMENT);
  const tethered_header bad = header("x", "\xff");
  CHECK(tethered_stomp_encode(12, TETHERED_STOMP_SEND, &bad, 1, text(""), out, sizeof out, &len) == TETHERED_E_ARGUMENT);
}

static void sockjs_frames(void) {
  const tethered_slice texts[2] = {text("a\"b"), text("\xc3\xa9")}, reason = text("Go away!");
  struct {
    uint32_t frame, code;
    const tethered_slice *texts;
    size_t n;
    const char *expected;
  } cases[] = {{TETHERED_SOCKJS_OPEN, 0, NULL, 0, "o"},
               {TETHERED_SOCKJS_HEART_BEAT, 0, NULL, 0, "h"},
               {TETHERED_SOCKJS_MESSAGES, 0, texts, 2, "a[\"a\\\"b\",\"\xc3\xa9\"]"},
               {TETHERED_SOCKJS_MESSAGES, 0, NULL, 0, "a[]"},
               {TETHERED_SOCKJS_CLOSE, 3000, &reason, 1, "c[3000,\"Go away!\"]"}};
  uint8_t out[64];
  size_t len = 0;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    size_t expected = strlen(cases[i].expected);
    CHECK(tethered_sockjs_encode(cases[i].frame, cases[i].texts, cases[i].n, cases[i].code, NULL, 0, &len) == TETHERED_MORE);
    CHECK(len == expected);
    uint8_t *room = exact(out, len);
    CHECK(tethered_sockjs_encode(cases[i].frame, cases[i].texts, cases[i].n, cases[i].code, room, len - 1, &len) == TETHERED_MORE);
    CHECK(tethered_sockjs_encode(cases[i].frame, cases[i].texts, cases[i].n, cases[i].code, room, len, &len) == TETHERED_OK);
    CHECK(memcmp(room, cases[i].expected, len) == 0);
    free(room);
  }
  CHECK(tethered_sockjs_encode(0, NULL, 0, 0, out, sizeof out, &len) == TETHERED_E_ARGUMENT);
  CHECK(tethered_sockjs_encode(TETHERED_SOCKJS_OPEN, texts, 1, 0, out, sizeof out, &len) == TETHERED_E_ARGUMENT);
  CHECK(tethered_sockjs_encode(TETHERED_SOCKJS_CLOSE, NULL, 0, 65536, out, sizeof out, &len) == TETHERED_E_ARGUMENT);
  CHECK(tethered_sockjs_encode(TETHERED_SOCKJS_MESSAGES, NULL, 1, 0, out, sizeof out, &len) == TETHERED_E_ARGUMENT);
  CHECK(tethered_sockjs_encode(TETHERED_SOCKJS_OPEN, NULL, 0, 0, out, sizeof out, NULL) == TETHERED_E_ARGUMENT);
}

static void sockjs_messages(void) {
  static const char json[] = " [\"one\", \"t\\u00e9\\n\", \"\"] ";
  uint8_t *bytes = exact(json, sizeof json - 1), *out = exact(json, sizeof json - 1);
  size_t ends[3] = {0}, count = 0;
  CHECK(tethered_sockjs_decode(bytes, sizeof json - 1, out, ends, 2, &count) == TETHERED_MORE && count == 3);
  CHECK(tethered_sockjs_decode(bytes, sizeof json - 1, out, ends, 3, &count) == TETHERED_OK && count == 3);
  CHECK(ends[0] == 3 && ends[1] == 7 && ends[2] == 7 && memcmp(out, "onet\xc3\xa9\n", 7) == 0);
  CHECK(tethered_sockjs_decode(bytes, 3, out, ends, 3, &count) == TETHERED_E_PROTOCOL);
  CHECK(tethered_sockjs_decode((const uint8_t *)"[1]", 3, out, ends, 3, &count) == TETHERED_E_PROTOCOL);
  CHECK(tethered_sockjs_decode(NULL, 0, out, ends, 3, &count) == TETHERED_E_PROTOCOL);
  CHECK(tethered_sockjs_decode(NULL, 3, out, ends, 3, &count) == TETHERED_E_ARGUMENT);
  CHECK(tethered_sockjs_decode(bytes, sizeof json - 1, NULL, ends, 3, &count) == TETHERED_E_ARGUMENT);
  CHECK(tethered_sockjs_decode(bytes, sizeof json - 1, out, NULL, 3, &count) == TETHERED_E_ARGUMENT);
  CHECK(tethered_sockjs_decode(bytes, sizeof json - 1, out, ends, 3, NULL) == TETHERED_E_ARGUMENT);
  CHECK(tethered_sockjs_decode((const uint8_t *)"[]", 2, NULL, NULL, 0, &count) == TETHERED_E_ARGUMENT || count == 0);
  free(bytes);
  free(out);
}

/* A handle of one kind is none of another. */
static void handles_are_not_mixed_up(void) {
  tethered_ws_decoder *ws = NULL;
  tethered_ws_message message;
  size_t used;
  uint8_t byte = 0x81;
  CHECK(tethered_ws_decoder_new(TETHERED_SERVER, 0, &ws) == TETHERED_OK);
  tethered_hub *hub = hub_of("");
  CHECK(tethered_tick((tethered_hub *)(void *)ws, at(1)) == TETHERED_E_ARGUMENT);
  CHECK(tethered_ws_decode((tethered_ws_decoder *)(void *)hub, &byte, 1, &used, &message, sizeof message) == TETHERED_E_ARGUMENT);
  tethered_hub_free((tethered_hub *)(void *)ws);
  tethered_ws_decoder_free((tethered_ws_decoder *)(void *)hub);
  CHECK(tethered_ws_decode(ws, &byte, 1, &used, &message, sizeof message) == TETHERED_MORE);
  CHECK(tethered_tick(hub, at(1)) == TETHERED_OK);
  tethered_hub_free(hub);
  tethered_ws_decoder_free(ws);
}

static void csrf_tokens_are_masked_as_spring_security_does(void) {
  const char plain[] = "6fa3cf18-3f31-4a0c-9f3e-0a8b4e5d2c17";
  uint8_t *random = exact(plain, 36);
  char *out = (char *)exact(plain, 36), *room;
  size_t len = 7;
  for (size_t i = 0; i < 36; i++) random[i] = (uint8_t)(i * 7);
  CHECK(tethered_csrf_mask(text(plain), random, out, 36, &len) == TETHERED_MORE && len == 96 && out[0] == '6');
  room = malloc(len);
  CHECK(room != NULL && tethered_csrf_mask(text(plain), random, room, len, &len) == TETHERED_OK && len == 96);
  const tethered_slice masked = {(const uint8_t *)room, len};
  CHECK(memcmp(room, "AAcOFRwjKjE4", 12) == 0); /* the random bytes come first */
  CHECK(tethered_csrf_matches(masked, text(plain)) == TETHERED_OK);
  CHECK(tethered_csrf_matches(masked, text("6fa3cf18-3f31-4a0c-9f3e-0a8b4e5d2c18")) == TETHERED_REFUSED);
  CHECK(tethered_csrf_matches(text(plain), text(plain)) == TETHERED_REFUSED);
  CHECK(tethered_csrf_matches((tethered_slice){(const uint8_t *)"\xff", 1}, text(plain)) == TETHERED_REFUSED);
  CHECK(tethered_csrf_matches((tethered_slice){NULL, 0}, (tethered_slice){NULL, 0}) == TETHERED_REFUSED);
  room[50] ^= 1;
  CHECK(tethered_csrf_matches(masked, text(plain)) == TETHERED_REFUSED);
  CHECK(tethered_csrf_mask((tethered_slice){NULL, 0}, NULL, NULL, 0, &len) == TETHERED_OK && len == 0);
  len = 7;
  CHECK(tethered_csrf_mask(text(plain), NULL, room, 96, &len) == TETHERED_E_ARGUMENT && len == 7);
  CHECK(tethered_csrf_mask(text(plain), random, NULL, 96, &len) == TETHERED_E_ARGUMENT && len == 7);
  CHECK(tethered_csrf_mask(text(plain), random, room, 96, NULL) == TETHERED_E_ARGUMENT);
  CHECK(tethered_csrf_mask((tethered_slice){NULL, 1}, random, room, 96, &len) == TETHERED_E_ARGUMENT && len == 7);
  CHECK(tethered_csrf_matches((tethered_slice){NULL, 1}, text(plain)) == TETHERED_E_ARGUMENT);
  CHECK(tethered_csrf_matches(masked, (tethered_slice){NULL, 1}) == TETHERED_E_ARGUMENT);
  free(random), free(out), free(room);
}

int main(void) {
  errno = 77;
  heads();
  masks_and_keys();
  frames_in_every_cut();
  what_is_wrong_with_frames();
  stomp_in_every_cut();
  what_is_wrong_with_stomp();
  what_is_written_is_read();
  sockjs_frames();
  sockjs_messages();
  handles_are_not_mixed_up();
  CHECK(errno == 77);
  csrf_tokens_are_masked_as_spring_security_does();
  puts("ok");
  return 0;
}
