/* Calls what every host needs: as it is meant, with NULL, with stale ids, wrong sizes and no room. */
#include "check.h"

static const char UPGRADE[] =
    "GET /echo HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
static const char SWITCHING[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
/* RFC 6455 section 5.7: "Hello", masked and not. */
static const uint8_t HELLO[] = {0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58};
static const uint8_t HELLO_BACK[] = {0x81, 0x05, 'H', 'e', 'l', 'l', 'o'};

static tethered_hub *echo_hub(uint64_t max_sockets) {
  tethered_endpoint endpoint = {.kind = TETHERED_ENDPOINT_RAW, .max_message = 1000, .path = text("/echo")};
  tethered_config config = {
      .max_sockets = max_sockets, .endpoints = &endpoint, .n_endpoints = 1, .endpoint_size = sizeof endpoint};
  tethered_hub *hub = NULL;
  CHECK(tethered_hub_new(&config, sizeof config, SEED, at(0), &hub) == TETHERED_OK && hub != NULL);
  return hub;
}

static uint64_t open_socket(tethered_hub *hub, uint64_t token) {
  tethered_peer peer = {.token = token};
  uint64_t socket = 0;
  CHECK(tethered_open(hub, at(1), &peer, sizeof peer, &socket) == TETHERED_OK && socket != 0);
  return socket;
}

/* Gives the bytes one by one, each in a block of its own, so that valgrind sees a read beyond. */
static void feed(tethered_hub *hub, uint64_t socket, const void *bytes, size_t len) {
  for (size_t i = 0; i < len; i++) {
    uint8_t *one = malloc(1);
    CHECK(one != NULL);
    *one = ((const uint8_t *)bytes)[i];
    CHECK(tethered_received(hub, at(2), socket, one, 1) == TETHERED_OK);
    free(one);
  }
}

/* Takes all output of a socket, three bytes at a time, and compares it. */
static void expect_output(tethered_hub *hub, uint64_t socket, const void *bytes, size_t len) {
  tethered_slice slice;
  for (size_t done = 0; done < len;) {
    CHECK(tethered_output(hub, socket, &slice, 1) == 1);
    size_t take = slice.len < 3 ? slice.len : 3;
    CHECK(take <= len - done && memcmp(slice.ptr, (const uint8_t *)bytes + done, take) == 0);
    CHECK(tethered_sent(hub, at(3), socket, take) == TETHERED_OK);
    done += take;
  }
  CHECK(tethered_output(hub, socket, &slice, 1) == 0);
}

static uint64_t open_websocket(tethered_hub *hub, uint64_t token) {
  uint64_t socket = open_socket(hub, token);
  feed(hub, socket, UPGRADE, sizeof UPGRADE - 1);
  tethered_action write = next(hub);
  CHECK(write.kind == TETHERED_WRITE && write.socket == socket && write.token == token && write.id == 0);
  CHECK(write.details == 0 && write.argc == 0 && write.argv == NULL && write.argvlen == NULL);
  tethered_action joined = expect(hub, TETHERED_JOINED);
  CHECK(joined.token == token && joined.id != 0 && joined.name.len == 0 && is(joined.data, "/echo"));
  expect_nothing(hub);
  expect_output(hub, socket, SWITCHING, sizeof SWITCHING - 1);
  return socket;
}

static void versions(void) {
  char version[32];
  snprintf(version, sizeof version, "%d.%d.%d", TETHERED_VERSION_MAJOR, TETHERED_VERSION_MINOR, TETHERED_VERSION_PATCH);
  CHECK(strcmp(version, tethered_version()) == 0);
  CHECK(tethered_version_num() == TETHERED_VERSION_NUM);
  CHECK(tethered_abi() == TETHERED_ABI);
  for (int32_t status = -100; status <= 100; status++) CHECK(strlen(tethered_strerror(status)) > 0);
  CHECK(strcmp(tethered_strerror(TETHERED_OK), tethered_strerror(TETHERED_STALE)) != 0);
}

static void a01_null_where_it_may_not_be(void) {
  tethered_hub *hub = echo_hub(0);
  tethered_peer peer = {.token = 1};
  tethered_action action;
  tethered_slice slice;
  uint64_t id = 77;
  uint8_t byte = 0;
  uint64_t zeros[64] = {0};
  tethered_hub *wrong[] = {NULL, (tethered_hub *)(void *)zeros, (tethered_hub *)(void *)((char *)zeros + 1)};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    CHECK(tethered_open(wrong[i], at(1), &peer, sizeof peer, &id) == TETHERED_E_ARGUMENT);
    CHECK(tethered_received(wrong[i], at(1), 1, &byte, 1) == TETHERED_E_ARGUMENT);
    CHECK(tethered_output(wrong[i], 1, &slice, 1) == 0);
    CHECK(tethered_sent(wrong[i], at(1), 1, 1) == TETHERED_E_ARGUMENT);
    CHECK(tethered_sent_many(wrong[i], at(1), NULL, 0) == TETHERED_E_ARGUMENT);
    CHECK(tethered_closed(wrong[i], at(1), 1) == TETHERED_E_ARGUMENT);
    CHECK(tethered_poll(wrong[i], &action, sizeof action, 1, &id) == TETHERED_E_ARGUMENT);
    CHECK(tethered_tick(wrong[i], at(1)) == TETHERED_E_ARGUMENT);
    CHECK(tethered_send(wrong[i], at(1), 1, TETHERED_TEXT, text("x")) == TETHERED_E_ARGUMENT);
    tethered_hub_free(wrong[i]);
  }
  CHECK(tethered_open(hub, at(1), NULL, sizeof peer, &id) == TETHERED_E_ARGUMENT);
  CHECK(tethered_open(hub, at(1), &peer, sizeof peer, NULL) == TETHERED_E_ARGUMENT);
  CHECK(tethered_poll(hub, NULL, sizeof action, 1, &id) == TETHERED_E_ARGUMENT);
  CHECK(tethered_output(hub, open_socket(hub, 1), NULL, 1) == 0);
  CHECK(id == 77);
  tethered_hub_free(hub);
}

