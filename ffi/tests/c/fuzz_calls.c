/* Random calls on random handles through the C ABI: whatever is done that tethered.h does not forbid in words is answered, and
 * TETHERED_E_PANIC is a crash. */
#include "fuzz.h"

/* What an operation was given, freed behind it: exactly so many bytes each. */
static void *given[64];
static size_t n_given;

static uint8_t *lend(const void *bytes, size_t len) {
  uint8_t *copy = exact(bytes, len);
  if (n_given == sizeof given / sizeof given[0]) failed(__FILE__, __LINE__, "an operation is given more than that");
  return given[n_given++] = copy;
}

static void give_back(void) {
  while (n_given > 0) free(given[--n_given]);
}

static const char *const WORDS[] = {
    "/stomp", "/echo", "/own", "/page", "/echo/0/a/xhr", "/echo/0/a/xhr_send", "[\"x\"]", "GET", "POST", "rob", "abc", "/topic/a", "/app/x", "/queue/q", "Host", "Cookie", "h",
    "SESSION=YWJj", "Upgrade", "websocket", "Connection", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key",
    "dGhlIHNhbXBsZSBub25jZQ==", "content-type", "__keyevent@0__:del", "spring:session:sessions:abc", "\r\n", "\xff", "",
    ("GET /echo HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"),
    ("GET /stomp HTTP/1.1\r\nHost: h\r\nCookie: SESSION=YWJj\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"),
    "CONNECT\naccept-version:1.2\nhost:h\n\n", "SUBSCRIBE\nid:0\ndestination:/topic/a\n\n",
    "SEND\ndestination:/topic/a\n\nx", "DISCONNECT\nreceipt:r\n\n"};
enum { N_WORDS = sizeof WORDS / sizeof WORDS[0] };

static tethered_action batch[8];
static int32_t n_batch;

/* Bytes that mean something, that mean nothing, that are lent, or that cannot be. */
static tethered_slice some(void) {
  uint64_t kind = take(1);
  if (kind < 160) {
    const char *word = WORDS[kind % N_WORDS];
    size_t len = strlen(word) + (kind % N_WORDS >= N_WORDS - 4); /* with the NUL that ends a frame */
    return (tethered_slice){lend(word, len), len};
  }
  if (kind < 200) {
    size_t len = (size_t)take(1) % 80;
    uint8_t bytes[80];
    for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)take(1);
    return (tethered_slice){lend(bytes, len), len};
  }
  if (kind < 230 && n_batch > 0) return kind & 1 ? batch[kind % (uint64_t)n_batch].data : batch[kind % (uint64_t)n_batch].name;
  if (kind < 250) return (tethered_slice){NULL, 0};
  return kind == 250 ? (tethered_slice){NULL, 1} : (tethered_slice){lend("x", 1), SIZE_MAX - (kind & 3)};
}

static uint64_t ids[32];
static size_t n_ids;

static void know(uint64_t id) {
  if (id != 0) ids[n_ids++ % (sizeof ids / sizeof ids[0])] = id;
}

static uint64_t some_id(void) {
  uint64_t kind = take(1);
  if (kind < 250 && n_ids > 0) return ids[kind % (n_ids < 32 ? n_ids : 32)];
  return kind & 1 ? take(8) : kind;
}

static size_t some_size(size_t right) {
  uint64_t kind = take(1);
  return kind < 240 ? right : kind < 250 ? (size_t)(kind % 24) * 8 : (size_t)take(8);
}

/* A struct of the caller's with as many bytes as it says; a size that cannot be has to be turned away unread. */
static const void *sized(const void *whole, size_t right, size_t size) {
  uint8_t *copy = lend(whole, right);
  if (size <= right || size > 4096 || size % 8) return copy;
  uint8_t *larger = calloc(1, size);
  CHECK(larger != NULL && n_given < sizeof given / sizeof given[0]);
  memcpy(larger, whole, right);
  given[n_given++] = larger;
  return larger;
}

static tethered_header headers[4];

static size_t some_headers(void) {
  size_t count = (size_t)take(1) % 6;
  for (size_t i = 0; i < 4; i++) headers[i] = (tethered_header){some(), some()};
  return count > 4 ? 4 : count;
}

static const char *const HOUSES[] = {
    ("requests = true\nrelay = true\n[[endpoint]]\npath = \"/stomp\"\n[[endpoint]]\npath = \"/echo\"\nprotocol = \"raw\"\n"
     "sockjs = true\n[[endpoint]]\npath = \"/own\"\nprotocol = \"raw\"\nlogin = true\n[limits]\nTOTAL = 40\nOUT_BYTES = 4000\n"),
    ("store = \"external\"\ndecide = true\n[[endpoint]]\npath = \"/stomp\"\n[[endpoint]]\npath = \"/own\"\nprotocol = \"raw\"\n"
     "login = true\n"),
    ("store = \"redis\"\nrequests = true\n[[endpoint]]\npath = \"/stomp\"\n[[endpoint]]\npath = \"/own\"\nprotocol = \"raw\"\n"
     "login = true\n")};

