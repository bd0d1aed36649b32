#ifndef MEMORY_H
#define MEMORY_H

#include "tethered.h"

typedef struct {
  uint64_t messages, bytes;
} c_tally;

/* Reads what is there of a peer's frames. */
void c_decode(tethered_ws_decoder *decoder, uint8_t *bytes, size_t len, c_tally *tally);

/* Hands in what came on a socket, and takes the messages in it; their bytes are counted. */
void c_receive(tethered_hub *hub, tethered_now now, uint64_t socket, uint8_t *bytes, size_t len, c_tally *tally);

/* The same, and sends each back: counted are the bytes that go out. */
void c_echo(tethered_hub *hub, tethered_now now, uint64_t socket, uint8_t *bytes, size_t len, c_tally *tally);

#endif