static void a02_a03_stale_and_invented_ids(void) {
  tethered_hub *hub = echo_hub(0);
  uint64_t ended = open_socket(hub, 5), client;
  uint8_t byte = 'G';
  tethered_slice slice;
  CHECK(tethered_closed(hub, at(2), ended) == TETHERED_OK);
  CHECK(next(hub).kind == TETHERED_CLOSE);
  uint64_t again = open_socket(hub, 6);
  CHECK(again != ended);
  const uint64_t ids[] = {ended, 0, 1, UINT64_MAX, again + 1, again ^ ((uint64_t)1 << 63)};
  for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
    CHECK(tethered_received(hub, at(3), ids[i], &byte, 1) == TETHERED_STALE);
    CHECK(tethered_sent(hub, at(3), ids[i], 1) == TETHERED_STALE);
    const tethered_taken taken[] = {{again, 0}, {ids[i], 1}};
    CHECK(tethered_sent_many(hub, at(3), taken, 2) == TETHERED_STALE);
    CHECK(tethered_closed(hub, at(3), ids[i]) == TETHERED_STALE);
    CHECK(tethered_send(hub, at(3), ids[i], TETHERED_BINARY, text("x")) == TETHERED_STALE);
    CHECK(tethered_output(hub, ids[i], &slice, 1) == 0);
  }
  uint64_t socket = open_websocket(hub, 7);
  feed(hub, socket, HELLO, sizeof HELLO);
  client = next(hub).id;
  CHECK(tethered_closed(hub, at(4), socket) == TETHERED_OK);
  CHECK(tethered_send(hub, at(4), client, TETHERED_TEXT, text("x")) == TETHERED_STALE);
  tethered_hub_free(hub);
}

