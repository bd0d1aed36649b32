/* An echo on libwebsockets, after its minimal echo server, with its own loop: what came is queued, and written when the socket
 * takes it, as many messages at a time as it takes. */
#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct message {
  struct message *next;
  size_t len;
  enum lws_write_protocol how;
  unsigned char bytes[]; /* LWS_PRE, then the payload */
} message;

typedef struct {
  message *first, **last;
} peer;

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len) {
  peer *p = user;
  message *m;
  switch (reason) {
  case LWS_CALLBACK_ESTABLISHED: p->first = NULL, p->last = &p->first; break;
  case LWS_CALLBACK_RECEIVE:
    if (!(m = malloc(sizeof *m + LWS_PRE + len))) return -1;
    m->next = NULL, m->len = len;
    int how = lws_is_first_fragment(wsi) ? (lws_frame_is_binary(wsi) ? LWS_WRITE_BINARY : LWS_WRITE_TEXT) : LWS_WRITE_CONTINUATION;
    m->how = (enum lws_write_protocol)(lws_is_final_fragment(wsi) ? how : how | LWS_WRITE_NO_FIN);
    memcpy(m->bytes + LWS_PRE, in, len);
    *p->last = m, p->last = &m->next;
    lws_callback_on_writable(wsi);
    break;
  case LWS_CALLBACK_SERVER_WRITEABLE:
    while ((m = p->first) && !lws_send_pipe_choked(wsi)) {
      int written = lws_write(wsi, m->bytes + LWS_PRE, m->len, m->how);
      if (!(p->first = m->next)) p->last = &p->first;
      free(m);
      if (written < 0) return -1;
    }
    if (p->first) lws_callback_on_writable(wsi);
    break;
  case LWS_CALLBACK_CLOSED:
    while ((m = p->first)) p->first = m->next, free(m);
    break;
  default: break;
  }
  return 0;
}

/* It listens by itself, and says where. */
int libwebsockets_echo(void) {
  static const struct lws_protocols protocols[] = {{"echo", on_event, sizeof(peer), 65536, 0, NULL, 0}, {NULL, NULL, 0, 0, 0, NULL, 0}};
  struct lws_context_creation_info info;
  memset(&info, 0, sizeof info);
  info.port = 0, info.iface = "127.0.0.1", info.protocols = protocols;
  info.gid = (gid_t)-1, info.uid = (uid_t)-1;
  info.options = LWS_SERVER_OPTION_DISABLE_IPV6;
  lws_set_log_level(LLL_ERR, NULL);
  struct lws_context *context = lws_create_context(&info);
  if (!context) return -1;
  printf("127.0.0.1:%d\n", lws_get_vhost_listen_port(lws_get_vhost_by_name(context, "default")));
  fflush(stdout);
  while (lws_service(context, 0) >= 0) {}
  lws_context_destroy(context);
  return 0;
}
