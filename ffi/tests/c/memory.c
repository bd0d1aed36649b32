/* What happens when there is no memory. One story is told again and again, and each time the memory ends at another
 * allocation: what was refused and tried again leads to the same, byte for byte; and if it never comes back, nobody falls. */
#include "check.h"
#include "failing.h"

#include <sys/resource.h>

static const char HOUSE[] =
    "requests = true\nrelay = true\n"
    "[[endpoint]]\npath = \"/stomp\"\nlogin = true\nsockjs = true\n"
    "[[endpoint]]\npath = \"/echo\"\nprotocol = \"raw\"\nsockjs = true\n"
    "[[endpoint]]\npath = \"/own\"\nprotocol = \"raw\"\nlogin = true\n";

/* How often a call was refused, and after how many memory is there again. */
static uint64_t refused, patience;
static int gives_up, fills;

/* Whether to try again. */
static int again(tethered_status status) {
  if (status != TETHERED_E_MEMORY) return 0;
  refused++;
  if (refused == patience) fail_never();
  return !gives_up;
}

/* So much of the reserve is used up before calls are refused: 60,000 bytes in each of these. */
static tethered_stomp_decoder *full[32];
static size_t n_full;

static void fill(void) {
  static uint8_t part[60000] = "SEND\ndestination:/a\ncontent-length:60000\n\n";
  tethered_stomp_frame frame_;
  size_t used;
  int32_t status = TETHERED_OK;
  while (status >= 0) {
    CHECK(n_full < sizeof full / sizeof full[0]);
    if ((status = tethered_stomp_decoder_new(TETHERED_SERVER, 0, &full[n_full])) < 0) break;
    status = tethered_stomp_decode(full[n_full++], 12, part, sizeof part, &used, &frame_, sizeof frame_);
    CHECK(status == TETHERED_MORE || status == TETHERED_E_MEMORY);
  }
  CHECK(status == TETHERED_E_MEMORY && n_full > 8);
}

static void empty(void) {
  while (n_full > 0) tethered_stomp_decoder_free(full[--n_full]);
}

/* A call that takes something on: told again until it is taken, or given up. */
#define TAKE(result, call)                            \
  do {                                                \
    if (fills && failures() > 0 && n_full == 0) fill(); \
    errno = 77, (result) = (call);                    \
  } while (CHECK(errno == 77), again(result))

/* All that is seen of the library, one behind the other. */
static uint8_t seen[1 << 18], before[1 << 18];
static size_t n_seen, n_before;

static void note(const void *bytes, size_t len) {
  CHECK(len <= sizeof seen - n_seen);
  if (len) memcpy(seen + n_seen, bytes, len);
  n_seen += len;
}

static char cookie[128];
static uint64_t clients[8], asked, polling;
static size_t n_clients;
static size_t opened, closes;

static void flush(tethered_hub *hub, uint64_t socket, uint64_t ms) {
  tethered_slice out[4];
  size_t n;
  while ((n = tethered_output(hub, socket, out, 4)) > 0) {
    size_t len = 0;
    for (size_t i = 0; i < n; i++) note(out[i].ptr, out[i].len), len += out[i].len;
    CHECK(tethered_sent(hub, at(ms), socket, len) >= 0);
  }
}

