/* A server on epoll and hiredis: a chat (chat.c) whose logins are Spring Session's, on the Redis that Spring uses.
 *
 *   cc -O2 epoll_hiredis.c chat.c $(pkg-config --cflags --libs tethered hiredis) -o chat
 *   chat [--listen 127.0.0.1:8080] [--redis redis://127.0.0.1:6379] [--conformance] [--NAME=VALUE ...]
 *
 * NAME is any setting of tethered_config_parse, such as session-timeout, redis-layout or sockjs-heartbeat. Nodes on one
 * Redis pass on to each other what is published.
 *
 * The token of a socket is its descriptor. It names the connection until TETHERED_CLOSE, for only then is it closed. */
#define _GNU_SOURCE
#include "chat.h"

#include <arpa/inet.h>
#include <errno.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { MOST_FDS = 65536, BATCH = 64, SLICES = 16, ITEMS = 256, CONNECTIONS = 3, RETRY_MS = 500 };
static tethered_hub *hub;
static int epoll;
static uint64_t sockets[MOST_FDS]; /* by descriptor: the hub's id */
static uint32_t wanted[MOST_FDS];  /* and what epoll watches it for */
static tethered_now moment;        /* when epoll returned: one look at the clock for all that it tells */
static volatile sig_atomic_t stopped;

/* The connections to Redis, in the order of tethered_connection. */
static struct redis {
  redisAsyncContext *context;
  int fd; /* its own: hiredis has the last word on it after a failure, when context is gone already */
  uint32_t events;
  uint64_t retry_ms; /* not before */
  uint64_t subscribe; /* the call of the SUBSCRIBE that is under way */
  size_t unconfirmed; /* and how many of its channels are not there yet */
  int told; /* that it is lost: once, not with each try */
} redis[CONNECTIONS];
static const char *const names[CONNECTIONS] = {"commands", "notices", "transactions"};
static char redis_host[256] = "127.0.0.1", relay[256]; /* relay: the channel between nodes */
static int redis_port = 6379;

static void stop(int signal) { stopped = signal; }
static void die(const char *what) { perror(what), exit(1); }
static void fail(const char *what, int32_t status) { fprintf(stderr, "%s: %s\n", what, tethered_strerror(status)), exit(1); }

static tethered_now now(void) {
  struct timespec mono, wall;
  clock_gettime(CLOCK_MONOTONIC, &mono);
  clock_gettime(CLOCK_REALTIME, &wall);
  return (tethered_now){(uint64_t)mono.tv_sec * 1000 + (uint64_t)mono.tv_nsec / 1000000,
                        (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_nsec / 1000000};
}

/* Sockets of browsers. */

static void watch(int fd, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data = {.fd = fd}};
  if (operation == EPOLL_CTL_MOD && wanted[fd] == events) return;
  wanted[fd] = events;
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
    else watch(fd, EPOLL_CTL_ADD, EPOLLIN);
  }
}

static void read_in(int fd) {
  static uint8_t buffer[65536]; /* one for all */
  ssize_t got = read(fd, buffer, sizeof buffer);
  if (got > 0 ? tethered_received(hub, moment, sockets[fd], buffer, (size_t)got) < 0 : !got || (errno != EAGAIN && errno != EINTR))
    tethered_closed(hub, moment, sockets[fd]); /* the end, or an error, or no memory for it */
}

static void write_out(int fd) {
  tethered_slice slices[SLICES];
  size_t count;
  ssize_t written = 0;
  while ((count = tethered_output(hub, sockets[fd], slices, SLICES)) > 0) {
    written = writev(fd, (const struct iovec *)(const void *)slices, (int)count);
    if (written < 0) break;
    tethered_sent(hub, moment, sockets[fd], (size_t)written);
  }
  if (written < 0 && errno != EAGAIN && errno != EINTR) tethered_closed(hub, moment, sockets[fd]);
  watch(fd, EPOLL_CTL_MOD, written < 0 ? wanted[fd] | EPOLLOUT : wanted[fd] & ~(uint32_t)EPOLLOUT);
}

/* hiredis on epoll: it says what it waits for, and is told when that comes. */

