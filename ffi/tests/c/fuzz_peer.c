/* Peers that send whatever they like, in pieces, and read as they like, to an embedder that does everything right: each socket
 * gets exactly one TETHERED_CLOSE, as its last action; no call fails; and at the end nobody and nothing is left in the hub. An
 * input is which hub, and then what happens, one thing after the other. */
#include "fuzz.h"

/* The session "abc" is rob's, and lives with the host. SESSION=YWJj is its cookie. */
static const char *const HOUSES[] = {
    ("store = \"external\"\nrequests = true\nrelay = true\n[[endpoint]]\npath = \"/stomp\"\nlogin = true\n"
     "[[endpoint]]\npath = \"/echo\"\nprotocol = \"raw\"\nsockjs = true\n[[endpoint]]\npath = \"/own\"\nprotocol = \"raw\"\n"
     "login = true\n[[endpoint]]\npath = \"/open\"\nlogin = false\n"),
    ("store = \"external\"\nrequests = true\ndecide = true\n[[endpoint]]\npath = \"/stomp\"\nlogin = true\nsockjs = true\n"
     "[[endpoint]]\npath = \"/echo\"\nprotocol = \"raw\"\nmax-message = 300\nmax-unsent = 900\n[[endpoint]]\npath = \"/own\"\n"
     "protocol = \"raw\"\nlogin = true\n[limits]\nOUT_BYTES = 2000\nTOTAL = 5\nMSG_BYTES = 1000\n")};

#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
#define COOKIE "Cookie: SESSION=YWJj\r\n"

/* What a piece of input is too small to hit upon. */
static const char *const WORDS[] = {
    "GET /stomp HTTP/1.1\r\nHost: h\r\n" COOKIE UPGRADE,
    "GET /stomp/websocket HTTP/1.1\r\nHost: h\r\n" COOKIE UPGRADE,
    "GET /open HTTP/1.1\r\nHost: h\r\n" UPGRADE,
    "GET /echo HTTP/1.1\r\nHost: h\r\n" UPGRADE,
    "GET /echo/websocket HTTP/1.1\r\nHost: h\r\n" UPGRADE,
    "GET /echo/0/a/websocket HTTP/1.1\r\nHost: h\r\n" UPGRADE,
    "GET /own HTTP/1.1\r\nHost: h\r\n" COOKIE UPGRADE,
    "POST /echo/0/a/xhr HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
    "POST /echo/0/a/xhr_streaming HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
    "POST /echo/0/a/xhr_send HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\n[\"hey\"]",
    "GET /echo/0/a/eventsource HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /page HTTP/1.1\r\nHost: h\r\n" COOKIE "\r\n",
    "GET /echo/info HTTP/1.0\r\n\r\n",
    "POST /page HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"};

enum door { OPENED, ASKED, JOINED };
enum { PEERS = 6, CALLS = 8, CLIENTS = 64 };

/* A socket of the embedder's, from when it was taken to its TETHERED_CLOSE. */
typedef struct peer {
  uint64_t token, socket, client;
  enum door door;
  size_t appetite; /* bytes that it takes at a time; 0: none but when it is told to */
  int live, frames, reading, shut, gone, waiting, asked, answered;
} peer;

static peer peers[PEERS];
static tethered_hub *hub;
static uint64_t tokens, ms, deadline, taken_bytes, handed_out;
static tethered_action one; /* what is carried out */
static uint64_t calls[CALLS];
static char verbs[CALLS][8];
static int of_abc[CALLS];
static size_t n_calls;
static int alive, full; /* whether the session lives, and whether there is a limit to how many sockets get in */
static struct {
  uint64_t id;
  int left;
} clients[CLIENTS];
static size_t n_clients, batch_size;

static int32_t right(int32_t status, int line) {
  if (fine(status) < 0 && status != TETHERED_E_MEMORY) {
    tethered_log log;
    while (tethered_log_next(hub, &log, sizeof log) == 1) fprintf(stderr, "%.*s\n", (int)log.text.len, (const char *)log.text.ptr);
    failed(tethered_strerror(status), line, "a call failed");
  }
  return status;
}
#define RIGHT(call) right(call, __LINE__)

static tethered_slice stretch(size_t len) {
  if (len > left) len = left;
  const tethered_slice slice = {input, len};
  input += len, left -= len;
  return slice;
}

static peer *by_token(uint64_t token) {
  for (size_t i = 0; i < PEERS; i++)
    if (peers[i].live && peers[i].token == token) return &peers[i];
  return NULL;
}

static peer *some_peer(void) { return &peers[take(1) % PEERS]; }

