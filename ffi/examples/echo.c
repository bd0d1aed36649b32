/* A WebSocket echo server on epoll: echo [PORT [TOML]], then connect to ws://127.0.0.1:PORT/
 *
 *   cargo build --release -p tethered-ffi
 *   cc -O2 -I include ffi/examples/echo.c target/release/libtethered.a -lgcc_s -lpthread -lm -ldl -o echo
 *
 * The token of a socket is its descriptor. It names the connection until TETHERED_CLOSE, for only then is it closed. */
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
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { MOST_FDS = 65536, BATCH = 256, SLICES = 16, MESSAGE = 16 << 20 };
static tethered_hub *hub;
static uint64_t sockets[MOST_FDS]; /* by descriptor: the hub's id */
static uint32_t wanted[MOST_FDS];  /* and what epoll watches it for */
static tethered_now moment; /* when epoll returned: one look at the clock for all that it tells */
static tethered_taken taken[BATCH]; static size_t n_taken; /* what was written, and the hub is not told yet */
static int epoll; static volatile sig_atomic_t stopped;

static void stop(int signal) { stopped = signal; }
static void die(const char *what) { perror(what), exit(1); }
static void fail(int32_t status) { fprintf(stderr, "tethered: %s\n", tethered_strerror(status)), exit(1); }
static void tell(void) { if (n_taken) tethered_sent_many(hub, moment, taken, n_taken), n_taken = 0; }

static tethered_now now(void) {
  struct timespec mono, wall;
  clock_gettime(CLOCK_MONOTONIC, &mono), clock_gettime(CLOCK_REALTIME, &wall);
  return (tethered_now){(uint64_t)mono.tv_sec * 1000 + (uint64_t)mono.tv_nsec / 1000000,
                        (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_nsec / 1000000};
}

/* Sockets are watched for edges. Each call has epoll look anew, and tell of what is there already. */
static void watch(int fd, int operation, uint32_t events) {
  struct epoll_event event = {.events = wanted[fd] = events, .data = {.fd = fd}};
  if (epoll_ctl(epoll, operation, fd, &event)) die("epoll_ctl");
}

static void accept_all(int listener) {
  for (;;) {
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    int yes = 1, fd = accept4(listener, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    tethered_peer peer = {.token = (uint64_t)fd, .address = {(const uint8_t *)&from.sin_addr, 4}};
    if (fd >= MOST_FDS || tethered_open(hub, moment, &peer, sizeof peer, &sockets[fd])) close(fd);
    else watch(fd, EPOLL_CTL_ADD, EPOLLIN | EPOLLRDHUP | EPOLLET);
  }
}

static void read_in(int fd, uint32_t events) {
  static uint8_t buffer[65536]; /* one for all */
  ssize_t got = recv(fd, buffer, sizeof buffer, 0);
  if (got > 0 ? tethered_received(hub, moment, sockets[fd], buffer, (size_t)got) < 0 : !got || (errno != EAGAIN && errno != EINTR))
    tethered_closed(hub, moment, sockets[fd]); /* the end, or an error, or no memory for it */
  if (got == sizeof buffer || (got > 0 && events != EPOLLIN)) watch(fd, EPOLL_CTL_MOD, wanted[fd]); /* there may be more */
}

static void write_out(int fd) {
  tethered_slice slices[SLICES];
  size_t count;
  ssize_t written = 0;
  while (written >= 0 && (count = tethered_output(hub, sockets[fd], slices, SLICES)) > 0) {
    written = count == 1 ? send(fd, slices[0].ptr, slices[0].len, MSG_NOSIGNAL) /* for one it is cheaper than writev */
                         : writev(fd, (const struct iovec *)(const void *)slices, (int)count);
    if (written >= 0) taken[n_taken++] = (tethered_taken){sockets[fd], (size_t)written};
    if (n_taken < BATCH && count == 1 && written == (ssize_t)slices[0].len) break; /* that was all */
    tell();
  }
  if (written < 0 && errno != EAGAIN && errno != EINTR) tell(), tethered_closed(hub, moment, sockets[fd]);
  uint32_t events = written < 0 ? wanted[fd] | EPOLLOUT : wanted[fd] & ~(uint32_t)EPOLLOUT;
  if (events != wanted[fd]) watch(fd, EPOLL_CTL_MOD, events);
}

/* Does what there is to do, and returns for how long there will be nothing, in milliseconds; -1: for ever. */
static int act(void) {
  tethered_action actions[BATCH];
  uint64_t deadline = UINT64_MAX;
  int32_t count;
  for (; (count = tethered_poll(hub, actions, sizeof actions[0], BATCH, &deadline)) > 0; tell())
    for (int32_t i = 0; i < count; i++) {
      const tethered_action *a = &actions[i];
      int fd = (int)a->token;
      switch (a->kind) {
      case TETHERED_DELIVER: tell(), tethered_send(hub, moment, a->id, a->flags, a->data); break;
      case TETHERED_WRITE: write_out(fd); break;
      case TETHERED_READING: watch(fd, EPOLL_CTL_MOD, (wanted[fd] & ~(uint32_t)EPOLLIN) | (a->flags ? EPOLLIN : 0)); break;
      case TETHERED_SHUTDOWN: shutdown(fd, SHUT_WR); break;
      case TETHERED_CLOSE: close(fd);
      }
    }
  if (count < 0) fail(count);
  uint64_t left = deadline - now().mono_ms;
  return deadline == UINT64_MAX ? -1 : left > deadline ? 0 : left > 60000 ? 60000 : (int)left;
}

static int listen_on(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  socklen_t size = sizeof address;
  int yes = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 1024)) die("listen");
  getsockname(listener, (struct sockaddr *)&address, &size);
  printf("ws://127.0.0.1:%d/\n", ntohs(address.sin_port)), fflush(stdout);
  return listener;
}