static void turn(tethered_hub *hub, uint64_t ms) {
  static tethered_action a[16];
  int32_t n, status;
  do {
    errno = 77;
    n = tethered_poll(hub, a, sizeof a[0], 16, NULL);
    CHECK(n >= 0 && errno == 77);
    for (int32_t i = 0; i < n; i++) {
      note(&a[i].kind, sizeof a[i].kind), note(&a[i].socket, sizeof a[i].socket), note(&a[i].id, sizeof a[i].id);
      note(a[i].name.ptr, a[i].name.len), note(a[i].data.ptr, a[i].data.len);
      switch (a[i].kind) {
      case TETHERED_WRITE: flush(hub, a[i].socket, ms); break;
      case TETHERED_JOINED: clients[n_clients++ % 8] = a[i].id; break;
      case TETHERED_DELIVER:
        if (a[i].flags == TETHERED_TEXT) TAKE(status, tethered_send(hub, at(ms), a[i].id, TETHERED_TEXT, a[i].data));
        break;
      case TETHERED_REQUEST: {
        asked = a[i].socket;
        const tethered_header own = header("X-Own", "1");
        tethered_response response = {.status = 200,
                                      .change = TETHERED_CHANGE_LOGIN,
                                      .headers = &own,
                                      .n_headers = 1,
                                      .body = text("in"),
                                      .principal = text("rob")};
        TAKE(status, tethered_respond(hub, at(ms), a[i].socket, &response, sizeof response));
        break;
      }
      case TETHERED_RESPONSE: {
        tethered_request told;
        CHECK(tethered_details(hub, a[i].details, &told, sizeof told) == TETHERED_OK);
        const tethered_slice *set = field(&told, "Set-Cookie");
        if (set && begins(*set, "SESSION=") && !cookie[0])
          snprintf(cookie, sizeof cookie, "%.*s", (int)strcspn((const char *)set->ptr, ";"), (const char *)set->ptr);
        break;
      }
      case TETHERED_CLOSE: closes++; break;
      default: break;
      }
    }
  } while (n == 16);
}

static uint64_t ask(tethered_hub *hub, uint64_t ms, const char *method, const char *target, const char *body) {
  const tethered_header headers[] = {header("Host", "h"), header("Cookie", cookie)};
  tethered_request r = {.token = ms, .method = text(method), .target = text(target), .body = text(body), .headers = headers};
  r.n_headers = cookie[0] ? 2 : 1;
  uint64_t socket = 0;
  tethered_status status;
  TAKE(status, tethered_ask(hub, at(ms), &r, sizeof r, &socket));
  CHECK((status == TETHERED_OK) == (socket != 0));
  opened += socket != 0;
  turn(hub, ms);
  return socket;
}

static uint64_t open_(tethered_hub *hub, uint64_t ms, const char *head) {
  uint8_t address[4] = {203, 0, 113, 7};
  tethered_peer peer = {.token = ms, .address = {address, 4}};
  uint64_t socket = 0;
  tethered_status status;
  TAKE(status, tethered_open(hub, at(ms), &peer, sizeof peer, &socket));
  CHECK((status == TETHERED_OK) == (socket != 0));
  opened += socket != 0;
  if (!socket) return 0;
  char whole[512];
  int len = snprintf(whole, sizeof whole, head, cookie);
  uint8_t *bytes = exact(whole, (size_t)len);
  TAKE(status, tethered_received(hub, at(ms), socket, bytes, (size_t)len));
  free(bytes);
  turn(hub, ms);
  return socket;
}

static void frame(tethered_hub *hub, uint64_t ms, uint64_t socket, const char *payload, size_t len) {
  tethered_ws_head head = {.payload_len = len, .opcode = 1, .fin = 1, .masked = 1, .mask = {1, 2, 3, 4}};
  uint8_t bytes[4096];
  size_t n = tethered_ws_write_head(&head, bytes);
  memcpy(bytes + n, payload, len);
  tethered_ws_mask(bytes + n, len, head.mask, 0);
  uint8_t *whole = exact(bytes, n + len);
  tethered_status status;
  /* What was refused is as it was: it may be handed in again. */
  TAKE(status, tethered_received(hub, at(ms), socket, whole, n + len));
  if (status == TETHERED_E_MEMORY) CHECK(memcmp(whole, bytes, n + len) == 0);
  free(whole);
  turn(hub, ms);
}

#define UPGRADE \
  "Host: h\r\nCookie: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" \
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
#define FRAME(hub, ms, socket, text_) frame(hub, ms, socket, text_, sizeof text_)

