/* A hub that is freed with 10,000 open sockets, and everything that hangs on them; two hubs beside each other. */
#include "check.h"

enum { CROWD = 10000 };

static const char HOUSE[] =
    "requests = true\n[limits]\nTOTAL = 20000\nHALF_OPEN = 20000\nHALF_OPEN_ADDR = 20000\nPER_ADDR = 20000\n"
    "[[endpoint]]\npath = \"/stomp\"\nlogin = false\n[[endpoint]]\npath = \"/echo\"\nprotocol = \"raw\"\n";
static const char UPGRADE[] =
    "GET /echo HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
static const char CONNECT[] = "CONNECT\naccept-version:1.2\nhost:h\n\n\0SUBSCRIBE\nid:0\ndestination:/topic/a\n\n";

static void received(tethered_hub *hub, uint64_t socket, const char *bytes, size_t len) {
  uint8_t *copy = exact(bytes, len);
  CHECK(tethered_received(hub, at(1), socket, copy, len) == TETHERED_OK);
  free(copy);
}

static uint64_t poll_all(tethered_hub *hub) {
  tethered_action batch[256];
  uint64_t count = 0;
  int32_t n;
  while ((n = tethered_poll(hub, batch, sizeof batch[0], 256, NULL)) > 0) count += (uint64_t)n;
  CHECK(n == 0);
  return count;
}

static tethered_hub *crowded(void) {
  tethered_hub *hub = hub_of(HOUSE);
  for (uint64_t token = 0; token < CROWD; token++) {
    uint64_t socket = 0, client = 0;
    const tethered_header host = header("Host", "h");
    tethered_peer peer = {.token = token};
    tethered_request request = {
        .token = token, .method = text("GET"), .target = text("/page"), .headers = &host, .n_headers = 1};
    switch (token % 8) {
    case 0: /* asked, and nobody answers */
      CHECK(tethered_ask(hub, at(1), &request, sizeof request, &socket) == TETHERED_OK);
      break;
    case 1: case 2: /* messages of the host's own */
      request.target = text("/stomp");
      CHECK(tethered_join(hub, at(1), &request, sizeof request, &socket, &client) == TETHERED_OK);
      CHECK(tethered_message(hub, at(1), client, TETHERED_TEXT,
                             (tethered_slice){(const uint8_t *)CONNECT, sizeof CONNECT}) == TETHERED_OK);
      break;
    default:
      CHECK(tethered_open(hub, at(1), &peer, sizeof peer, &socket) == TETHERED_OK);
      if (token % 8 == 3) received(hub, socket, UPGRADE, 20); /* half a head */
      if (token % 8 > 3) received(hub, socket, UPGRADE, sizeof UPGRADE - 1);
      if (token % 8 > 4) received(hub, socket, "\x81\xff\0\0\0", 5); /* half a frame */
    }
    if (token % 100 == 0) poll_all(hub);
  }
  return hub;
}

int main(void) {
  tethered_stats stats;
  uint64_t receivers = 0;
  tethered_hub *hub = crowded(), *other = hub_of(HOUSE);
  CHECK(tethered_publish(hub, at(2), text(""), text("/topic/a"), NULL, 0, text("to all"), &receivers) == TETHERED_OK);
  CHECK(receivers == CROWD / 4);
  CHECK(tethered_stats_get(hub, &stats, sizeof stats) == TETHERED_OK && stats.sockets == CROWD);
  /* Freed with all of them, with actions that wait, and with a batch that is lent. */
  tethered_action batch[64];
  CHECK(tethered_poll(hub, batch, sizeof batch[0], 64, NULL) == 64);
  CHECK(tethered_stats_get(other, &stats, sizeof stats) == TETHERED_OK && stats.sockets == 0);
  tethered_hub_free(hub);
  CHECK(tethered_tick(other, at(3)) == TETHERED_OK);
  tethered_hub_free(other);
  /* And once they are told that it is over. */
  hub = crowded();
  CHECK(tethered_drain(hub, at(2)) == TETHERED_OK);
  for (uint64_t ms = 3; ms < 200000; ms += 50) {
    CHECK(tethered_tick(hub, at(ms)) == TETHERED_OK);
    poll_all(hub);
  }
  CHECK(tethered_stats_get(hub, &stats, sizeof stats) == TETHERED_OK);
  CHECK(stats.sockets == 0 && stats.clients == 0 && stats.buffered_bytes == 0 && stats.opened == stats.closed);
  tethered_hub_free(hub);
  puts("ok");
  return 0;
}
