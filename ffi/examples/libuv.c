/* A server on libuv: the chat (chat.c) with sessions in the hub's own memory, and an echo.
 *
 *   cc -O2 libuv.c chat.c $(pkg-config --cflags --libs tethered libuv) -o chat-uv
 *   chat-uv [PORT], then http://127.0.0.1:PORT/ in a browser, and ws://127.0.0.1:PORT/echo
 *
 * The token of a socket is the pointer to its connection, which is closed, and then freed, on TETHERED_CLOSE and nowhere else.
 * A signal drains the server: each socket gets its Close, and the loop ends with the last one. A second signal ends it at once. */
#include "chat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { BATCH = 64, SLICES = 16, COPY = 65536 };

typedef struct connection {
  uv_tcp_t tcp; /* first, so that a pointer to it is one to its connection */
  uint64_t socket;
  uv_write_t write;    /* one at a time, and only where the kernel did not take all at once: */
  unsigned char *copy; /* it goes on by itself with these bytes */
} connection;

static tethered_hub *hub;
static uv_tcp_t listener;
static uv_timer_t timer;
static uv_prepare_t prepare;
static uv_signal_t signals[2];
static int draining;

static void die(const char *what, int error) { fprintf(stderr, "%s: %s\n", what, uv_strerror(error)), exit(1); }
static void fail(const char *what, int32_t status) { fprintf(stderr, "%s: %s\n", what, tethered_strerror(status)), exit(1); }

/* The time that libuv took when its wait was over: one look at the clocks for all that a turn of the loop tells. */
static tethered_now now(void) {
  static tethered_now moment;
  uint64_t mono = uv_now(uv_default_loop());
  if (mono != moment.mono_ms) {
    uv_timeval64_t wall;
    uv_gettimeofday(&wall);
    moment = (tethered_now){mono, (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_usec / 1000};
  }
  return moment;
}

/* Reading: one buffer for all, for what is in it is taken before the next socket is read. */

static void give_buffer(uv_handle_t *handle, size_t wanted, uv_buf_t *buffer) {
  static char bytes[65536];
  (void)handle, (void)wanted;
  *buffer = uv_buf_init(bytes, sizeof bytes);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer) {
  connection *c = (connection *)stream;
  int gone = got < 0; /* the end, or an error */
  if (got > 0) gone = tethered_received(hub, now(), c->socket, (uint8_t *)buffer->base, (size_t)got) < 0; /* no memory */
  if (gone) {
    uv_read_stop(stream);
    tethered_closed(hub, now(), c->socket);
  }
}

/* Writing: what the kernel takes at once is not copied. Of the rest a piece is, for libuv keeps what it is given until it
 * has written it. It will cross, whatever happens, so the hub hears at once that it was sent; what is behind it stays in
 * the hub, which sees from that how slow the peer is. */

static void write_out(connection *c);

static void on_written(uv_write_t *write, int error) {
  connection *c = (connection *)write->handle;
  free(c->copy);
  c->copy = NULL;
  if (error == UV_ECANCELED) return; /* it is being closed */
  tethered_tick(hub, now());         /* time has passed: what may no longer cross is gone from the output now */
  if (error) tethered_closed(hub, now(), c->socket);
  else write_out(c);
}

static void write_out(connection *c) {
  tethered_slice slices[SLICES];
  uv_buf_t buffers[SLICES];
  size_t count;
  while (!c->copy && (count = tethered_output(hub, c->socket, slices, SLICES)) > 0) {
    for (size_t i = 0; i < count; i++) buffers[i] = uv_buf_init((char *)(uintptr_t)slices[i].ptr, (unsigned)slices[i].len);
    int written = uv_try_write((uv_stream_t *)&c->tcp, buffers, (unsigned)count);
    size_t taken = written > 0 ? (size_t)written : 0;
    if (written == UV_EAGAIN) {
      if (!(c->copy = malloc(COPY))) die("malloc", UV_ENOMEM);
      for (size_t i = 0; i < count && taken < COPY; i++) {
        size_t part = slices[i].len < COPY - taken ? slices[i].len : COPY - taken;
        memcpy(c->copy + taken, slices[i].ptr, part);
        taken += part;
      }
      buffers[0] = uv_buf_init((char *)c->copy, (unsigned)taken);
      written = uv_write(&c->write, (uv_stream_t *)&c->tcp, buffers, 1, on_written);
      if (written < 0) free(c->copy), c->copy = NULL;
    }
    if (written < 0) {
      tethered_closed(hub, now(), c->socket);
      return;
    }
    tethered_sent(hub, now(), c->socket, taken);
  }
}

/* Coming and going. */

static void on_closed(uv_handle_t *handle) { free(handle); } /* a write that was under way has been cancelled before */

static void on_shut(uv_shutdown_t *request, int error) {
  (void)error; /* the peer has gone: reading says so too */
  free(request);
}

static void shut(connection *c) { /* behind a write that is under way */
  uv_shutdown_t *request = malloc(sizeof *request);
  if (!request) die("malloc", UV_ENOMEM);
  if (uv_shutdown(request, (uv_stream_t *)&c->tcp, on_shut)) free(request);
}

static void on_connection(uv_stream_t *server, int error) {
  connection *c = error ? NULL : calloc(1, sizeof *c);
  struct sockaddr_storage from;
  int size = sizeof from;
  if (!c) return;
  if (uv_tcp_init(server->loop, &c->tcp)) {
    free(c);
    return;
  }
  tethered_peer peer = {.token = (uint64_t)(uintptr_t)c};
  if (!uv_accept(server, (uv_stream_t *)&c->tcp) && !uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&from, &size)) {
    if (from.ss_family == AF_INET) peer.address = (tethered_slice){(uint8_t *)&((struct sockaddr_in *)&from)->sin_addr, 4};
    if (from.ss_family == AF_INET6) peer.address = (tethered_slice){(uint8_t *)&((struct sockaddr_in6 *)&from)->sin6_addr, 16};
    uv_tcp_nodelay(&c->tcp, 1);
    if (!tethered_open(hub, now(), &peer, sizeof peer, &c->socket)) {
      uv_read_start((uv_stream_t *)&c->tcp, give_buffer, on_read);
      return;
    }
  }
  uv_close((uv_handle_t *)&c->tcp, on_closed);
}

