/* A process without threads, where no atomic exchange guards a hub, and signals that interrupt it anywhere: a handler that
 * comes while somebody is inside is told so, one that comes between two calls gets in, and nothing breaks. */
#define _GNU_SOURCE
#include "check.h"

#include <signal.h>
#include <sys/time.h>
#include <time.h>

static const char HOUSE[] = "[[endpoint]]\npath = \"/echo\"\nprotocol = \"raw\"\n";
static const char HELLO[] = "\x81\x85\0\0\0\0Hello";
static const char UPGRADE[] =
    "GET /echo HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

static tethered_hub *hub;
static volatile sig_atomic_t busy, in, wrong;

/* It asks twice, for what it leaves behind it has to find. */
static void a05_interrupts(int signal) {
  (void)signal;
  tethered_stats stats;
  tethered_status one = tethered_stats_get(hub, &stats, sizeof stats), two = tethered_stats_get(hub, &stats, sizeof stats);
  if (one != two || (one != TETHERED_OK && one != TETHERED_E_BUSY)) wrong++;
  else if (one == TETHERED_OK) in++;
  else busy++;
}

int main(void) {
  hub = hub_of(HOUSE);
  tethered_peer peer = {.token = 1};
  uint64_t socket = 0;
  uint8_t *upgrade = exact(UPGRADE, sizeof UPGRADE - 1);
  CHECK(tethered_open(hub, at(1), &peer, sizeof peer, &socket) == TETHERED_OK);
  CHECK(tethered_received(hub, at(1), socket, upgrade, sizeof UPGRADE - 1) == TETHERED_OK);
  free(upgrade);
  struct sigaction action = {.sa_handler = a05_interrupts, .sa_flags = SA_RESTART};
  struct itimerval often = {{0, 100}, {0, 100}}, never = {{0, 0}, {0, 0}};
  CHECK(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &often, NULL) == 0);
  time_t began = time(NULL);
  while (busy < 100 || in < 100) {
    uint8_t hello[sizeof HELLO];
    tethered_action a[8];
    int32_t n, came = 0;
    CHECK(time(NULL) - began < 60);
    for (int i = 0; i < 100; i++) {
      memcpy(hello, HELLO, sizeof hello);
      CHECK(tethered_received(hub, at(2), socket, hello, sizeof hello - 1) == TETHERED_OK);
    }
    while ((n = tethered_poll(hub, a, sizeof a[0], 8, NULL)) > 0)
      for (int32_t i = 0; i < n; i++) came += a[i].kind == TETHERED_DELIVER && is(a[i].data, "Hello");
    CHECK(n == 0 && came == 100);
  }
  CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0 && wrong == 0);
  tethered_hub_free(hub);
  puts("ok");
  return 0;
}