static int32_t try_config(const void *config, size_t size) {
  tethered_hub *hub = (tethered_hub *)(void *)&hub;
  int32_t status = tethered_hub_new((const tethered_config *)config, size, SEED, at(0), &hub);
  if (status == TETHERED_OK) tethered_hub_free(hub);
  else CHECK(hub == (tethered_hub *)(void *)&hub);
  return status;
}

static void a12_a13_configurations(void) {
  tethered_endpoint two[2] = {{.kind = TETHERED_ENDPOINT_RAW, .path = text("/a")},
                              {.kind = TETHERED_ENDPOINT_RAW, .path = text("/b")}};
  const tethered_config good = {.endpoints = two, .n_endpoints = 2, .endpoint_size = sizeof two[0]};
  struct {
    tethered_config known;
    uint64_t later;
  } newer = {good, 0};
  tethered_config c = good;
  tethered_hub *hub = NULL;
  CHECK(try_config(NULL, 0) == TETHERED_OK);
  CHECK(try_config(&good, sizeof good) == TETHERED_OK);
  for (size_t size = 0; size < sizeof good; size++) /* an older caller: whole members only */
    CHECK(try_config(&good, size) == (size % 8 == 0 && size != 64 ? TETHERED_OK : TETHERED_E_ARGUMENT));
  CHECK(try_config(&newer, sizeof newer) == TETHERED_OK);
  newer.later = 1;
  CHECK(try_config(&newer, sizeof newer) == TETHERED_E_VERSION);
  CHECK(try_config(&good, SIZE_MAX) == TETHERED_E_ARGUMENT);
  CHECK(tethered_hub_new(&good, sizeof good, NULL, at(0), &hub) == TETHERED_E_ARGUMENT);
  CHECK(tethered_hub_new(&good, sizeof good, SEED, at(0), NULL) == TETHERED_E_ARGUMENT);
  c.flags = 8, CHECK(try_config(&c, sizeof c) == TETHERED_E_ARGUMENT), c = good;
  c.max_sockets = UINT64_MAX, CHECK(try_config(&c, sizeof c) == TETHERED_E_ARGUMENT), c = good;
  c.endpoints = NULL, CHECK(try_config(&c, sizeof c) == TETHERED_E_ARGUMENT), c = good;
  c.n_endpoints = SIZE_MAX, CHECK(try_config(&c, sizeof c) == TETHERED_E_ARGUMENT), c = good;
  c.endpoint_size = 0, CHECK(try_config(&c, sizeof c) == TETHERED_E_ARGUMENT), c = good;
  c.endpoint_size = SIZE_MAX, CHECK(try_config(&c, sizeof c) == TETHERED_E_ARGUMENT), c = good;
  c.n_endpoints = 1, c.endpoint_size = sizeof two; /* the second is a tail that is not zero */
  CHECK(try_config(&c, sizeof c) == TETHERED_E_VERSION);
  const tethered_slice paths[] = {text("/a"), text("b"), text("/b?"), text("/\xff"), {NULL, 0}, {NULL, 2}};
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
    two[1].path = paths[i];
    CHECK(try_config(&good, sizeof good) == TETHERED_E_ARGUMENT);
  }
  two[1].path = text("/b");
  two[1].kind = 99, CHECK(try_config(&good, sizeof good) == TETHERED_E_ARGUMENT), two[1].kind = TETHERED_ENDPOINT_RAW;
  two[1].flags = 16, CHECK(try_config(&good, sizeof good) == TETHERED_E_ARGUMENT), two[1].flags = 0;
  CHECK(try_config(&good, sizeof good) == TETHERED_OK);
}