static peer *free_place(void) {
  for (size_t i = 0; i < PEERS; i++)
    if (!peers[i].live) return &peers[i];
  return NULL;
}

static void settle_in(peer *p, enum door door, uint64_t token, uint64_t socket, size_t appetite) {
  *p = (peer){.token = token, .socket = socket, .door = door, .appetite = appetite, .live = 1, .reading = 1, .frames = door == OPENED};
  CHECK(socket != 0);
}

static size_t waits(const peer *p) {
  tethered_slice slices[64];
  const size_t count = tethered_output(hub, p->socket, slices, 64);
  size_t total = 0;
  for (size_t i = 0; i < count; i++) total += slices[i].len, touch(slices[i]);
  return total;
}

/* Has a socket take so many bytes; what it took, for the hub to be told. */
static size_t takes(peer *p, size_t most) {
  const size_t total = waits(p), len = total < most ? total : most;
  if (len == total && p->waiting) p->waiting = 0;
  taken_bytes += len;
  return len;
}

static void writes(peer *p, size_t most) {
  if (!p->live || p->gone || !p->waiting) return;
  RIGHT(tethered_tick(hub, at(ms)));
  const size_t len = takes(p, most);
  if (len) RIGHT(tethered_sent(hub, at(ms), p->socket, len));
}

/* All sockets at a time, and the hub is told in one call. */
static void all_write(size_t most) {
  tethered_taken taken[PEERS];
  size_t count = 0;
  RIGHT(tethered_tick(hub, at(ms)));
  for (size_t i = 0; i < PEERS; i++)
    if (peers[i].live && !peers[i].gone && peers[i].waiting)
      taken[count++] = (tethered_taken){peers[i].socket, takes(&peers[i], most)};
  if (count) RIGHT(tethered_sent_many(hub, at(ms), taken, count));
}

static tethered_item bulk(const char *s) { return (tethered_item){.kind = TETHERED_REPLY_BULK, .bytes = text(s)}; }

static void reply(int lost) {
  if (n_calls == 0) return;
  const uint64_t call = calls[0];
  char verb[8];
  const int known = of_abc[0] && alive;
  memcpy(verb, verbs[0], sizeof verb);
  n_calls--;
  memmove(calls, calls + 1, n_calls * sizeof calls[0]), memmove(verbs, verbs + 1, n_calls * sizeof verbs[0]);
  memmove(of_abc, of_abc + 1, n_calls * sizeof of_abc[0]);
  const tethered_item session[] = {bulk("abc"), bulk("rob"), bulk("name"), bulk("value")};
  if (lost) RIGHT(tethered_reply(hub, at(ms), call, TETHERED_REPLY_LOST, 0, NULL, 0));
  else if (strcmp(verb, "END") == 0) RIGHT(tethered_reply(hub, at(ms), call, TETHERED_REPLY_NIL, 0, NULL, 0));
  else if (strcmp(verb, "CHECK") == 0 || strcmp(verb, "TOUCH") == 0)
    RIGHT(tethered_reply(hub, at(ms), call, known ? TETHERED_REPLY_INT : TETHERED_REPLY_NIL, known ? 60000 : 0, NULL, 0));
  else if (known) RIGHT(tethered_reply(hub, at(ms), call, TETHERED_REPLY_LIST, 60000, session, 4));
  else RIGHT(tethered_reply(hub, at(ms), call, TETHERED_REPLY_NIL, 0, NULL, 0));
}

static void question(void) {
  CHECK(one.argc >= 1 && one.argvlen[0] < sizeof verbs[0]);
  const int end = one.argvlen[0] == 3 && memcmp(one.argv[0], "END", 3) == 0;
  const int abc = one.argc > 1 && one.argvlen[1] == 3 && memcmp(one.argv[1], "abc", 3) == 0;
  if (end && abc) alive = 0;
  if (one.id == 0) return;
  if (n_calls == CALLS) reply(0);
  memset(verbs[n_calls], 0, sizeof verbs[0]);
  memcpy(verbs[n_calls], one.argv[0], one.argvlen[0]);
  of_abc[n_calls] = abc, calls[n_calls++] = one.id;
}

static void respond(peer *p) {
  if (!p->live || !p->asked) return;
  p->asked = 0;
  const tethered_header kind = header("Content-Type", "text/plain");
  const tethered_response response = {.status = 200, .headers = &kind, .n_headers = 1, .body = text("hello")};
  RIGHT(tethered_respond(hub, at(ms), p->socket, &response, sizeof response));
}

