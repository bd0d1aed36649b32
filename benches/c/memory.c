/* What the bench `c` measures of tethered's C interface: loops as a C program has them. */
#include "memory.h"

void c_decode(tethered_ws_decoder *decoder, uint8_t *bytes, size_t len, c_tally *tally) {
  tethered_ws_message message;
  size_t used;
  while (tethered_ws_decode(decoder, bytes, len, &used, &message, sizeof message) == TETHERED_OK) {
    if (message.kind <= TETHERED_WS_BINARY) tally->messages++, tally->bytes += message.data.len;
    bytes += used, len -= used;
  }
}

void c_receive(tethered_hub *hub, tethered_now now, uint64_t socket, uint8_t *bytes, size_t len, c_tally *tally) {
  tethered_action actions[64];
  uint64_t deadline;
  int32_t count;
  tethered_received(hub, now, socket, bytes, len);
  while ((count = tethered_poll(hub, actions, sizeof actions[0], 64, &deadline)) > 0)
    for (int32_t i = 0; i < count; i++)
      if (actions[i].kind == TETHERED_DELIVER) tally->messages++, tally->bytes += actions[i].data.len;
}

void c_echo(tethered_hub *hub, tethered_now now, uint64_t socket, uint8_t *bytes, size_t len, c_tally *tally) {
  tethered_action actions[64];
  tethered_slice slices[16];
  uint64_t deadline;
  int32_t count;
  size_t waiting;
  tethered_received(hub, now, socket, bytes, len);
  while ((count = tethered_poll(hub, actions, sizeof actions[0], 64, &deadline)) > 0)
    for (int32_t i = 0; i < count; i++)
      switch (actions[i].kind) {
      case TETHERED_DELIVER:
        tally->messages++;
        tethered_send(hub, now, actions[i].id, actions[i].flags, actions[i].data);
        break;
      case TETHERED_WRITE:
        while ((waiting = tethered_output(hub, actions[i].socket, slices, 16)) > 0) {
          size_t all = 0;
          for (size_t at = 0; at < waiting; at++) all += slices[at].len;
          tally->bytes += all;
          tethered_sent(hub, now, actions[i].socket, all);
        }
        break;
      default: break;
      }
}