static void codecs(void) {
  tethered_status status;
  tethered_stomp_decoder *stomp = NULL;
  tethered_ws_decoder *ws = NULL;
  TAKE(status, tethered_stomp_decoder_new(TETHERED_SERVER, 0, &stomp));
  CHECK((status == TETHERED_OK) == (stomp != NULL));
  TAKE(status, tethered_ws_decoder_new(TETHERED_SERVER, 0, &ws));
  CHECK((status == TETHERED_OK) == (ws != NULL));
  uint8_t out[256];
  size_t len = 0, used = 0, ends[4], count = 0;
  const tethered_header to = header("destination", "/topic/a:b");
  TAKE(status, tethered_stomp_encode(12, TETHERED_STOMP_SEND, &to, 1, text("body"), out, sizeof out, &len));
  note(out, len);
  tethered_stomp_frame read;
  size_t half = len / 2;
  if (stomp && len) {
    TAKE(status, tethered_stomp_decode(stomp, 12, out, half, &used, &read, sizeof read));
    TAKE(status, tethered_stomp_decode(stomp, 12, out + half, len - half, &used, &read, sizeof read));
    if (status == TETHERED_OK) note(read.body.ptr, read.body.len), note(read.headers[0].value.ptr, read.headers[0].value.len);
  }
  const tethered_slice texts[] = {text("a\"b"), text("c")};
  len = 0;
  TAKE(status, tethered_sockjs_encode(TETHERED_SOCKJS_MESSAGES, texts, 2, 0, out, sizeof out, &len));
  note(out, len);
  TAKE(status, tethered_sockjs_decode((const uint8_t *)"[\"x\",\"y\\u0041\"]", 15, out, ends, 4, &count));
  if (status == TETHERED_OK) CHECK(count == 2), note(out, ends[1]);
  uint8_t part[] = {0x01, 0x82, 0, 0, 0, 0, 'h', 'i'}, rest[] = {0x80, 0x81, 0, 0, 0, 0, '!'};
  tethered_ws_message message;
  if (ws) {
    TAKE(status, tethered_ws_decode(ws, part, sizeof part, &used, &message, sizeof message));
    int missed = status == TETHERED_E_MEMORY;
    TAKE(status, tethered_ws_decode(ws, rest, sizeof rest, &used, &message, sizeof message));
    if (status == TETHERED_OK) CHECK(is(message.data, "hi!"));
    else CHECK(missed || status == TETHERED_E_MEMORY);
    if (status == TETHERED_OK) note(message.data.ptr, message.data.len);
  }
  tethered_ws_decoder_free(ws);
  tethered_stomp_decoder_free(stomp);
}