/* A client joins once, and leaves once if it has joined. */
static void comes_or_goes(void) {
  size_t i = 0;
  while (i < n_clients && clients[i].id != one.id) i++;
  if (one.kind == TETHERED_JOINED) {
    CHECK(i == n_clients);
    if (n_clients < CLIENTS) clients[n_clients].id = one.id, clients[n_clients++].left = 0;
  } else if (i < n_clients) {
    CHECK(!clients[i].left && one.flags >= TETHERED_CAUSE_EXPIRED && one.flags <= TETHERED_CAUSE_PEER);
    clients[i].left = 1;
  } else {
    CHECK(n_clients == CLIENTS);
  }
}

static void delivered(void) {
  if (one.flags == TETHERED_TEXT || one.flags == TETHERED_BINARY)
    RIGHT(tethered_send(hub, at(ms), one.id, one.flags, one.data));
  else if (one.flags == TETHERED_SUBSCRIBE)
    RIGHT(tethered_answer(hub, at(ms), one.id, one.data, one.name, NULL, 0, text("here")));
  else
    RIGHT(tethered_publish(hub, at(ms), text(""), text("/topic/a"), NULL, 0, one.data, NULL));
}

/* What an action says of its socket, and what that socket makes of it. */
static void of_a_socket(peer *p) {
  switch (one.kind) {
  case TETHERED_WRITE:
    CHECK(p->door != JOINED && p->frames);
    p->waiting = 1;
    if (p->appetite) writes(p, p->appetite);
    break;
  case TETHERED_READING: p->reading = one.flags != 0; break;
  case TETHERED_SHUTDOWN:
    CHECK(!p->shut && waits(p) == 0);
    p->shut = 1;
    break;
  case TETHERED_CLOSE:
    CHECK(p->door != ASKED || p->answered || p->gone);
    p->live = 0;
    break;
  case TETHERED_MESSAGE:
    CHECK(p->door == JOINED && (one.flags == TETHERED_TEXT || one.flags == TETHERED_BINARY));
    /* Counted as the frame that it would have been. */
    taken_bytes += one.data.len + (one.data.len < 126 ? 2 : 4);
    break;
  case TETHERED_RESPONSE:
    CHECK(p->door == ASKED && !p->answered && one.id >= 101 && one.id <= 599 && one.flags <= TETHERED_FOLLOWS_FRAMES);
    CHECK((one.id == 101) == (one.flags == TETHERED_FOLLOWS_FRAMES));
    p->answered = 1, p->frames = one.flags != TETHERED_FOLLOWS_NOTHING;
    if (one.flags != TETHERED_FOLLOWS_FRAMES) p->reading = 0;
    break;
  case TETHERED_REQUEST:
    p->asked = 1;
    if (take(1) % 4) respond(p);
    break;
  default: break;
  }
}

static void carry_out(void) {
  touch(one.data), touch(one.name), touch_details(hub, one.details);
  CHECK(one.kind != 0 && one.kind != TETHERED_REDIS);
  if (one.token) {
    peer *p = by_token(one.token);
    /* Nothing comes for a socket behind its TETHERED_CLOSE, or for one that was never taken. */
    if (p == NULL) fprintf(stderr, "kind %u for the socket with token %llu\n", one.kind, (unsigned long long)one.token);
    CHECK(p != NULL && (one.socket == 0 || one.socket == p->socket));
    of_a_socket(p);
  }
  switch (one.kind) {
  case TETHERED_JOINED: case TETHERED_LEFT: comes_or_goes(); break;
  case TETHERED_DELIVER: delivered(); break;
  case TETHERED_SESSION:
    question();
    if (take(1) % 4) reply(0);
    break;
  case TETHERED_DECIDE: RIGHT(tethered_decide(hub, at(ms), one.id, take(1) % 8 == 7 ? TETHERED_REFUSE : TETHERED_ENTER, text(""))); break;
  case TETHERED_RELAY: RIGHT(tethered_relayed(hub, at(ms), one.data)); break;
  default: break;
  }
}

static void act(void) {
  tethered_action batch[8];
  int32_t count;
  do {
    batch_size = 1 + (batch_size + 2) % 8;
    count = RIGHT(tethered_poll(hub, batch, sizeof batch[0], batch_size, &deadline));
    for (int32_t i = 0; i < count; i++) one = batch[i], handed_out++, carry_out();
  } while (count > 0);
  /* All that there is to do was told: what has output was to be written. */
  for (size_t i = 0; i < PEERS; i++)
    if (peers[i].live && !peers[i].gone && peers[i].frames && !peers[i].waiting) CHECK(waits(&peers[i]) == 0);
}