static tethered_ws_decoder *ws;
static tethered_stomp_decoder *stomp;
static uint64_t ms;

/* A hub, NULL, or a handle of another kind. */
static tethered_hub *some_hub(void) {
  uint64_t kind = take(1);
  if (kind < 250) return hubs[kind % 2];
  return kind == 250 ? NULL : kind == 251 ? (tethered_hub *)(void *)ws : hubs[0];
}

static void poll_some(tethered_hub *hub) {
  uint64_t deadline;
  int32_t n = fine(tethered_poll(hub, batch, sizeof batch[0], (size_t)take(1) % 9, &deadline));
  /* What the batch before lent is lent no more. */
  if (n < 0 || hub != hubs[0]) {
    if (hub == hubs[1] && n >= 0) n_batch = 0;
    return;
  }
  n_batch = n;
  for (int32_t i = 0; i < n; i++) {
    know(batch[i].id), know(batch[i].socket);
    touch(batch[i].data), touch(batch[i].name), touch_details(hub, batch[i].details);
    for (size_t a = 0; a < batch[i].argc; a++) touch((tethered_slice){(const uint8_t *)batch[i].argv[a], batch[i].argvlen[a]});
  }
}

static void one_call(void) {
  tethered_hub *hub = some_hub();
  tethered_now now = at(ms += take(1) % 64 == 63 ? take(2) : 1);
  uint64_t id = 0, other = 0, number;
  tethered_slice a, b;
  switch (take(1) % 36) {
  case 0: case 1: {
    uint8_t address[17] = {203, 0, 113, 7};
    tethered_peer peer = {.token = take(2), .flags = (uint32_t)take(1) % 4, .address = {address, (size_t)(take(1) % 5 * 4 % 17)}};
    size_t size = some_size(sizeof peer);
    fine(tethered_open(hub, now, sized(&peer, sizeof peer, size), size, &id)), know(id);
    break;
  }
  case 2: case 3: case 4: case 5: case 6: case 7: {
    a = some(); /* its own memory: what is lent must not be written */
    int lent = 0;
    for (int32_t i = 0; i < n_batch && a.ptr; i++) lent |= a.ptr == batch[i].data.ptr || a.ptr == batch[i].name.ptr;
    uint8_t *own = lent && a.len ? lend(a.ptr, a.len) : (uint8_t *)(uintptr_t)a.ptr;
    fine(tethered_received(hub, now, some_id(), own, a.len));
    break;
  }
  case 8: {
    tethered_slice out[3];
    size_t total = 0;
    id = some_id();
    size_t count = tethered_output(hub, id, out, (size_t)take(1) % 4);
    for (size_t i = 0; i < count; i++) total += out[i].len;
    size_t len = take(1) % 8 ? total : (size_t)take(2);
    const tethered_taken taken[] = {{id, len}, {some_id(), (size_t)take(1)}};
    fine(take(1) % 2 ? tethered_sent(hub, now, id, len) : tethered_sent_many(hub, now, taken, 1 + (size_t)take(1) % 2));
    break;
  }
  case 9: fine(tethered_closed(hub, now, some_id())); break;
  case 10: case 11: case 12: case 13: poll_some(hub); break;
  case 14: ms += take(2), fine(tethered_tick(hub, at(ms))); break;
  case 15: case 16: {
    tethered_request r = {.token = take(1), .flags = (uint32_t)(take(1) == 0), .method = some(), .target = some(), .body = some()};
    r.n_headers = some_headers(), r.headers = headers;
    size_t size = some_size(sizeof r);
    fine(tethered_ask(hub, now, sized(&r, sizeof r, size), size, &id)), know(id);
    break;
  }
  case 17: case 18: {
    tethered_request r = {.token = take(1), .target = some(), .session = some()};
    r.n_headers = some_headers(), r.headers = headers;
    size_t size = some_size(sizeof r);
    fine(tethered_join(hub, now, sized(&r, sizeof r, size), size, &id, &other)), know(id), know(other);
    break;
  }
  case 19: case 20: case 21: a = some(), fine(tethered_message(hub, now, some_id(), (uint32_t)take(1) % 3, a)); break;
  case 22: fine(tethered_activity(hub, now, some_id(), 0)); break;
  case 23: {
    tethered_response r = {.status = 200 + (uint32_t)take(2) % 420, .change = (uint32_t)take(1) % 4, .body = some(), .principal = some()};
    r.n_headers = some_headers(), r.headers = headers;
    fine(tethered_respond(hub, now, some_id(), &r, sizeof r));
    break;
  }
  case 24: a = some(), fine(tethered_decide(hub, now, some_id(), (uint32_t)take(1) % 3, a)); break;
  case 25: a = some(), fine(tethered_send(hub, now, some_id(), (uint32_t)take(1) % 3, a)); break;
  case 26: {
    size_t n = some_headers();
    a = some(), b = some();
    fine(tethered_publish(hub, now, take(1) % 2 ? a : (tethered_slice){NULL, 0}, b, headers, n, some(), &number));
    break;
  }
  case 27: a = some(), b = some(), fine(tethered_answer(hub, now, some_id(), a, b, NULL, 0, some())); break;
  case 28: {
    uint64_t who = some_id();
    a = take(1) % 2 ? some() : (tethered_slice){(const uint8_t *)&who, sizeof who};
    fine(tethered_end(hub, now, (uint32_t)take(1) % 5, a, take(1) % 2 ? some() : (tethered_slice){NULL, 0}, (uint32_t)take(1) % 13, &number));
    break;
  }
  case 29: if (take(1) == 0) fine(tethered_drain(hub, now)); break;
  case 30: case 31: {
    tethered_item items[4];
    for (size_t i = 0; i < 4; i++)
      items[i] = (tethered_item){.kind = (uint32_t)take(1) % 5, .value = (int64_t)take(2), .bytes = some()};
    fine(tethered_reply(hub, now, some_id(), (uint32_t)take(1) % 7, (int64_t)take(3) - 1000, items, (size_t)take(1) % 5));
    break;
  }
  case 32: a = some(), b = some(), fine(tethered_notice(hub, now, (uint32_t)take(1) % 3, a, b)); break;
  case 33:
    if (take(1) % 2) fine(tethered_connected(hub, now, (uint32_t)take(1) % 4));
    else fine(tethered_disconnected(hub, now, (uint32_t)take(1) % 4));
    break;
  case 34:
    a = some(), b = some();
    fine(tethered_session_notice(hub, now, a, (uint32_t)take(1) % 5, b)), fine(tethered_notices(hub, now, (uint32_t)take(1) % 3));
    break;
  default: {
    tethered_stats stats;
    tethered_log line;
    a = some(), fine(tethered_relayed(hub, now, a)), fine(tethered_announce(hub, now, a));
    fine(tethered_stats_get(hub, &stats, sizeof stats)), fine(tethered_log_next(hub, &line, sizeof line));
  }
  }
}