static void redis_watch(struct redis *r, uint32_t events) {
  struct epoll_event event = {.events = events, .data = {.fd = r->fd}};
  int operation = !r->events ? EPOLL_CTL_ADD : events ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;
  if (events == r->events) return;
  if (epoll_ctl(epoll, operation, r->fd, &event)) die("epoll_ctl");
  r->events = events;
}
static void add_read(void *r) { redis_watch(r, ((struct redis *)r)->events | EPOLLIN); }
static void del_read(void *r) { redis_watch(r, ((struct redis *)r)->events & ~(uint32_t)EPOLLIN); }
static void add_write(void *r) { redis_watch(r, ((struct redis *)r)->events | EPOLLOUT); }
static void del_write(void *r) { redis_watch(r, ((struct redis *)r)->events & ~(uint32_t)EPOLLOUT); }
static void forget(void *r) { redis_watch(r, 0); }

static tethered_slice text_of(const redisReply *reply) { return (tethered_slice){(const uint8_t *)reply->str, reply->len}; }

static void tell_why(struct redis *r, const char *why) {
  if (!r->told && !stopped)
    fprintf(stderr, "msg=\"redis lost\" connection=%s redis=%s:%d why=\"%s\"\n", names[r - redis], redis_host, redis_port, why);
  r->told = 1;
}

static void redis_gone(struct redis *r) {
  tell_why(r, r->context->errstr);
  r->context = NULL, r->unconfirmed = 0, r->retry_ms = moment.mono_ms + RETRY_MS;
  if (!stopped) tethered_disconnected(hub, moment, (uint32_t)(r - redis));
}

/* What another node passed on. hiredis keeps a callback for each channel, so the hub's own channels do not meet here. */
static void on_relay(redisAsyncContext *context, void *raw, void *unused) {
  const redisReply *reply = raw;
  (void)context, (void)unused;
  if (reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 && reply->element[2]->type == REDIS_REPLY_STRING)
    tethered_relayed(hub, moment, text_of(reply->element[2]));
}
static void on_connect(const redisAsyncContext *context, int status) {
  struct redis *r = context->data;
  if (status != REDIS_OK) {
    redis_gone(r); /* hiredis frees the context */
    return;
  }
  r->told = 0;
  fprintf(stderr, "msg=\"redis connected\" connection=%s redis=%s:%d\n", names[r - redis], redis_host, redis_port);
  tethered_connected(hub, moment, (uint32_t)(r - redis));
  if (r == &redis[TETHERED_NOTICES]) redisAsyncCommand(r->context, on_relay, NULL, "SUBSCRIBE %s", relay);
}
static void on_disconnect(const redisAsyncContext *context, int status) {
  (void)status;
  redis_gone(context->data);
}

static void redis_connect(struct redis *r) {
  redisAsyncContext *context = redisAsyncConnect(redis_host, redis_port);
  r->retry_ms = moment.mono_ms + RETRY_MS;
  if (!context) return;
  if (context->err) {
    tell_why(r, context->errstr);
    redisAsyncFree(context);
    return;
  }
  r->context = context, r->fd = context->c.fd, r->events = 0;
  context->data = context->ev.data = r;
  context->ev.addRead = add_read, context->ev.delRead = del_read;
  context->ev.addWrite = add_write, context->ev.delWrite = del_write;
  context->ev.cleanup = forget;
  redisAsyncSetConnectCallback(context, on_connect);
  redisAsyncSetDisconnectCallback(context, on_disconnect);
}

static tethered_item item_of(const redisReply *reply) {
  switch (reply->type) {
  case REDIS_REPLY_INTEGER: return (tethered_item){.kind = TETHERED_REPLY_INT, .value = reply->integer};
  case REDIS_REPLY_STRING:
  case REDIS_REPLY_STATUS: return (tethered_item){.kind = TETHERED_REPLY_BULK, .bytes = text_of(reply)};
  case REDIS_REPLY_ERROR: return (tethered_item){.kind = TETHERED_REPLY_ERROR, .bytes = text_of(reply)};
  default: return (tethered_item){.kind = TETHERED_REPLY_NIL};
  }
}

