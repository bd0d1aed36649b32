/* Hubs and threads: one each, one that moves between them, one that two fight over. With the argument "race", what
 * tethered.h forbids: bytes are written while another thread has given them away. ThreadSanitizer has to see it. */
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>

static const char HOUSE[] = "[[endpoint]]\npath = \"/echo\"\nprotocol = \"raw\"\n";
static const char HELLO[] = "\x81\x85\0\0\0\0Hello";
static const char UPGRADE[] =
    "GET /echo HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

static uint64_t open_echo(tethered_hub *hub) {
  tethered_peer peer = {.token = 1};
  uint64_t socket = 0;
  uint8_t upgrade[sizeof UPGRADE];
  memcpy(upgrade, UPGRADE, sizeof upgrade);
  CHECK(tethered_open(hub, at(1), &peer, sizeof peer, &socket) == TETHERED_OK);
  CHECK(tethered_received(hub, at(1), socket, upgrade, sizeof upgrade - 1) == TETHERED_OK);
  return socket;
}

/* Says something and gets it back; answers how often. */
static unsigned echo(tethered_hub *hub, uint64_t socket, unsigned rounds) {
  unsigned echoed = 0;
  for (unsigned round = 0; round < rounds; round++) {
    uint8_t hello[sizeof HELLO];
    tethered_action batch[8];
    tethered_slice slice;
    int32_t n;
    memcpy(hello, HELLO, sizeof hello);
    CHECK(tethered_received(hub, at(2), socket, hello, sizeof hello - 1) == TETHERED_OK);
    while ((n = tethered_poll(hub, batch, sizeof batch[0], 8, NULL)) > 0)
      for (int32_t i = 0; i < n; i++) {
        if (batch[i].kind == TETHERED_DELIVER)
          CHECK(tethered_send(hub, at(2), batch[i].id, batch[i].flags, batch[i].data) >= 0);
        if (batch[i].kind == TETHERED_WRITE)
          while (tethered_output(hub, socket, &slice, 1) == 1) {
            echoed += slice.len >= 5 && slice.ptr[slice.len - 1] == 'o';
            CHECK(tethered_sent(hub, at(2), socket, slice.len) == TETHERED_OK);
          }
      }
  }
  return echoed;
}

static void *alone(void *unused) {
  tethered_hub *hub = hub_of(HOUSE);
  (void)unused;
  CHECK(echo(hub, open_echo(hub), 500) == 500);
  tethered_hub_free(hub);
  return NULL;
}

static struct {
  pthread_mutex_t mutex;
  tethered_hub *hub;
  uint64_t socket;
  unsigned echoed;
} moved = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void *in_turn(void *unused) {
  (void)unused;
  for (int turn = 0; turn < 100; turn++) {
    pthread_mutex_lock(&moved.mutex);
    moved.echoed += echo(moved.hub, moved.socket, 5);
    pthread_mutex_unlock(&moved.mutex);
  }
  return NULL;
}

/* Whoever is not alone is told so, and nothing breaks. */
static void *a05_at_once(void *argument) {
  tethered_hub *hub = argument;
  for (int i = 0; i < 5000; i++) {
    int32_t status = tethered_tick(hub, at(3));
    CHECK(status == TETHERED_OK || status == TETHERED_E_BUSY);
  }
  return NULL;
}

static struct {
  tethered_hub *hub;
  uint64_t socket;
  uint8_t hello[sizeof HELLO];
} shared;

/* Relaxed: they make sure that the two overlap, and order nothing. */
static atomic_int writing, received;

static void *writes(void *unused) {
  (void)unused;
  while (!atomic_load_explicit(&received, memory_order_relaxed)) {
    *(volatile uint8_t *)&shared.hello[6] = 'H';
    atomic_store_explicit(&writing, 1, memory_order_relaxed);
  }
  return NULL;
}

static void *receives(void *unused) {
  (void)unused;
  while (!atomic_load_explicit(&writing, memory_order_relaxed)) continue;
  for (int i = 0; i < 100; i++)
    CHECK(tethered_received(shared.hub, at(2), shared.socket, shared.hello, sizeof shared.hello - 1) == TETHERED_OK);
  atomic_store_explicit(&received, 1, memory_order_relaxed);
  return NULL;
}

static void run(void *(*one)(void *), void *(*two)(void *), void *argument) {
  pthread_t threads[2];
  CHECK(pthread_create(&threads[0], NULL, one, argument) == 0);
  CHECK(pthread_create(&threads[1], NULL, two, argument) == 0);
  CHECK(pthread_join(threads[0], NULL) == 0 && pthread_join(threads[1], NULL) == 0);
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "race") == 0) {
    shared.hub = hub_of(HOUSE);
    shared.socket = open_echo(shared.hub);
    memcpy(shared.hello, HELLO, sizeof shared.hello);
    run(writes, receives, NULL);
    return 0;
  }
  run(alone, alone, NULL);
  moved.hub = hub_of(HOUSE);
  moved.socket = open_echo(moved.hub);
  run(in_turn, in_turn, NULL);
  CHECK(moved.echoed == 1000);
  run(a05_at_once, a05_at_once, moved.hub);
  CHECK(echo(moved.hub, moved.socket, 1) == 1);
  tethered_hub_free(moved.hub);
  puts("ok");
  return 0;
}