static void story(void) {
  tethered_status status;
  tethered_config config;
  char why[64];
  tethered_config_init(&config, sizeof config);
  n_seen = refused = opened = closes = n_clients = asked = polling = 0, cookie[0] = 0;
  TAKE(status, tethered_config_parse(&config, sizeof config, text(HOUSE), why, sizeof why));
  CHECK(status == TETHERED_OK || status == TETHERED_E_MEMORY);
  TAKE(status, tethered_config_check(&config, sizeof config, why, sizeof why));
  tethered_hub *hub = NULL;
  TAKE(status, tethered_hub_new(&config, sizeof config, SEED, at(0), &hub));
  CHECK((status == TETHERED_OK) == (hub != NULL));
  codecs();
  if (!hub) return;
  ask(hub, 1, "POST", "/login", "name=rob");
  uint64_t echo = open_(hub, 2, "GET /echo/websocket HTTP/1.1\r\n" UPGRADE);
  uint64_t chat = open_(hub, 3, "GET /stomp/websocket HTTP/1.1\r\n" UPGRADE);
  FRAME(hub, 4, echo, "hello");
  FRAME(hub, 5, chat, "CONNECT\naccept-version:1.2\nhost:h\n\n");
  FRAME(hub, 6, chat, "SUBSCRIBE\nid:0\ndestination:/topic/a\n\n");
  FRAME(hub, 7, chat, "SEND\ndestination:/topic/a\nreceipt:1\n\nhello all");
  FRAME(hub, 8, chat, "SEND\ndestination:/app/do\n\nit");
  polling = ask(hub, 9, "POST", "/echo/0/abc/xhr", "");
  polling = ask(hub, 10, "POST", "/echo/0/abc/xhr", "");
  ask(hub, 11, "POST", "/echo/0/abc/xhr_send", "[\"one\",\"two\"]");
  const tethered_header fields[] = {header("x", "y")};
  TAKE(status, tethered_publish(hub, at(12), text(""), text("/topic/a"), fields, 1, text("from the host"), NULL));
  TAKE(status, tethered_publish(hub, at(12), text("rob"), text("/queue/a"), NULL, 0, text("for rob"), NULL));
  TAKE(status, tethered_announce(hub, at(12), text("to the others")));
  TAKE(status, tethered_relayed(hub, at(12), text("what another hub never says")));
  turn(hub, 12);
  const tethered_header headers[] = {header("Host", "h"), header("Cookie", cookie)};
  tethered_request request = {.token = 13, .target = text("/own"), .headers = headers, .n_headers = 2};
  uint64_t own = 0, client = 0;
  TAKE(status, tethered_join(hub, at(13), &request, sizeof request, &own, &client));
  opened += status == TETHERED_OK;
  TAKE(status, tethered_message(hub, at(14), client, TETHERED_TEXT, text("mine")));
  turn(hub, 14);
  CHECK(tethered_activity(hub, at(15), client, 0) >= 0);
  /* What ends somebody and what gives memory back is never refused. */
  CHECK(tethered_end(hub, at(16), TETHERED_WHO_USER, text("rob"), text(""), TETHERED_CAUSE_REVOKED, NULL) == TETHERED_OK);
  turn(hub, 16);
  CHECK(tethered_closed(hub, at(17), echo) >= 0);
  CHECK(tethered_drain(hub, at(18)) == TETHERED_OK);
  turn(hub, 18);
  for (uint64_t ms = 1000; ms < 90000; ms += 1000) {
    CHECK(tethered_tick(hub, at(ms)) == TETHERED_OK);
    turn(hub, ms);
  }
  tethered_stats stats;
  tethered_log line;
  CHECK(tethered_stats_get(hub, &stats, sizeof stats) == TETHERED_OK);
  if (stats.sockets != 0 || closes != opened) fprintf(stderr, "%d sockets, %zu opened, %zu closed, all %d\n", (int)stats.sockets, opened, closes, (int)allocations());
  CHECK(stats.sockets == 0 && closes == opened);
  while (tethered_log_next(hub, &line, sizeof line) == 1) note(line.text.ptr, line.text.len);
  tethered_hub_free(hub);
}

/* With each step-th allocation. */
static void told_again(uint64_t step) {
  fail_never();
  story();
  uint64_t all = allocations();
  CHECK(blocks() == 0 && refused == 0 && all > 200);
  memcpy(before, seen, n_seen), n_before = n_seen;
  uint64_t in_the_middle = 0;
  for (uint64_t n = 0; n < all; n += step) {
    /* One that fails is not noticed. */
    fail_after(n, 1);
    story();
    CHECK(failures() == 1 && refused == 0 && blocks() == 0);
    CHECK(n_seen == n_before && memcmp(seen, before, n_seen) == 0);
    /* If it lasts, and there is little in the reserve, that is not either. */
    fail_after(n, UINT64_MAX);
    story();
    CHECK(failures() > 0 && refused == 0 && blocks() == 0);
    CHECK(n_seen == n_before && memcmp(seen, before, n_seen) == 0);
    /* If much of the reserve is used, calls are refused, and can be told again when there is memory. */
    fills = 1, patience = 1 + n % 3;
    fail_after(n, UINT64_MAX);
    story();
    in_the_middle += refused == patience;
    empty();
    CHECK(blocks() == 0 && n_seen == n_before && memcmp(seen, before, n_seen) == 0);
    /* If there never is any again, those who are there are served and ended. */
    patience = 0, gives_up = 1;
    fail_after(n, UINT64_MAX);
    story();
    empty();
    fills = gives_up = 0;
    CHECK(blocks() == 0);
  }
  CHECK(in_the_middle > all / step / 2);
  fail_never();
}