static void on_reply(redisAsyncContext *context, void *raw, void *id) {
  const redisReply *reply = raw;
  uint64_t call = (uint64_t)(uintptr_t)id;
  (void)context;
  if (!reply) return; /* the connection is lost, which says it of all calls */
  if (reply->type != REDIS_REPLY_ARRAY) {
    tethered_item item = item_of(reply);
    tethered_reply(hub, moment, call, item.kind, item.value, &item,
                   item.kind == TETHERED_REPLY_BULK || item.kind == TETHERED_REPLY_ERROR);
    return;
  }
  tethered_item *items = calloc(reply->elements + 1, sizeof *items);
  if (!items) die("calloc");
  for (size_t i = 0; i < reply->elements; i++) items[i] = item_of(reply->element[i]);
  tethered_reply(hub, moment, call, TETHERED_REPLY_LIST, 0, items, reply->elements);
  free(items);
}

/* On the connection for notices come confirmations, one for each channel, and messages. */
static void on_notice(redisAsyncContext *context, void *raw, void *unused) {
  struct redis *r = context->data;
  const redisReply *reply = raw;
  (void)unused;
  if (!reply) return;
  if (reply->type == REDIS_REPLY_ERROR) {
    tethered_item item = item_of(reply);
    tethered_reply(hub, moment, r->subscribe, TETHERED_REPLY_ERROR, 0, &item, 1);
  } else if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 3) {
    if (reply->element[2]->type == REDIS_REPLY_STRING)
      tethered_notice(hub, moment, 0, text_of(reply->element[1]), text_of(reply->element[2]));
    else if (r->unconfirmed && --r->unconfirmed == 0)
      tethered_reply(hub, moment, r->subscribe, TETHERED_REPLY_INT, reply->element[2]->integer, NULL, 0);
  }
}

static void to_redis(const tethered_action *a) {
  struct redis *r = &redis[a->flags < CONNECTIONS ? a->flags : 0];
  const char **argv = (const char **)(uintptr_t)a->argv; /* hiredis does not change them */
  redisCallbackFn *then = a->flags == TETHERED_NOTICES ? on_notice : a->id ? on_reply : NULL;
  int sent = REDIS_ERR;
  if (a->flags == TETHERED_NOTICES) r->subscribe = a->id, r->unconfirmed = a->argc - 1;
  if (r->context)
    sent = redisAsyncCommandArgv(r->context, then, (void *)(uintptr_t)a->id, (int)a->argc, argv, a->argvlen);
  if (sent != REDIS_OK && a->id) tethered_reply(hub, moment, a->id, TETHERED_REPLY_LOST, 0, NULL, 0);
}

/* While Redis is away it reaches nobody. */
static void to_others(tethered_slice data) {
  redisAsyncContext *context = redis[TETHERED_COMMANDS].context;
  if (context) redisAsyncCommand(context, NULL, NULL, "PUBLISH %s %b", relay, data.ptr, data.len);
}

static int redis_event(int fd, uint32_t events) {
  for (struct redis *r = redis; r < redis + CONNECTIONS; r++) {
    if (!r->context || r->fd != fd) continue;
    redisAsyncContext *context = r->context;
    if (events & ~(uint32_t)EPOLLOUT) redisAsyncHandleRead(context);
    if (events & EPOLLOUT && r->context == context) redisAsyncHandleWrite(context);
    return 1;
  }
  return 0;
}

/* The loop. */

static void print_log(void) {
  tethered_log line;
  while (tethered_log_next(hub, &line, sizeof line) == 1) fprintf(stderr, "%.*s\n", (int)line.text.len, line.text.ptr);
}

/* Does what there is to do, and returns for how long there will be nothing, in milliseconds. */
static int act(void) {
  tethered_action actions[BATCH];
  uint64_t deadline = UINT64_MAX, beat = chat_beat(hub, moment);
  int32_t count;
  while ((count = tethered_poll(hub, actions, sizeof actions[0], BATCH, &deadline)) > 0)
    for (int32_t i = 0; i < count; i++) {
      const tethered_action *a = &actions[i];
      int fd = (int)a->token;
      switch (a->kind) {
      case TETHERED_WRITE: write_out(fd); break;
      case TETHERED_READING: watch(fd, EPOLL_CTL_MOD, (wanted[fd] & ~(uint32_t)EPOLLIN) | (a->flags ? EPOLLIN : 0)); break;
      case TETHERED_SHUTDOWN: shutdown(fd, SHUT_WR); break;
      case TETHERED_CLOSE: close(fd); break;
      case TETHERED_REDIS: to_redis(a); break;
      case TETHERED_RELAY: to_others(a->data); break;
      default: chat_act(hub, moment, a); break;
      }
    }
  print_log();
  if (count < 0) fail("tethered_poll", count);
  uint64_t time = now().mono_ms;
  if (beat < deadline) deadline = beat;
  for (int i = 0; i < CONNECTIONS; i++)
    if (!redis[i].context && redis[i].retry_ms < deadline) deadline = redis[i].retry_ms;
  return deadline <= time ? 0 : deadline - time > 60000 ? 60000 : (int)(deadline - time);
}