static void peers_and_the_limit(void) {
  tethered_hub *hub = echo_hub(1);
  const uint8_t address[17] = {127, 0, 0, 1};
  tethered_peer peer = {.token = 1, .flags = TETHERED_PEER_SECURE};
  uint64_t id = 0, opened = 0;
  for (size_t len = 0; len <= sizeof address; len++) {
    peer.address = (tethered_slice){len ? address : NULL, len};
    int32_t status = tethered_open(hub, at(1), &peer, sizeof peer, &id);
    CHECK(status == (len == 0 || len == 4 || len == 16 ? TETHERED_OK : TETHERED_E_ARGUMENT));
  }
  peer.address.len = 0;
  CHECK(tethered_open(hub, at(1), &peer, 8, &id) == TETHERED_OK);
  CHECK(tethered_open(hub, at(1), &peer, 7, &id) == TETHERED_E_ARGUMENT);
  peer.flags = 2, CHECK(tethered_open(hub, at(1), &peer, sizeof peer, &id) == TETHERED_E_ARGUMENT), peer.flags = 0;
  peer.listener = 1, CHECK(tethered_open(hub, at(1), &peer, sizeof peer, &id) == TETHERED_E_ARGUMENT), peer.listener = 0;
  int32_t status;
  while ((status = tethered_open(hub, at(1), &peer, sizeof peer, &id)) == TETHERED_OK && opened < 100000) {
    uint8_t upgrade[sizeof UPGRADE];
    memcpy(upgrade, UPGRADE, sizeof upgrade);
    CHECK(tethered_received(hub, at(1), id, upgrade, sizeof upgrade - 1) == TETHERED_OK);
    opened++;
  }
  CHECK(status == TETHERED_E_LIMIT && opened > 0);
  tethered_hub_free(hub);
}

static void an_echo_byte_by_byte(void) {
  tethered_hub *hub = echo_hub(0);
  uint64_t socket = open_websocket(hub, 0xdeadbeefcafe);
  for (int round = 0; round < 3; round++) {
    feed(hub, socket, HELLO, sizeof HELLO);
    tethered_action deliver = next(hub);
    CHECK(deliver.kind == TETHERED_DELIVER && deliver.flags == TETHERED_TEXT && deliver.id != 0);
    CHECK(deliver.name.len == 5 && memcmp(deliver.name.ptr, "/echo", 5) == 0);
    CHECK(deliver.data.len == 5 && memcmp(deliver.data.ptr, "Hello", 5) == 0);
    CHECK(tethered_send(hub, at(3), deliver.id, deliver.flags, deliver.data) == TETHERED_OK);
    tethered_action write = next(hub);
    CHECK(write.kind == TETHERED_WRITE && write.socket == socket && write.token == 0xdeadbeefcafe);
    expect_output(hub, socket, HELLO_BACK, sizeof HELLO_BACK);
    expect_nothing(hub);
  }
  tethered_hub_free(hub);
}

static void a07_a08_what_cannot_be_sent(void) {
  tethered_hub *hub = echo_hub(0);
  uint64_t socket = open_websocket(hub, 1);
  feed(hub, socket, HELLO, sizeof HELLO);
  uint64_t client = next(hub).id;
  uint8_t byte = 0;
  const tethered_slice nothing = {NULL, 0};
  CHECK(tethered_send(hub, at(3), client, 0, text("x")) == TETHERED_E_ARGUMENT);
  CHECK(tethered_send(hub, at(3), client, 99, text("x")) == TETHERED_E_ARGUMENT);
  CHECK(tethered_send(hub, at(3), client, TETHERED_TEXT, text("\xed\xa0\x80")) == TETHERED_E_ARGUMENT);
  CHECK(tethered_send(hub, at(3), client, TETHERED_BINARY, (tethered_slice){NULL, 1}) == TETHERED_E_ARGUMENT);
  CHECK(tethered_send(hub, at(3), client, TETHERED_BINARY, (tethered_slice){&byte, SIZE_MAX}) == TETHERED_E_ARGUMENT);
  CHECK(tethered_received(hub, at(3), socket, NULL, 1) == TETHERED_E_ARGUMENT);
  CHECK(tethered_received(hub, at(3), socket, &byte, (size_t)PTRDIFF_MAX + 1) == TETHERED_E_ARGUMENT);
  CHECK(tethered_output(hub, socket, (tethered_slice *)(void *)(&byte + 1), SIZE_MAX) == 0);
  expect_nothing(hub);
  CHECK(tethered_received(hub, at(3), socket, NULL, 0) == TETHERED_OK);
  CHECK(tethered_send(hub, at(3), client, TETHERED_TEXT, nothing) == TETHERED_OK);
  CHECK(tethered_send(hub, at(3), client, TETHERED_BINARY, text("\xff")) == TETHERED_OK);
  CHECK(next(hub).kind == TETHERED_WRITE);
  CHECK(tethered_output(hub, socket, NULL, 0) == 0);
  const uint8_t frames[] = {0x81, 0, 0x82, 1, 0xff};
  expect_output(hub, socket, frames, sizeof frames);
  tethered_hub_free(hub);
}

