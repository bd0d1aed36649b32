/* An echo on epoll and wslay, after wslay's own example: one send for each head and each payload, held together by MSG_MORE.
 * The handshake, which wslay leaves to its user, takes the answer to the key from tethered. */
#define _GNU_SOURCE
#include "tethered.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <wslay/wslay.h>

enum { HEAD = 4096, BATCH = 64 };

typedef struct {
  int fd;
  uint32_t wanted;
  wslay_event_context_ptr ws; /* NULL before the handshake */
} peer;

static int epoll;

static ssize_t on_recv(wslay_event_context_ptr ws, uint8_t *to, size_t len, int flags, void *user) {
  (void)flags;
  ssize_t got = recv(((peer *)user)->fd, to, len, 0);
  if (got <= 0) wslay_event_set_error(ws, got < 0 && errno == EAGAIN ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
  return got > 0 ? got : -1;
}

static ssize_t on_send(wslay_event_context_ptr ws, const uint8_t *data, size_t len, int flags, void *user) {
  ssize_t sent = send(((peer *)user)->fd, data, len, MSG_NOSIGNAL | (flags & WSLAY_MSG_MORE ? MSG_MORE : 0));
  if (sent < 0) wslay_event_set_error(ws, errno == EAGAIN ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
  return sent;
}

static void on_message(wslay_event_context_ptr ws, const struct wslay_event_on_msg_recv_arg *arg, void *user) {
  (void)user;
  struct wslay_event_msg echo = {arg->opcode, arg->msg, arg->msg_length};
  if (!wslay_is_ctrl_frame(arg->opcode)) wslay_event_queue_msg(ws, &echo);
}

static const struct wslay_event_callbacks callbacks = {on_recv, on_send, NULL, NULL, NULL, NULL, on_message};

/* The head of a handshake is short: it is there whole, or not yet. */
static int shake_hands(peer *p) {
  char head[HEAD + 1], accept[29], answer[256];
  ssize_t got = recv(p->fd, head, HEAD, MSG_PEEK);
  if (got <= 0) return got < 0 && errno == EAGAIN;
  head[got] = 0;
  char *end = strstr(head, "\r\n\r\n"), *key = strcasestr(head, "\r\nSec-WebSocket-Key: ");
  if (!end) return got < HEAD;
  if (!key || recv(p->fd, head, (size_t)(end + 4 - head), 0) < 0) return 0;
  if (tethered_ws_accept_key(key + 21, 24, accept)) return 0;
  int len = snprintf(answer, sizeof answer,
                     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                     accept);
  if (send(p->fd, answer, (size_t)len, MSG_NOSIGNAL) != len) return 0;
  if (wslay_event_context_server_init(&p->ws, &callbacks, p)) return 0;
  wslay_event_config_set_max_recv_msg_length(p->ws, 16 << 20);
  return 1;
}

/* 0: it is over. */
static int serve(peer *p, uint32_t events) {
  if (!p->ws) return shake_hands(p);
  if (events & ~(uint32_t)EPOLLOUT && wslay_event_recv(p->ws)) return 0;
  if (wslay_event_want_write(p->ws) && wslay_event_send(p->ws)) return 0;
  uint32_t wanted = (wslay_event_want_read(p->ws) ? EPOLLIN : 0u) | (wslay_event_want_write(p->ws) ? EPOLLOUT : 0u);
  struct epoll_event event = {.events = wanted, .data = {.ptr = p}};
  if (wanted != p->wanted && epoll_ctl(epoll, EPOLL_CTL_MOD, p->fd, &event)) return 0;
  p->wanted = wanted;
  return wanted != 0;
}

int wslay_echo(int listener) {
  struct epoll_event events[BATCH], event = {.events = EPOLLIN};
  epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event)) return -1;
  for (;;) {
    int count = epoll_wait(epoll, events, BATCH, -1), yes = 1;
    if (count < 0 && errno != EINTR) return -1;
    for (int i = 0; i < count; i++) {
      peer *p = events[i].data.ptr;
      if (!p) {
        for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
          setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
          if (!(p = calloc(1, sizeof *p))) return -1;
          p->fd = fd, p->wanted = EPOLLIN;
          event = (struct epoll_event){.events = EPOLLIN, .data = {.ptr = p}};
          if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) return -1;
        }
      } else if (!serve(p, events[i].events)) {
        close(p->fd);
        if (p->ws) wslay_event_context_free(p->ws);
        free(p);
      }
    }
  }
}