static void one_decode(void) {
  tethered_slice a = some();
  size_t done = 0, used = 0;
  int32_t status = TETHERED_OK;
  if (a.ptr == NULL || a.len > 1000) return;
  if (take(1) % 2) {
    uint8_t *own = lend(a.ptr, a.len);
    tethered_ws_message message;
    tethered_ws_head head;
    fine(tethered_ws_parse_head(own, a.len, (uint32_t)take(1) % 3, &head));
    while (status == TETHERED_OK) {
      status = fine(tethered_ws_decode(ws, own + done, a.len - done, &used, &message, sizeof message));
      if (status >= 0) done += used;
    }
  } else {
    tethered_stomp_frame frame;
    while (status == TETHERED_OK) {
      status = fine(tethered_stomp_decode(stomp, 10 + (uint32_t)take(1) % 3, a.ptr + done, a.len - done, &used, &frame, sizeof frame));
      if (status >= 0) done += used;
    }
  }
  CHECK(done <= a.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  input = bytes, left = len;
  n_batch = 0, n_ids = 0, ms = 1;
  for (size_t i = 0; i < 2; i++) hubs[i] = hub_of(HOUSES[take(1) % 3]);
  CHECK(tethered_ws_decoder_new((uint32_t)take(1) % 2, 1 + take(1), &ws) == TETHERED_OK);
  CHECK(tethered_stomp_decoder_new((uint32_t)take(1) % 2, 1 + take(1), &stomp) == TETHERED_OK);
  while (left > 0) {
    if (take(1) % 8 == 0) one_decode();
    else one_call();
    give_back();
  }
  /* Freed in any order, with whatever is left in them. */
  if (len % 2) tethered_ws_decoder_free(ws);
  tethered_hub_free(hubs[len % 2]);
  tethered_stomp_decoder_free(stomp);
  tethered_hub_free(hubs[1 - len % 2]);
  if (len % 2 == 0) tethered_ws_decoder_free(ws);
  hubs[0] = hubs[1] = NULL;
  return 0;
}
