/*
 * tethered: WebSockets for a server that already has an event loop.
 *
 * A hub is a whole server as one state machine. It has no sockets, no threads and no clock: you tell it what happened
 * (a connection was accepted, bytes came, bytes were taken, time has passed), and it tells you what to do (write, read
 * or not, shut, close) and what the peers said. There are no callbacks, so nothing of yours ever runs inside a call.
 *
 * This header has the entries for raw bytes: HTTP/1.1, the upgrade and RFC 6455 are the hub's business, the messages are
 * yours. HTTP requests that are no handshake of an endpoint are answered 404.
 *
 * THE LOOP, on epoll. examples/echo.c is all of it.
 *
 *   tethered_open(hub, now(), &peer, sizeof peer, &socket);           // accept gave a connection; peer.token is yours
 *
 *   r = read(fd, buffer, sizeof buffer);                              // it is readable
 *   if (r > 0) tethered_received(hub, now(), socket, buffer, (size_t)r);
 *   else if (r == 0 || errno != EAGAIN) tethered_closed(hub, now(), socket);
 *
 *   write_out(token);                                                 // it is writable again
 *
 *   if (deadline <= now().mono_ms) tethered_tick(hub, now());         // epoll_wait waited until then, no longer
 *
 *   while ((n = tethered_poll(hub, a, sizeof a[0], 64, &deadline)) > 0)   // after all of these, before the next wait
 *     for (i = 0; i < n; i++)
 *       switch (a[i].kind) {
 *       case TETHERED_WRITE:    write_out(a[i].token); break;
 *       case TETHERED_READING:  // a[i].flags ? ask epoll for input : do not
 *       case TETHERED_SHUTDOWN: shutdown(fd, SHUT_WR); break;
 *       case TETHERED_CLOSE:    close(fd); break;                     // the last that is heard of this token: free here
 *       case TETHERED_DELIVER:  tethered_send(hub, now(), a[i].id, a[i].flags, a[i].data); break;   // an echo
 *       default:                break;                                // kinds of a newer library
 *       }
 *
 *   write_out: while ((n = tethered_output(hub, socket, v, 16)) > 0 && (w = writev(fd, (struct iovec *)v, n)) > 0)
 *                tethered_sent(hub, now(), socket, (size_t)w);
 *              // w < 0: with EAGAIN wait until it is writable, with anything else tethered_closed
 *
 * Any number of calls may come before a poll; to batch them is the point. Ignore SIGPIPE.
 *
 * OWNERSHIP. What you pass is yours again when the call returns: what has to outlive it was copied. What the library lends
 * (a slice, an action's pointers) is const, is never to be freed, and lives as long as its function says: until the next
 * tethered_poll, or shorter. Only a function that ends in _new gives you something to keep, and only its _free takes it.
 * Sockets and clients are integers that are never given twice, so a stale one is noticed and not followed (TETHERED_STALE).
 * Each socket that tethered_open took gets exactly one TETHERED_CLOSE, which is its last action.
 *
 * LENGTHS are in bytes, times in milliseconds. (NULL, 0) is fine wherever a pointer has a length. Text is UTF-8 and needs no
 * NUL at its end.
 *
 * THREADS. One thread at a time per hub, any thread in turn; hubs share nothing, so have one per loop. Concurrent use of
 * one hub is turned away with TETHERED_E_BUSY, not queued.
 *
 * ERRORS. Functions that can fail return a tethered_status and write their results only on success. NULL hubs and pointers
 * to something else are turned away; a hub that was freed is forbidden, as is any pointer that does not have the bytes that its
 * length says. Nothing a peer sends makes a call fail. errno is left alone, nothing is printed (but for the message of a
 * bug that became TETHERED_E_PANIC, to standard error), no signal is raised. A lack of memory ends the process.
 *
 * VERSIONS. Structs that you hand over travel with their sizeof, so that a program built with an older header goes on working
 * with a newer library of the same TETHERED_ABI. Expect action kinds and statuses that this header does not list.
 */

#ifndef TETHERED_H
#define TETHERED_H

#include <stddef.h>
#include <stdint.h>

/* The version of this header; tethered_version_num tells that of the library. */
#define TETHERED_VERSION_MAJOR 0
#define TETHERED_VERSION_MINOR 1
#define TETHERED_VERSION_PATCH 0
#define TETHERED_VERSION_NUM 0x000100u

#if defined(__GNUC__) || defined(__clang__)
#define TETHERED_MUST_USE __attribute__((warn_unused_result))
#else
#define TETHERED_MUST_USE
#endif

/**
 * Number of the binary interface this header belongs to. What it names is never removed or changed, only added to.
 * While it is 0 the interface may still change with each 0.y.
 */
#define TETHERED_ABI 0