static void comes_in(peer *p, tethered_slice bytes, size_t step) {
  if (!p->live || p->gone || p->door == JOINED || !p->frames || (p->door == ASKED && p->reading == 0)) return;
  for (size_t from = 0, size; from < bytes.len && p->reading; from += size) {
    size = bytes.len - from < step ? bytes.len - from : step;
    uint8_t *own = exact(bytes.ptr + from, size);
    const int32_t status = RIGHT(tethered_received(hub, at(ms), p->socket, own, size));
    free(own);
    if (status == TETHERED_STALE) return;
    if (status == TETHERED_PRESSURE) act();
    if (!p->live) return;
  }
}

static void a_frame(peer *p) {
  const uint8_t first = (uint8_t)take(1);
  const size_t step = 1 + (size_t)take(1);
  const tethered_slice data = stretch((size_t)take(1));
  uint8_t bytes[8 + 255], *own;
  if (p->live && p->door == JOINED && !p->gone) {
    own = exact(data.ptr, data.len);
    RIGHT(tethered_message(hub, at(ms), p->client, first % 2 ? TETHERED_TEXT : TETHERED_BINARY, (tethered_slice){own, data.len}));
    RIGHT(tethered_activity(hub, at(ms), p->client, 0));
    free(own);
    return;
  }
  tethered_ws_head head = {.payload_len = data.len, .opcode = first & 15, .fin = first >> 7, .masked = 1};
  const size_t size = tethered_ws_write_head(&head, bytes);
  if (data.len) memcpy(bytes + size, data.ptr, data.len);
  if (size) comes_in(p, (tethered_slice){bytes, size + data.len}, step);
}

/* Lines: the target (behind a method, for a request), and then headers, in text as an HTTP server gives it. */
static size_t lines(tethered_slice given, char *room, tethered_slice *first, tethered_header *headers, size_t most) {
  size_t count = 0;
  char *end = room + given.len;
  for (size_t i = 0; i < given.len; i++) room[i] = (char)(given.ptr[i] & 0x7f);
  for (char *at_ = room; at_ < end;) {
    char *stop = memchr(at_, '\n', (size_t)(end - at_)), *colon;
    if (stop == NULL) stop = end;
    const tethered_slice line = {(const uint8_t *)at_, (size_t)(stop - at_)};
    if (at_ == room) *first = line;
    else if ((colon = memchr(at_, ':', line.len)) != NULL && count < most)
      headers[count++] = (tethered_header){{line.ptr, (size_t)(colon - at_)}, {(const uint8_t *)colon + 1, (size_t)(stop - colon) - 1}};
    at_ = stop < end ? stop + 1 : end;
  }
  return count;
}

static void a_request(enum door door) {
  char room[256];
  tethered_header headers[8];
  tethered_request request = {.token = ++tokens, .headers = headers};
  uint64_t socket = 0, client = 0;
  const size_t appetite = (size_t)take(1);
  const tethered_slice given = stretch((size_t)take(1));
  peer *p = free_place();
  request.n_headers = lines(given, room, &request.target, headers, 8);
  if (p == NULL) return;
  const uint8_t *space = request.target.len ? memchr(request.target.ptr, ' ', request.target.len) : NULL;
  int32_t status;
  if (door == ASKED) {
    if (space) {
      const size_t len = (size_t)(space - request.target.ptr);
      request.method = (tethered_slice){request.target.ptr, len};
      request.target = (tethered_slice){space + 1, request.target.len - len - 1};
      if (request.method.ptr[0] == 'P') request.body = text("[\"hey\"]");
    }
    status = tethered_ask(hub, at(ms), &request, sizeof request, &socket);
  } else {
    status = tethered_join(hub, at(ms), &request, sizeof request, &socket, &client);
  }
  if ((status == TETHERED_E_LIMIT && full) || status == TETHERED_REFUSED) {
    CHECK(socket == 0 && client == 0);
    return;
  }
  if (RIGHT(status) < 0) return;
  settle_in(p, door, request.token, socket, appetite == 255 ? SIZE_MAX : appetite);
  p->client = client;
}

static void a_connection(void) {
  const uint8_t address[4] = {203, 0, 113, (uint8_t)take(1)};
  const size_t appetite = (size_t)take(1);
  const tethered_peer from = {.token = ++tokens, .address = {address, 4}};
  uint64_t socket = 0;
  peer *p = free_place();
  if (p == NULL) return;
  const int32_t status = tethered_open(hub, at(ms), &from, sizeof from, &socket);
  if ((status == TETHERED_E_LIMIT && full) || RIGHT(status) < 0) return;
  settle_in(p, OPENED, from.token, socket, appetite == 255 ? SIZE_MAX : appetite);
}