/* Told together, each counts as if it were told by itself: also what is told of one that ended, which is nothing. */
static void what_several_sockets_took_is_told_in_one_call(void) {
  enum { SOCKETS = 3 };
  tethered_hub *hub = echo_hub(0);
  uint64_t sockets[SOCKETS];
  tethered_taken taken[SOCKETS + 1];
  tethered_slice slice;
  for (uint64_t i = 0; i < SOCKETS; i++) {
    sockets[i] = open_websocket(hub, i);
    feed(hub, sockets[i], HELLO, sizeof HELLO);
    CHECK(tethered_send(hub, at(3), next(hub).id, TETHERED_TEXT, text("Hello")) == TETHERED_OK);
    CHECK(next(hub).kind == TETHERED_WRITE);
    CHECK(tethered_output(hub, sockets[i], &slice, 1) == 1 && slice.len == 7);
    taken[i] = (tethered_taken){sockets[i], i == 1 ? 3 : 7};
  }
  CHECK(tethered_sent_many(hub, at(3), NULL, 1) == TETHERED_E_ARGUMENT);
  CHECK(tethered_sent_many(hub, at(3), taken, SIZE_MAX) == TETHERED_E_ARGUMENT);
  CHECK(tethered_output(hub, sockets[0], &slice, 1) == 1);
  CHECK(tethered_sent_many(hub, at(3), NULL, 0) == TETHERED_OK);
  CHECK(tethered_sent_many(hub, at(3), taken, SOCKETS) == TETHERED_OK);
  for (int i = 0; i < SOCKETS; i++) CHECK(tethered_output(hub, sockets[i], &slice, 1) == (size_t)(i == 1));
  CHECK(tethered_output(hub, sockets[1], &slice, 1) == 1 && slice.len == 4 && !memcmp(slice.ptr, "ello", 4));
  CHECK(tethered_closed(hub, at(4), sockets[0]) == TETHERED_OK);
  taken[0] = (tethered_taken){sockets[0], 1}, taken[1] = (tethered_taken){sockets[1], SIZE_MAX};
  CHECK(tethered_sent_many(hub, at(4), taken, 2) == TETHERED_STALE);
  CHECK(tethered_output(hub, sockets[1], &slice, 1) == 0);
  tethered_hub_free(hub);
}

static void a09_what_is_lent_lives_until_the_next_poll(void) {
  tethered_hub *hub = echo_hub(0);
  uint64_t socket = open_websocket(hub, 1), other = open_websocket(hub, 2);
  tethered_action batch[2], none;
  feed(hub, socket, HELLO, sizeof HELLO);
  feed(hub, other, HELLO, sizeof HELLO);
  CHECK(tethered_poll(hub, batch, sizeof batch[0], 2, NULL) == 2);
  for (int i = 0; i < 1000; i++) CHECK(tethered_send(hub, at(3), batch[0].id, TETHERED_TEXT, batch[1].data) == TETHERED_OK);
  feed(hub, other, HELLO, sizeof HELLO);
  CHECK(tethered_closed(hub, at(4), socket) == TETHERED_OK);
  CHECK(tethered_closed(hub, at(4), other) == TETHERED_OK);
  CHECK(tethered_tick(hub, at(100000)) == TETHERED_OK);
  CHECK(tethered_poll(hub, &none, sizeof none - 8, 1, NULL) == TETHERED_E_ARGUMENT);
  for (int i = 0; i < 2; i++) CHECK(batch[i].kind == TETHERED_DELIVER && memcmp(batch[i].data.ptr, "Hello", 5) == 0);
  tethered_hub_free(hub);
}