/* What test suites need besides: services that echo, one that closes at once, topics that everybody may send to, and room
 * for as many connections as come from one address. */
static const char conformance[] =
    "[[endpoint]]\npath = '/echo'\nprotocol = 'raw'\nany-origin = true\nmax-message = '16MiB'\nmax-unsent = '32MiB'\n"
    "sockjs-jsonp = true\nsockjs-stream = '4KiB'\n%s"
    "[[endpoint]]\npath = '/disabled_websocket_echo'\nprotocol = 'raw'\nany-origin = true\nsockjs-websocket = false\n"
    "sockjs-jsonp = true\nsockjs-stream = '4KiB'\n%s"
    "[[endpoint]]\npath = '/cookie_needed_echo'\nprotocol = 'raw'\nany-origin = true\nsockjs-jsessionid = true\n"
    "sockjs-jsonp = true\nsockjs-stream = '4KiB'\n%s"
    "[[endpoint]]\npath = '/close'\nprotocol = 'raw'\nany-origin = true\n"
    "sockjs-jsonp = true\nsockjs-stream = '4KiB'\n%s"
    "[limits]\nPER_ADDR = 100000\nPER_SESSION = 100000\nSJ_ADDR = 100000\n";

/* What the command line says. */

static struct {
  struct sockaddr_in listen;
  int conformance;
  char settings[2048], sockjs[1024]; /* as TOML: of the hub, and of each SockJS service */
} options;

__attribute__((noreturn, format(printf, 1, 2))) static void refuse(const char *format, ...) {
  va_list values;
  va_start(values, format);
  fputs("chat: ", stderr), vfprintf(stderr, format, values), fputc('\n', stderr);
  va_end(values);
  exit(2);
}

/* HOST:PORT, of which the host is put where there is room for size bytes; -1: it is no such thing. */
static int host_and_port(const char *text, char *host, size_t size) {
  const char *colon = strrchr(text, ':');
  char *end = NULL;
  long port = colon && colon > text && colon[1] ? strtol(colon + 1, &end, 10) : -1;
  if (!end || *end || port < 0 || port > 65535 || (size_t)(colon - text) >= size) return -1;
  memcpy(host, text, (size_t)(colon - text)), host[colon - text] = 0;
  return (int)port;
}

static void option(const char *name, const char *value) {
  char host[256];
  if (!strcmp(name, "listen")) {
    int port = host_and_port(value, host, sizeof host);
    options.listen.sin_port = htons((uint16_t)port);
    if (port < 0 || !inet_pton(AF_INET, strcmp(host, "localhost") ? host : "127.0.0.1", &options.listen.sin_addr))
      refuse("--listen: \"%s\" is no address of IPv4; write HOST:PORT such as 127.0.0.1:8080 (port 0: any free one)", value);
  } else if (!strcmp(name, "redis")) {
    if (strncmp(value, "redis://", 8) || (redis_port = host_and_port(value + 8, redis_host, sizeof redis_host)) < 0)
      refuse("--redis: \"%s\" is not understood; write redis://HOST:PORT (no login, no TLS, and database 0)", value);
  } else if (!strcmp(name, "redis-database")) {
    refuse("--redis-database: only database 0 is used here");
  } else if (!strcmp(name, "conformance")) {
    options.conformance = 1;
  } else {
    int of_service = !strncmp(name, "sockjs-", 7);
    char *toml = of_service ? options.sockjs : options.settings;
    size_t used = strlen(toml), room = (of_service ? sizeof options.sockjs : sizeof options.settings) - used;
    if (strpbrk(value, "'\n")) refuse("--%s: a value with a ' or a line end in it cannot be handed on", name);
    if (snprintf(toml + used, room, "%s = '%s'\n", name, value) >= (int)room) refuse("--%s: there are too many options", name);
    if (!strcmp(name, "redis-namespace")) snprintf(relay, sizeof relay, "%s:tethered:0:relay", value);
  }
}