/**
 * The values of a tethered_status. They never change their meaning; expect ones that are not listed here.
 */
enum tethered_status_code
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Done.
   */
  TETHERED_OK = 0,
  /**
   * The id names something that has ended. Nothing was done, and nothing is wrong: between an action and the call that
   * it leads to, a peer may go.
   */
  TETHERED_STALE = 1,
  /**
   * An argument that can never be right: NULL where it may not be, a pointer that is no hub, a length that cannot be, an
   * unknown flag, text that is not UTF-8, a configuration that makes no sense.
   */
  TETHERED_E_ARGUMENT = -1,
  /**
   * Another thread is inside this hub. Use a hub on one thread at a time.
   */
  TETHERED_E_BUSY = -3,
  /**
   * The caller's struct has members that this library does not know, and they are not zero: the library is older than
   * the header.
   */
  TETHERED_E_VERSION = -5,
  /**
   * Too many sockets: close the new one at once.
   */
  TETHERED_E_LIMIT = -6,
  /**
   * A bug in tethered, caught; what it was is on standard error. The hub is of no use any more: close its sockets and
   * free it. Other hubs go on.
   */
  TETHERED_E_PANIC = -8,
  /**
   * An earlier call on this hub came back with TETHERED_E_PANIC.
   */
  TETHERED_E_POISONED = -9,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tethered_status_code tethered_status_code;
#else
typedef int32_t tethered_status_code;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What is spoken at an endpoint.
 */
enum tethered_endpoint_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * WebSocket messages of your own, which come as TETHERED_DELIVER. Whoever connects gets in, without a login.
   */
  TETHERED_ENDPOINT_RAW = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tethered_endpoint_kind tethered_endpoint_kind;
#else
typedef uint32_t tethered_endpoint_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What is known of a connection when it is accepted.
 */
enum tethered_peer_flags
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * It came over TLS (which you have already taken off).
   */
  TETHERED_PEER_SECURE = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tethered_peer_flags tethered_peer_flags;
#else
typedef uint32_t tethered_peer_flags;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What an action asks for. Expect, and skip, kinds that are not listed here.
 */
enum tethered_action_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * There is output to be written for this socket (token): take it with tethered_output. Said once until all of it is
   * written, so wait for the socket to become writable if it takes only a part.
   */
  TETHERED_WRITE = 1,
  /**
   * Stop (flags 0) or resume (flags 1) reading from this socket (token). What is read nevertheless is kept, up to the
   * size of one message.
   */
  TETHERED_READING = 2,
  /**
   * Shut the write half of this socket down (token) and go on reading: to close it now would make the kernel reset it,
   * and the peer could lose what was sent last. The output is empty when this comes.
   */
  TETHERED_SHUTDOWN = 3,
  /**
   * Close this socket (token) and forget it. Each socket gets exactly one, and it is its last action, also after
   * tethered_closed: free what hangs on the token here, and nowhere else.
   */
  TETHERED_CLOSE = 4,
  /**
   * A client (id) sent a message: data, of the kind that flags tell (tethered_message_kind), to name, the path of its
   * endpoint.
   */
  TETHERED_DELIVER = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tethered_action_kind tethered_action_kind;
#else
typedef uint32_t tethered_action_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How a message travels.
 */
enum tethered_message_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * As text: UTF-8.
   */
  TETHERED_TEXT = 1,
  /**
   * As bytes.
   */
  TETHERED_BINARY = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tethered_message_kind tethered_message_kind;
#else
typedef uint32_t tethered_message_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * A whole server as one state machine, without sockets, threads or a clock of its own. Made by tethered_hub_new, freed by
 * tethered_hub_free; one thread at a time may be inside.
 */
typedef struct tethered_hub tethered_hub;

/**
 * How a call went: one of tethered_status_code, or one of a newer library: 0 is success, what is positive was a success
 * with a remark, what is negative changed nothing (but for TETHERED_E_PANIC).
 */
typedef int32_t tethered_status;

/**
 * Bytes that belong to somebody else, laid out as struct iovec. ptr may be NULL only where len is 0.
 */
typedef struct tethered_slice {
  /**
   * The first byte.
   */
  const uint8_t *ptr;
  /**
   * How many there are.
   */
  size_t len;
} tethered_slice;

/**
 * A path at which WebSockets are taken. Zero it, then set what you need: 0 is the default of each member but kind.
 */
