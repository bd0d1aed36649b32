/* Uses the library wrongly, in the way that its argument names: valgrind must see it, or its silence is worth nothing. */
#include "tethered.h"

#include <stdlib.h>
#include <string.h>

static const char GET[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

int main(int argc, char **argv) {
  const char *fault = argc > 1 ? argv[1] : "none";
  const uint8_t seed[16] = {0};
  const tethered_now now = {1, 1};
  const tethered_peer peer = {.token = 1};
  tethered_hub *hub;
  tethered_slice output;
  uint64_t socket;
  volatile uint8_t seen = 0;
  size_t len = sizeof GET - 1;
  uint8_t *bytes = malloc(len);
  if (!bytes || tethered_hub_new(NULL, 0, seed, now, &hub)) return 2;
  memcpy(bytes, GET, len);
  if (tethered_open(hub, now, &peer, sizeof peer, &socket)) return 2;
  if (tethered_received(hub, now, socket, bytes, strcmp(fault, "beyond") ? len : len + 1)) return 2;
  if (tethered_poll(hub, NULL, sizeof(tethered_action), 0, NULL)) return 2;
  tethered_action action;
  if (tethered_poll(hub, &action, sizeof action, 1, NULL) != 1) return 2;
  if (tethered_output(hub, socket, &output, 1) != 1) return 2;
  seen = output.ptr[0];
  if (tethered_closed(hub, now, socket)) return 2;
  if (strcmp(fault, "leak")) tethered_hub_free(hub);
  /* The last of several may still be pointed to from somewhere on the stack, which is no leak. */
  for (int i = 0; !strcmp(fault, "leak") && i < 8; i++)
    if (tethered_hub_new(NULL, 0, seed, now, &hub)) return 2;
  if (!strcmp(fault, "twice") && tethered_tick(hub, now) == TETHERED_OK) return 2;
  if (!strcmp(fault, "late")) seen = output.ptr[0];
  free(bytes);
  return seen == 0;
}