/* --name=value, --name value, or --name alone, which is true. */
static void read_options(int argc, char **argv) {
  options.listen = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(8080)};
  options.listen.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  snprintf(relay, sizeof relay, "spring:session:tethered:0:relay");
  for (int i = 1; i < argc; i++) {
    char name[64], *equals = strchr(argv[i], '=');
    size_t len = equals ? (size_t)(equals - argv[i]) : strlen(argv[i]);
    if (strncmp(argv[i], "--", 2) || len < 3 || len - 2 >= sizeof name)
      refuse("\"%s\" is no option; write --NAME=VALUE", argv[i]);
    memcpy(name, argv[i] + 2, len - 2), name[len - 2] = 0;
    int has_next = i + 1 < argc && strncmp(argv[i + 1], "--", 2);
    option(name, equals ? equals + 1 : has_next ? argv[++i] : "true");
  }
}

static void make_hub(void) {
  char toml[10240], message[512], more[5120] = "";
  const char *services = options.sockjs;
  uint8_t seed[16];
  if (options.conformance) snprintf(more, sizeof more, conformance, services, services, services, services);
  snprintf(toml, sizeof toml,
           "%sstore = 'redis'\nredis-attributes = ['csrf', '" SPRING_CSRF "']\nrequests = true\nrelay = true\nrules = '%s'\nguarded = ['/stomp', '/messages']\n"
           "[[endpoint]]\npath = '/stomp'\n[[endpoint]]\npath = '/messages'\nsockjs = true\n%s%s",
           options.settings, options.conformance ? "open" : "sample", services, more);
  tethered_config config;
  tethered_config_init(&config, sizeof config);
  tethered_slice text = {(const uint8_t *)toml, strlen(toml)};
  if (tethered_config_parse(&config, sizeof config, text, message, sizeof message) ||
      tethered_config_check(&config, sizeof config, message, sizeof message))
    refuse("%s", strncmp(message, "line ", 5) ? message : strchr(message, ':') + 2); /* whose lines are our own */
  if (getrandom(seed, sizeof seed, 0) != sizeof seed) die("getrandom");
  int32_t status = tethered_hub_new(&config, sizeof config, seed, moment = now(), &hub);
  if (status) fail("tethered_hub_new", status);
}

static int listen_on(struct sockaddr_in address) {
  char host[INET_ADDRSTRLEN];
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), yes = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 1024)) die("listen");
  getsockname(listener, (struct sockaddr *)&address, &size);
  inet_ntop(AF_INET, &address.sin_addr, host, sizeof host);
  if (ntohl(address.sin_addr.s_addr) >> 24 != 127)
    fprintf(stderr, "msg=warning what=\"others can reach this, and whoever has read chat.c can log in\"\n");
  fprintf(stderr, "msg=listening address=http://%s:%d/\n", host, ntohs(address.sin_port));
  return listener;
}

int main(int argc, char **argv) {
  struct epoll_event events[BATCH];
  struct sigaction stopping = {.sa_handler = stop};
  sigset_t signals, waiting;
  read_options(argc, argv);
  make_hub();
  signal(SIGPIPE, SIG_IGN);
  sigfillset(&signals); /* all are blocked but while epoll waits, so that none is missed */
  sigprocmask(SIG_BLOCK, &signals, &waiting);
  sigaction(SIGTERM, &stopping, NULL);
  sigaction(SIGINT, &stopping, NULL);
  int listener = listen_on(options.listen);
  epoll = epoll_create1(EPOLL_CLOEXEC);
  watch(listener, EPOLL_CTL_ADD, EPOLLIN);
  while (!stopped) {
    for (int i = 0; i < CONNECTIONS; i++)
      if (!redis[i].context && redis[i].retry_ms <= moment.mono_ms) redis_connect(&redis[i]);
    int count = epoll_pwait(epoll, events, BATCH, act(), &waiting);
    if (count < 0 && errno != EINTR) die("epoll_pwait");
    tethered_tick(hub, moment = now());
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) accept_all(listener);
      else if (redis_event(fd, events[i].events)) continue;
      else if (events[i].events & ~(uint32_t)EPOLLOUT) read_in(fd);
      if (fd != listener && events[i].events & EPOLLOUT) write_out(fd);
    }
  }
  for (int i = 0; i < CONNECTIONS; i++)
    if (redis[i].context) redisAsyncFree(redis[i].context);
  tethered_hub_free(hub);
}