typedef struct tethered_endpoint {
  /**
   * One of tethered_endpoint_kind.
   */
  uint32_t kind;
  /**
   * 0: there are none yet.
   */
  uint32_t flags;
  /**
   * Largest message that is taken, in bytes; a larger one closes its socket with 1009. Default 65,536.
   */
  uint64_t max_message;
  /**
   * Most bytes that may wait for a peer that does not read; more close its socket with 4500. An answer has to fit in,
   * so an echo wants more than max_message. Default 524,288.
   */
  uint64_t max_unsent;
  /**
   * The exact path, UTF-8, such as "/echo". It begins with / and holds no ?, # or space.
   */
  struct tethered_slice path;
} tethered_endpoint;

/**
 * How a hub is set up. Zero it, then set what you need: 0 is the default of each member. New members are added at the
 * end.
 */
typedef struct tethered_config {
  /**
   * 0: there are none yet.
   */
  uint64_t flags;
  /**
   * Most sockets that are served at a time. Default 18,000.
   */
  uint64_t max_sockets;
  /**
   * Where WebSockets are taken: n_endpoints of them, with different paths. Default: STOMP at "/stomp" for those who are
   * logged in, which nobody can be before a later version lets C log in, so that it answers 401.
   */
  const struct tethered_endpoint *endpoints;
  /**
   * How many there are, at most 255.
   */
  size_t n_endpoints;
  /**
   * sizeof(tethered_endpoint), as you know it.
   */
  size_t endpoint_size;
} tethered_config;

/**
 * Both clocks, read together.
 */
typedef struct tethered_now {
  /**
   * Milliseconds on a clock that never goes back, such as CLOCK_MONOTONIC. Every timer runs by it; one that goes back
   * is taken to stand still.
   */
  uint64_t mono_ms;
  /**
   * Milliseconds since 1970-01-01T00:00:00Z. Only shown and stored.
   */
  uint64_t wall_ms;
} tethered_now;

/**
 * A connection that was accepted.
 */
typedef struct tethered_peer {
  /**
   * Yours; it comes back in each action for this socket: a pointer, a descriptor, an index.
   */
  uint64_t token;
  /**
   * Any of tethered_peer_flags.
   */
  uint32_t flags;
  /**
   * 0.
   */
  uint32_t listener;
  /**
   * The peer's address: 4 bytes (IPv4) or 16 (IPv6) in network order; empty if it has none.
   */
  struct tethered_slice address;
} tethered_peer;

/**
 * Something to be done, as tethered_poll hands it out. What its kind does not speak of is 0. What it points to is lent
 * until the next tethered_poll on this hub, and may be an argument of any other call until then.
 */
typedef struct tethered_action {
  /**
   * One of tethered_action_kind, or one of a newer library.
   */
  uint32_t kind;
  /**
   * Depends on the kind.
   */
  uint32_t flags;
  /**
   * The socket that it is about, or 0.
   */
  uint64_t socket;
  /**
   * The token of that socket.
   */
  uint64_t token;
  /**
   * The client that it is about, or 0.
   */
  uint64_t id;
  /**
   * Depends on the kind. Lent.
   */
  struct tethered_slice data;
  /**
   * Depends on the kind. Lent.
   */
  struct tethered_slice name;
  /**
   * For kinds to come.
   */
  size_t argc;
  /**
   * For kinds to come.
   */
  const char *const *argv;
  /**
   * For kinds to come.
   */
  const size_t *argvlen;
  /**
   * 0.
   */
  uint64_t reserved;
} tethered_action;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the library that runs, such as "0.1.0". Static; never NULL.
 */
const char *tethered_version(void);

/**
 * The version of the library that runs as 0xMMmmpp; compare it with TETHERED_VERSION_NUM of the header.
 */
uint32_t tethered_version_num(void);

/**
 * TETHERED_ABI of the library that runs.
 */
uint32_t tethered_abi(void);

/**
 * One sentence on a status: what was wrong and what to do. Static; never NULL, whatever the number.
 */
const char *tethered_strerror(tethered_status status);

/**
 * Makes a hub with nobody in it.
 *
 * config: how it is set up; copied, so it may be freed at once. NULL: the default of everything.
 * size: sizeof *config as you know it, so that programs and libraries of different age fit together.
 * seed16: 16 bytes from the system's random source (getrandom); secrets are made from them. With the same seed, calls
 * and times a hub does the same, byte for byte.
 * out: where the hub is put; it is yours, until you give it to tethered_hub_free.
 *
 * Fails with TETHERED_E_ARGUMENT (NULL seed16 or out, a size that cannot be, a configuration that makes no sense) and
 * TETHERED_E_VERSION; *out is then left as it was.
 */
TETHERED_MUST_USE
tethered_status tethered_hub_new(const struct tethered_config *config,
                                 size_t size,
                                 const uint8_t *seed16,
                                 struct tethered_now now,
                                 struct tethered_hub **out);

/**
 * Frees a hub and all it has lent. Its sockets are yours to close. NULL is fine. Not while another thread is inside: then
 * nothing is freed. The pointer must not be used again.
 */