static void a10_no_room_loses_nothing(void) {
  tethered_hub *hub = echo_hub(0);
  struct {
    tethered_action action;
    uint64_t newer[2], canary;
  } row = {.newer = {1, 1}, .canary = 1};
  uint64_t deadline = 0;
  for (uint64_t token = 0; token < 3; token++) CHECK(tethered_closed(hub, at(9), open_socket(hub, token)) == TETHERED_OK);
  CHECK(tethered_poll(hub, NULL, sizeof row.action, 0, &deadline) == 0 && deadline == 9);
  CHECK(tethered_poll(hub, &row.action, sizeof row.action - 1, 1, NULL) == TETHERED_E_ARGUMENT);
  CHECK(tethered_poll(hub, &row.action, SIZE_MAX, 1, NULL) == TETHERED_E_ARGUMENT);
  for (uint64_t token = 0; token < 3; token++) {
    row.newer[0] = 1;
    CHECK(tethered_poll(hub, &row.action, sizeof row.action + sizeof row.newer, 1, &deadline) == 1 && deadline == 9);
    CHECK(row.action.kind == TETHERED_CLOSE && row.action.token == token);
    CHECK(row.newer[0] == 0 && row.newer[1] == 0 && row.canary == 1);
  }
  CHECK(tethered_poll(hub, &row.action, sizeof row.action, SIZE_MAX, &deadline) == 0);
  CHECK(deadline == UINT64_MAX || deadline > 9);
  tethered_hub_free(hub);
}

/* A host that never polls is told so, and nothing is lost, until its actions hold more than MEMORY. */
static void a11_actions_that_nobody_polls(void) {
  tethered_hub *hub = echo_hub(0);
  uint64_t socket = open_websocket(hub, 1), delivered = 0;
  tethered_action batch[64];
  uint8_t hello[sizeof HELLO];
  int32_t n;
  for (int round = 0; round < 2000; round++) {
    memcpy(hello, HELLO, sizeof hello);
    CHECK(tethered_received(hub, at(3), socket, hello, sizeof hello) == (round < 1023 ? TETHERED_OK : TETHERED_PRESSURE));
  }
  while ((n = tethered_poll(hub, batch, sizeof batch[0], 64, NULL)) > 0)
    for (int32_t i = 0; i < n; i++) delivered += batch[i].kind == TETHERED_DELIVER && is(batch[i].data, "Hello");
  CHECK(delivered == 2000);
  memcpy(hello, HELLO, sizeof hello);
  CHECK(tethered_received(hub, at(3), socket, hello, sizeof hello) == TETHERED_OK);
  tethered_hub_free(hub);

  hub = hub_of("[limits]\nMEMORY = 10000\n[[endpoint]]\npath = \"/echo\"\nprotocol = \"raw\"\n");
  socket = open_websocket(hub, 2);
  uint64_t taken = 0;
  int32_t status;
  do {
    memcpy(hello, HELLO, sizeof hello);
    status = tethered_received(hub, at(3), socket, hello, sizeof hello);
    taken += status != TETHERED_STALE;
  } while (status == TETHERED_OK && taken < 100000);
  CHECK(status == TETHERED_PRESSURE && taken == 10000 / sizeof hello + 1);
  CHECK(tethered_received(hub, at(3), socket, hello, sizeof hello) == TETHERED_STALE);
  delivered = 0;
  uint64_t closed = 0;
  while ((n = tethered_poll(hub, batch, sizeof batch[0], 64, NULL)) > 0)
    for (int32_t i = 0; i < n; i++) {
      delivered += batch[i].kind == TETHERED_DELIVER;
      closed += batch[i].kind == TETHERED_CLOSE;
    }
  CHECK(delivered == taken && closed == 1);
  expect_log(hub, "poll");
  tethered_hub_free(hub);
}