/* The loop. Before libuv waits, all that the last events led to is done. */

static void print_log(void) {
  tethered_log line;
  while (tethered_log_next(hub, &line, sizeof line) == 1) fprintf(stderr, "%.*s\n", (int)line.text.len, line.text.ptr);
}

static void on_timer(uv_timer_t *handle) {
  (void)handle;
  tethered_tick(hub, now());
}

static void act(uv_prepare_t *handle) {
  tethered_action actions[BATCH];
  uint64_t deadline = UINT64_MAX;
  int32_t count;
  while ((count = tethered_poll(hub, actions, sizeof actions[0], BATCH, &deadline)) > 0)
    for (int32_t i = 0; i < count; i++) {
      const tethered_action *a = &actions[i];
      connection *c = (connection *)(uintptr_t)a->token;
      switch (a->kind) {
      case TETHERED_WRITE: write_out(c); break;
      case TETHERED_READING:
        if (a->flags) uv_read_start((uv_stream_t *)&c->tcp, give_buffer, on_read);
        else uv_read_stop((uv_stream_t *)&c->tcp);
        break;
      case TETHERED_SHUTDOWN: shut(c); break;
      case TETHERED_CLOSE: uv_close((uv_handle_t *)&c->tcp, on_closed); break;
      default: chat_act(hub, now(), a); break;
      }
    }
  print_log();
  if (count < 0) fail("tethered_poll", count);
  if (deadline == UINT64_MAX) {
    uv_timer_stop(&timer);
    return;
  }
  uv_update_time(handle->loop); /* what a timer's wait begins at */
  uint64_t time = uv_now(handle->loop);
  uv_timer_start(&timer, on_timer, deadline <= time ? 0 : deadline - time, 0);
}

static void on_signal(uv_signal_t *handle, int number) {
  (void)number;
  if (draining++) {
    uv_stop(handle->loop);
    return;
  }
  uv_close((uv_handle_t *)&listener, NULL);
  tethered_drain(hub, now());
}

static void close_it(uv_handle_t *handle, void *unused) {
  (void)unused;
  if (!uv_is_closing(handle)) uv_close(handle, handle->type == UV_TCP && handle != (uv_handle_t *)&listener ? on_closed : NULL);
}

static void make_hub(void) {
  static const char toml[] =
      "requests = true\nrules = 'sample'\nguarded = ['/stomp', '/messages']\n"
      "[[endpoint]]\npath = '/stomp'\n[[endpoint]]\npath = '/messages'\nsockjs = true\n"
      "[[endpoint]]\npath = '/echo'\nprotocol = 'raw'\nlogin = false\nmax-message = '16MiB'\nmax-unsent = '32MiB'\n";
  tethered_config config;
  uint8_t seed[16];
  char message[512];
  tethered_config_init(&config, sizeof config);
  if (tethered_config_parse(&config, sizeof config, (tethered_slice){(const uint8_t *)toml, sizeof toml - 1}, message, sizeof message))
    fprintf(stderr, "%s\n", message), exit(2);
  int error = uv_random(NULL, NULL, seed, sizeof seed, 0, NULL);
  if (error) die("uv_random", error);
  int32_t status = tethered_hub_new(&config, sizeof config, seed, now(), &hub);
  if (status) fail("tethered_hub_new", status);
}

int main(int argc, char **argv) {
  uv_loop_t *loop = uv_default_loop();
  struct sockaddr_in address;
  int error, size = sizeof address, numbers[2] = {SIGINT, SIGTERM};
  signal(SIGPIPE, SIG_IGN);
  make_hub();
  uv_ip4_addr("127.0.0.1", argc > 1 ? atoi(argv[1]) : 8080, &address);
  uv_tcp_init(loop, &listener);
  if ((error = uv_tcp_bind(&listener, (struct sockaddr *)&address, 0))) die("uv_tcp_bind", error);
  if ((error = uv_listen((uv_stream_t *)&listener, 1024, on_connection))) die("uv_listen", error);
  uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &size);
  printf("http://127.0.0.1:%d/\n", ntohs(address.sin_port));
  fflush(stdout);
  uv_timer_init(loop, &timer); /* none of these three keeps the loop alive: the listener does, and the sockets */
  uv_unref((uv_handle_t *)&timer);
  uv_prepare_init(loop, &prepare);
  uv_prepare_start(&prepare, act);
  uv_unref((uv_handle_t *)&prepare);
  for (int i = 0; i < 2; i++) {
    uv_signal_init(loop, &signals[i]);
    uv_signal_start(&signals[i], on_signal, numbers[i]);
    uv_unref((uv_handle_t *)&signals[i]);
  }
  uv_run(loop, UV_RUN_DEFAULT);
  uv_walk(loop, close_it, NULL); /* what is left after a second signal, and our own */
  uv_prepare_stop(&prepare);
  uv_run(loop, UV_RUN_DEFAULT);
  uv_loop_close(loop);
  tethered_hub_free(hub);
}
