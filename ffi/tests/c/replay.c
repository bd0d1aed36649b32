/* Plays recorded events (standard input) to an echoing hub and prints what it says and sends. tests/replay.rs does the
 * same in Rust: the two have to print the same. */
#include "tethered.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 4, SLICES = 3, PIECE = 1000, MOST_SOCKETS = 256 };

static tethered_hub *hub;
static tethered_now now;
static uint64_t sockets[MOST_SOCKETS]; /* by token */

static void print_hex(const char *label, tethered_slice slice) {
  printf(" %s=", label);
  for (size_t i = 0; i < slice.len; i++) printf("%02x", slice.ptr[i]);
}

static void write_out(uint64_t socket) {
  tethered_slice slices[SLICES];
  size_t count;
  while ((count = tethered_output(hub, socket, slices, SLICES)) > 0) {
    size_t waiting = 0;
    printf("output");
    for (size_t i = 0; i < count; i++) {
      print_hex("slice", slices[i]);
      waiting += slices[i].len;
    }
    printf("\n");
    tethered_sent(hub, now, socket, waiting < PIECE ? waiting : PIECE);
  }
}

static void act(void) {
  tethered_action actions[BATCH];
  uint64_t deadline;
  int32_t count;
  while ((count = tethered_poll(hub, actions, sizeof actions[0], BATCH, &deadline)) > 0)
    for (int32_t i = 0; i < count; i++) {
      const tethered_action *a = &actions[i];
      printf("kind=%u flags=%u socket=%llu token=%llu id=%llu", (unsigned)a->kind, (unsigned)a->flags,
             (unsigned long long)a->socket, (unsigned long long)a->token, (unsigned long long)a->id);
      print_hex("data", a->data);
      print_hex("name", a->name);
      printf("\n");
      if (a->kind == TETHERED_WRITE) write_out(a->socket);
      if (a->kind == TETHERED_DELIVER) printf("send=%d\n", (int)tethered_send(hub, now, a->id, a->flags, a->data));
    }
  printf("deadline=%llu\n", (unsigned long long)deadline);
}

static uint64_t number(size_t size) {
  uint8_t bytes[8];
  uint64_t value = 0;
  if (fread(bytes, 1, size, stdin) != size) exit(1);
  for (size_t i = 0; i < size; i++) value |= (uint64_t)bytes[i] << (8 * i);
  return value;
}

int main(void) {
  const uint8_t seed[16] = {9, 9, 9};
  tethered_endpoint echo = {.kind = TETHERED_ENDPOINT_RAW, .max_message = 5000, .path = {(const uint8_t *)"/echo", 5}};
  tethered_config config = {.endpoints = &echo, .n_endpoints = 1, .endpoint_size = sizeof echo};
  if (tethered_hub_new(&config, sizeof config, seed, now, &hub)) return 1;
  for (int operation; (operation = getchar()) != EOF;) {
    uint64_t token = number(1);
    uint64_t ms = number(8);
    size_t len = (size_t)number(4);
    uint8_t *bytes = malloc(len + 1);
    tethered_peer peer = {.token = token};
    int32_t status;
    if (!bytes || fread(bytes, 1, len, stdin) != len) return 1;
    now = (tethered_now){ms, ms + 1700000000000};
    switch (operation) {
    case 'o': status = tethered_open(hub, now, &peer, sizeof peer, &sockets[token]); break;
    case 'r': status = tethered_received(hub, now, sockets[token], bytes, len); break;
    case 'c': status = tethered_closed(hub, now, sockets[token]); break;
    default: status = tethered_tick(hub, now); break;
    }
    free(bytes);
    printf("%c %llu: %d\n", operation, (unsigned long long)token, (int)status);
    act();
  }
  tethered_hub_free(hub);
  return 0;
}