/* Close, also of a peer that goes without a word, is said once, last, and whatever came before is said before. */
static void each_socket_gets_one_close_and_it_is_the_last(void) {
  tethered_hub *hub = echo_hub(0);
  uint8_t hello[sizeof HELLO], bad[] = {0xff, 0xff};
  uint64_t socket = open_websocket(hub, 1), broken = open_websocket(hub, 2);
  memcpy(hello, HELLO, sizeof hello);
  CHECK(tethered_received(hub, at(3), socket, hello, sizeof hello) == TETHERED_OK);
  CHECK(tethered_closed(hub, at(3), socket) == TETHERED_OK);
  CHECK(tethered_closed(hub, at(3), socket) == TETHERED_STALE);
  CHECK(next(hub).kind == TETHERED_DELIVER);
  tethered_action left = expect(hub, TETHERED_LEFT);
  CHECK(left.token == 1 && left.flags == TETHERED_CAUSE_PEER && is(left.data, "peer"));
  tethered_action close = next(hub);
  CHECK(close.kind == TETHERED_CLOSE && close.socket == socket && close.token == 1);
  CHECK(tethered_received(hub, at(3), broken, bad, sizeof bad) == TETHERED_OK); /* what a peer sends is no failure */
  CHECK(expect(hub, TETHERED_LEFT).flags == TETHERED_CAUSE_VIOLATION);
  tethered_action write = next(hub);
  tethered_slice slice;
  CHECK(write.kind == TETHERED_WRITE && write.token == 2);
  CHECK(tethered_output(hub, broken, &slice, 1) == 1 && slice.len > 4 && slice.ptr[0] == 0x88);
  CHECK(slice.ptr[2] == 1002 >> 8 && slice.ptr[3] == (1002 & 255));
  CHECK(tethered_sent(hub, at(3), broken, SIZE_MAX) == TETHERED_OK);
  CHECK(next(hub).kind == TETHERED_SHUTDOWN);
  expect_nothing(hub);
  CHECK(tethered_tick(hub, at(20000)) == TETHERED_OK); /* the peer never ends it */
  close = next(hub);
  CHECK(close.kind == TETHERED_CLOSE && close.token == 2);
  CHECK(tethered_tick(hub, at(200000)) == TETHERED_OK);
  expect_nothing(hub);
  tethered_hub_free(hub);
}

static void requests_are_answered_404_and_the_connection_stays(void) {
  tethered_hub *hub = echo_hub(0);
  uint64_t socket = open_socket(hub, 3);
  static const char get[] = "GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n", status[] = "HTTP/1.1 404 Not Found\r\n";
  for (int round = 0; round < 2; round++) {
    feed(hub, socket, get, sizeof get - 1);
    tethered_slice slice;
    CHECK(next(hub).kind == TETHERED_WRITE);
    CHECK(tethered_output(hub, socket, &slice, 1) == 1);
    CHECK(slice.len > sizeof status && memcmp(slice.ptr, status, sizeof status - 1) == 0);
    CHECK(tethered_sent(hub, at(4), socket, slice.len) == TETHERED_OK);
    expect_nothing(hub);
  }
  tethered_hub_free(hub);
}

int main(void) {
  errno = 77;
  versions();
  a01_null_where_it_may_not_be();
  a02_a03_stale_and_invented_ids();
  a07_a08_what_cannot_be_sent();
  what_several_sockets_took_is_told_in_one_call();
  a09_what_is_lent_lives_until_the_next_poll();
  a10_no_room_loses_nothing();
  a11_actions_that_nobody_polls();
  a12_a13_configurations();
  peers_and_the_limit();
  an_echo_byte_by_byte();
  each_socket_gets_one_close_and_it_is_the_last();
  requests_are_answered_404_and_the_connection_stays();
  CHECK(errno == 77);
  puts("ok");
  return 0;
}