/* More at once than the reserve could copy is looked at first; up to 2 MiB are not, which takes no system calls. */
static void much_at_once(void) {
  fail_never();
  tethered_hub *hub = hub_of(HOUSE);
  const size_t len = (size_t)16 << 20;
  uint8_t *much = exact(NULL, 0);
  free(much), much = calloc(1, len);
  CHECK(much != NULL);
  tethered_status status;
  const size_t most = (size_t)2 << 20;
  fail_after(0, UINT64_MAX);
  status = tethered_publish(hub, at(1), text(""), text("/topic/a"), NULL, 0, (tethered_slice){much, most}, NULL);
  CHECK(status == TETHERED_OK && failures() > 0);
  fail_never();
  for (size_t more = most + 1; more <= len; more += len - most - 1) {
    fail_after(0, UINT64_MAX);
    status = tethered_publish(hub, at(1), text(""), text("/topic/a"), NULL, 0, (tethered_slice){much, more}, NULL);
    CHECK(status == TETHERED_E_MEMORY && failures() == 1);
    CHECK(strstr(tethered_strerror(status), "memory") != NULL);
    fail_never();
  }
  status = tethered_publish(hub, at(1), text(""), text("/topic/a"), NULL, 0, (tethered_slice){much, len}, NULL);
  CHECK(status == TETHERED_OK);
  free(much);
  tethered_hub_free(hub);
}

/* What a peer floods a socket with: frames of so many bytes, all of them no longer than that. */
static uint8_t *flood(size_t payload, size_t most, size_t *len, size_t *frames) {
  tethered_ws_head head = {.payload_len = payload, .opcode = 2, .fin = 1, .masked = 1};
  uint8_t *bytes = calloc(1, most);
  CHECK(bytes != NULL);
  uint8_t bytes_of_head[14];
  size_t n = tethered_ws_write_head(&head, bytes_of_head);
  for (*len = *frames = 0; *len + n + payload <= most; *len += n + payload, ++*frames)
    memcpy(bytes + *len, bytes_of_head, n);
  return bytes;
}

static int32_t upgraded(tethered_hub *hub, uint64_t *socket);

/* Memory ends, and this comes in one read: it is all taken, and none of it is lost. */
static void flooded(size_t payload, size_t most) {
  fail_never();
  tethered_hub *hub = hub_of("[[endpoint]]\npath = \"/echo\"\nprotocol = \"raw\"\n");
  uint64_t socket;
  CHECK(upgraded(hub, &socket) == TETHERED_OK);
  size_t len, frames, taken = 0, came = 0;
  uint8_t *bytes = flood(payload, most, &len, &frames);
  fail_after(0, UINT64_MAX);
  int32_t status = tethered_received(hub, at(1), socket, bytes, len);
  CHECK((status == TETHERED_OK || status == TETHERED_PRESSURE) && failures() > 0);
  taken = frames;
  free(bytes);
  /* More than 64 KiB have to wait now, however little is used, and no more is taken than the reserve lasts for. */
  const size_t beyond = (64 << 10) + 1;
  bytes = calloc(1, beyond);
  CHECK(bytes != NULL && tethered_received(hub, at(1), socket, bytes, beyond) == TETHERED_E_MEMORY);
  free(bytes);
  if (most > 64 << 10) most = 64 << 10;
  size_t refusals = 0;
  for (int turn = 0; turn < 200; turn++) {
    bytes = flood(payload, most, &len, &frames);
    status = tethered_received(hub, at(1), socket, bytes, len);
    CHECK(status == TETHERED_OK || status == TETHERED_PRESSURE || status == TETHERED_E_MEMORY);
    if (status == TETHERED_E_MEMORY) refusals++;
    else taken += frames;
    free(bytes);
    tethered_action a[64];
    int32_t n;
    while (turn % 20 == 19 && (n = tethered_poll(hub, a, sizeof a[0], 64, NULL)) > 0)
      for (int32_t i = 0; i < n; i++) CHECK(a[i].kind == TETHERED_DELIVER && a[i].data.len == payload), came++;
  }
  CHECK(came == taken && (refusals > 0 || most < 64 << 10));
  fail_never();
  tethered_hub_free(hub);
}