void tethered_hub_free(struct tethered_hub *hub);

/**
 * A connection was accepted. Its first bytes are expected to be HTTP/1.1 (take TLS off before).
 *
 * peer: what is known of it; copied. size: sizeof *peer as you know it.
 * socket: where its id is put. The id is good until this socket's TETHERED_CLOSE, and never given again; it is never 0.
 *
 * Fails with TETHERED_E_LIMIT (there are too many: close the connection at once; no action will come for it),
 * TETHERED_E_ARGUMENT and TETHERED_E_VERSION; *socket is then left as it was.
 */
tethered_status tethered_open(struct tethered_hub *hub,
                              struct tethered_now now,
                              const struct tethered_peer *peer,
                              size_t size,
                              uint64_t *socket);

/**
 * Bytes were read from a socket. All of them are taken; what they lead to comes with tethered_poll.
 *
 * bytes: len of them, cut anywhere. They are changed in place (unmasked) and not kept: one buffer for all sockets will
 * do. It has to be your own memory, not something lent. (NULL, 0) is fine.
 *
 * Whatever a peer sends, this does not fail: it leads to actions. Gives TETHERED_STALE if the socket has ended; fails with
 * TETHERED_E_ARGUMENT.
 */
tethered_status tethered_received(struct tethered_hub *hub,
                                  struct tethered_now now,
                                  uint64_t socket,
                                  uint8_t *bytes,
                                  size_t len);

/**
 * What waits to be written on a socket, oldest first. Write it, whole or in part, and say with tethered_sent how much
 * was taken; until then it stays. It is what may cross at the time of the last call: in a later millisecond, such as
 * for a socket that can be written at last, call tethered_tick first.
 *
 * out: an array of capacity slices, laid out as struct iovec, so that it may be given to writev.
 *
 * Returns how many slices were filled in; 0 if nothing waits, the socket has ended, or an argument is wrong. There may be
 * more than capacity: ask again once these are written. The slices are lent until the next call with this hub other than
 * tethered_output.
 */
size_t tethered_output(const struct tethered_hub *hub,
                       uint64_t socket,
                       struct tethered_slice *out,
                       size_t capacity);

/**
 * The socket took the first len bytes of its output. More than there were counts as all of them.
 *
 * Gives TETHERED_STALE if the socket has ended; fails with TETHERED_E_ARGUMENT.
 */
tethered_status tethered_sent(struct tethered_hub *hub, struct tethered_now now, uint64_t socket, size_t len);

/**
 * The peer has ended the stream (read gave 0), or the socket has failed. Do not close it here: its TETHERED_CLOSE follows,
 * behind whatever else is on its way for this token. Saying it twice does no harm.
 *
 * Gives TETHERED_STALE if the socket has ended; fails with TETHERED_E_ARGUMENT.
 */
tethered_status tethered_closed(struct tethered_hub *hub,
                                struct tethered_now now,
                                uint64_t socket);

/**
 * Takes the next things that are to be done, in order. Carry them all out before you wait.
 *
 * out: an array of capacity actions, stride bytes apart: sizeof(tethered_action) as you know it.
 * deadline_ms: where the time (mono_ms) is put at which tethered_tick is due; UINT64_MAX: none is. It may be NULL. It
 * counts once a poll has returned less than capacity; before, it says "at once".
 *
 * Returns how many actions there are. If they are as many as capacity there may be more: poll again. What they point to
 * is lent until this function is called on this hub again, whatever else is called in between. Fails with
 * TETHERED_E_ARGUMENT (a stride below that of this header, NULL with a capacity); what was lent then stays lent.
 */
int32_t tethered_poll(struct tethered_hub *hub,
                      struct tethered_action *out,
                      size_t stride,
                      size_t capacity,
                      uint64_t *deadline_ms);

/**
 * Time has passed: to be called when the deadline that tethered_poll gave is reached. Too early does no harm, and any
 * other call that takes the time does the same on its way.
 *
 * Fails with TETHERED_E_ARGUMENT.
 */
tethered_status tethered_tick(struct tethered_hub *hub, struct tethered_now now);

/**
 * Sends a message to a client (the id of a TETHERED_DELIVER).
 *
 * flags: one of tethered_message_kind, such as the flags of that TETHERED_DELIVER.
 * data: copied; it may be what an action lends. As text it has to be UTF-8.
 *
 * Gives TETHERED_STALE if the client is gone. Fails with TETHERED_E_ARGUMENT. A client that reads too slowly is closed, by
 * actions.
 */
tethered_status tethered_send(struct tethered_hub *hub,
                              struct tethered_now now,
                              uint64_t client,
                              uint32_t flags,
                              struct tethered_slice data);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* TETHERED_H */