int main(int argc, char **argv) {
  uint8_t seed[16];
  tethered_endpoint echo = {.kind = TETHERED_ENDPOINT_RAW, .max_message = MESSAGE, .max_unsent = 4 * MESSAGE,
                            .path = {(const uint8_t *)"/", 1}};
  tethered_config config = {.endpoints = &echo, .n_endpoints = 1, .endpoint_size = sizeof echo};
  struct epoll_event events[BATCH];
  struct sigaction stopping = {.sa_handler = stop};
  sigset_t signals, waiting;
  if (argc > 2) config.toml = (tethered_slice){(const uint8_t *)argv[2], strlen(argv[2])}; /* see tethered_config_parse */
  if (getrandom(seed, sizeof seed, 0) != sizeof seed) die("getrandom");
  int32_t status = tethered_hub_new(&config, sizeof config, seed, moment = now(), &hub);
  if (status) fail(status);
  signal(SIGPIPE, SIG_IGN), sigfillset(&signals), sigprocmask(SIG_BLOCK, &signals, &waiting); /* but while epoll waits */
  sigaction(SIGTERM, &stopping, NULL), sigaction(SIGINT, &stopping, NULL);
  int listener = listen_on(argc > 1 ? atoi(argv[1]) : 9001);
  epoll = epoll_create1(EPOLL_CLOEXEC), watch(listener, EPOLL_CTL_ADD, EPOLLIN);
  while (!stopped) {
    int count = epoll_pwait(epoll, events, BATCH, act(), &waiting);
    if (count < 0 && errno != EINTR) die("epoll_pwait");
    tethered_tick(hub, moment = now());
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) accept_all(listener);
      else if (events[i].events & ~(uint32_t)EPOLLOUT) read_in(fd, events[i].events);
      if (fd != listener && events[i].events & EPOLLOUT) write_out(fd), tell();
    }
  }
  return tethered_hub_free(hub), 0;
}