static void goes(peer *p) {
  if (!p->live || p->gone) return;
  p->gone = 1;
  RIGHT(tethered_closed(hub, at(ms), p->socket));
}

static uint64_t some_client(void) { return n_clients ? clients[take(1) % n_clients].id : take(1); }

static void one_thing(void) {
  const uint64_t what = take(1);
  peer *p;
  switch (what % 20) {
  case 0: a_connection(); break;
  case 1: case 2: {
    p = some_peer();
    const size_t step = 1 + (size_t)take(1);
    comes_in(p, stretch((size_t)take(1)), step);
    break;
  }
  case 3: {
    p = some_peer();
    const tethered_slice word = text(WORDS[take(1) % (sizeof WORDS / sizeof WORDS[0])]);
    comes_in(p, word, 1 + (size_t)take(1));
    break;
  }
  case 4: case 5: a_frame(some_peer()); break;
  case 6: p = some_peer(), writes(p, 1 + (size_t)take(2)); break;
  case 7: all_write(1 + (size_t)take(2)); break;
  case 8: goes(some_peer()); break;
  case 9: ms += take(2), RIGHT(tethered_tick(hub, at(ms))); break;
  case 10: a_request(ASKED); break;
  case 11: a_request(JOINED); break;
  case 12: reply(take(1) % 8 == 7); break;
  case 13: respond(some_peer()); break;
  case 14: RIGHT(tethered_publish(hub, at(ms), text(take(1) % 2 ? "rob" : ""), text(take(1) % 2 ? "/queue/a" : "/topic/a"), NULL, 0, stretch((size_t)take(1)), NULL)); break;
  case 15: alive = take(1) % 2, RIGHT(tethered_session_notice(hub, at(ms), text("abc"), alive ? TETHERED_FATE_EXPIRED : TETHERED_FATE_DELETED, text(""))); break;
  case 16: {
    const uint64_t client = some_client();
    const char *reason = take(1) % 2 ? "enough" : "";
    RIGHT(tethered_close_client(hub, at(ms), client, 1000 + (uint32_t)take(2) % 4000, text(reason)));
    break;
  }
  case 17: {
    const uint64_t client = some_client(), who = take(1) % 3;
    const tethered_slice whom = who == 0 ? (tethered_slice){(const uint8_t *)&client, sizeof client} : text(who == 1 ? "abc" : "rob");
    RIGHT(tethered_end(hub, at(ms), TETHERED_WHO_CLIENT + (uint32_t)who, whom, text(""), TETHERED_CAUSE_REVOKED, NULL));
    break;
  }
  case 18: RIGHT(tethered_notices(hub, at(ms), (uint32_t)take(1) % 2)); break;
  default:
    if (take(1) == 0) full = 1, RIGHT(tethered_drain(hub, at(ms)));
    break;
  }
  /* Any number of calls may come before a poll. */
  if (what < 128) act();
}

/* Everybody goes, and everything is answered. */
static void wind_up(void) {
  tethered_stats stats;
  for (size_t i = 0; i < PEERS; i++) respond(&peers[i]);
  act();
  all_write(SIZE_MAX);
  for (size_t i = 0; i < PEERS; i++) goes(&peers[i]);
  for (size_t rounds = 0;; rounds++) {
    act();
    while (n_calls) reply(0);
    act();
    CHECK(tethered_stats_get(hub, &stats, sizeof stats) == TETHERED_OK);
    if (stats.sockets == 0 && stats.clients == 0 && n_calls == 0) break;
    CHECK(rounds < 1000 && deadline != UINT64_MAX);
    if (deadline > ms) ms = deadline;
    RIGHT(tethered_tick(hub, at(ms)));
  }
  for (size_t i = 0; i < PEERS; i++) CHECK(!peers[i].live);
  for (size_t i = 0; i < n_clients; i++) CHECK(clients[i].left);
  CHECK(stats.sessions == 0 && stats.buffered_bytes == 0 && stats.lent_bytes == 0);
  CHECK(stats.opened == stats.closed && stats.sent_bytes == taken_bytes && stats.actions == handed_out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  input = bytes, left = len;
  memset(peers, 0, sizeof peers);
  tokens = ms = taken_bytes = handed_out = 0, n_calls = n_clients = batch_size = 0, deadline = UINT64_MAX;
  alive = 1, full = (int)(take(1) % 2);
  hub = hubs[0] = hub_of(HOUSES[full]);
  RIGHT(tethered_notices(hub, at(ms), 1));
  while (left > 0) one_thing();
  wind_up();
  hubs[0] = NULL;
  tethered_hub_free(hub);
  return 0;
}