/* A process that may have no more than so much: it takes in who fits, turns the others away, and goes on. */
static int32_t upgraded(tethered_hub *hub, uint64_t *socket) {
  tethered_peer peer = {.token = 1};
  char upgrade[] = "GET /echo HTTP/1.1\r\n" UPGRADE;
  tethered_action action;
  int32_t status = tethered_open(hub, at(1), &peer, sizeof peer, socket);
  if (status == TETHERED_OK) status = tethered_received(hub, at(1), *socket, (uint8_t *)upgrade, sizeof upgrade - 1);
  while (tethered_poll(hub, &action, sizeof action, 1, NULL) == 1)
    if (action.kind == TETHERED_WRITE) CHECK(tethered_sent(hub, at(1), action.socket, SIZE_MAX) == TETHERED_OK);
  return status;
}

static void as_many_as_fit(void) {
  struct rlimit old, limit;
  CHECK(getrlimit(RLIMIT_AS, &old) == 0);
  size_t pages = 0;
  FILE *statm = fopen("/proc/self/statm", "r");
  CHECK(statm != NULL && fscanf(statm, "%zu", &pages) == 1);
  fclose(statm);
  limit = old, limit.rlim_cur = pages * 4096 + ((rlim_t)2 << 20);
  static uint64_t sockets[100000];
  size_t there = 0;
  int32_t status = TETHERED_OK;
  tethered_hub *hub = hub_of("[[endpoint]]\npath = \"/echo\"\nprotocol = \"raw\"\n[limits]\nTOTAL = 100000\nPER_ADDR = 100000\n");
  CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
  while (status == TETHERED_OK) {
    CHECK(there < sizeof sockets / sizeof sockets[0]);
    status = upgraded(hub, &sockets[there]);
    there += status == TETHERED_OK;
  }
  CHECK(status == TETHERED_E_MEMORY && there > 1000);
  for (size_t i = 0; i < there; i++) {
    tethered_action action;
    CHECK(tethered_closed(hub, at(2), sockets[i]) == TETHERED_OK);
    while (tethered_poll(hub, &action, sizeof action, 1, NULL) == 1) CHECK(action.kind != TETHERED_WRITE);
  }
  /* As many as there were fit again. */
  for (size_t i = 0; i < there; i++) CHECK(upgraded(hub, &sockets[i]) == TETHERED_OK);
  CHECK(setrlimit(RLIMIT_AS, &old) == 0);
  tethered_hub_free(hub);
}

/* memory [STEP]: told again at each STEP-th allocation. With a step it is watched by a sanitizer or valgrind, which map more than
 * a process may have that has little. */
int main(int argc, char **argv) {
  if (argc < 2) as_many_as_fit();
  told_again(argc < 2 ? 1 : strtoull(argv[1], NULL, 10));
  much_at_once();
  flooded(0, 128 << 10);
  flooded(0, 64 << 10);
  flooded(1, 64 << 10);
  flooded(1000, 8 << 10);
  flooded(125, 2 << 20);
  flooded(16 << 10, 2 << 20);
  flooded(33000, 2 << 20);
  puts("ok");
  return 0;
}
