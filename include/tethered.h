/*
 * tethered: WebSockets that end when the login does, for a server that already has an event loop.
 *
 * A hub is a whole server as one state machine: HTTP/1.1, the upgrade, RFC 6455, STOMP 1.0 to 1.2, sessions (its own, those
 * of Spring on a Redis, or yours) and a broker. It has no sockets, no threads and no clock: you tell it what happened (a
 * connection was accepted, bytes came, bytes were taken, Redis replied, time has passed), and it tells you what to do
 * (write, read or not, shut, close, send this to Redis) and what the peers said. There are no callbacks, so nothing of
 * yours ever runs inside a call.
 *
 * DOORS, from most to least that it does for you; a hub may have all of them open at once, and all meet the same gate:
 *
 *   tethered_open      raw bytes, from the first of HTTP/1.1 on
 *   tethered_ask       requests that your own HTTP server has parsed; behind a 101 it goes on with raw bytes
 *   tethered_join      WebSockets of your own server: whole messages in (tethered_message) and out (TETHERED_MESSAGE);
 *                      or protocols of your own under a session: only that somebody spoke (tethered_activity)
 *   tethered_ws_...    and tethered_stomp_...: the codecs alone, without a hub
 *
 * THE LOOP, on epoll. examples/echo.c is all of it.
 *
 *   tethered_open(hub, now(), &peer, sizeof peer, &socket);           // accept gave a connection; peer.token is yours
 *
 *   r = read(fd, buffer, sizeof buffer);                              // it is readable
 *   if (r > 0 ? tethered_received(hub, now(), socket, buffer, (size_t)r) < 0 : r == 0 || errno != EAGAIN)
 *     tethered_closed(hub, now(), socket);
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
 *       case TETHERED_REDIS:    redisAsyncCommandArgv(redis[a[i].flags], on_reply, (void *)a[i].id,
 *                                                     a[i].argc, a[i].argv, a[i].argvlen); break;
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
 * Each socket that tethered_open, tethered_ask or tethered_join took gets exactly one TETHERED_CLOSE, which is its last
 * action, also after you reported it closed.
 *
 * LENGTHS are in bytes, times in milliseconds. (NULL, 0) is fine wherever a pointer has a length. Text is UTF-8 and needs no
 * NUL at its end.
 *
 * THREADS. One thread at a time per hub, any thread in turn; hubs share nothing, so have one per loop. Concurrent use of
 * one hub is turned away with TETHERED_E_BUSY, not queued. The same holds for decoders.
 *
 * ERRORS. Functions that can fail return a tethered_status and write their results only on success. tethered_strerror says
 * what a status means, tethered_log_next which argument was wrong, by name. NULL handles and pointers to something else
 * are turned away; a handle that was freed is forbidden, as is any pointer that does not have the bytes that its length
 * says. Nothing a peer sends makes a call fail. errno is left alone, nothing is printed, no signal is raised: a bug in the
 * library becomes TETHERED_E_PANIC, and what it said goes to the log.
 *
 * MEMORY comes from malloc. What malloc does not have in the middle of a call, the call takes from a reserve of 8 MiB, which
 * the library has once for the whole process and which costs no more than addresses until then. Once 1 MiB of it is used,
 * each call that takes something on fails with TETHERED_E_MEMORY and has done nothing, until there is memory again or
 * sockets were closed; one that brings more than 64 KiB does so from the first byte of the reserve on. What is under way
 * goes on: tethered_poll, tethered_sent, tethered_closed, tethered_tick, tethered_reply, tethered_notice, tethered_end and
 * the others that do not name this status never fail by it. Only if a single call needs more than the reserve in the very
 * moment in which memory ends is the process ended: by messages that go to far more than 10,000 clients together, by the end
 * of as many, or by more than 128 KiB of empty frames handed in at once. So read up to 64 KiB at a time, and poll in between.
 *
 * LIMITS. Everything a peer can send, hold or cost has a limit, on by default: [limits] of tethered_config_parse.
 *
 * VERSIONS. Structs that you hand over travel with their sizeof, so that a program built with an older header goes on working
 * with a newer library of the same TETHERED_ABI. Expect action kinds and statuses that this header does not list.
 * tethered_version_num tells the library that runs, TETHERED_VERSION_NUM the header.
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
   * What was given is used up, or the room is too small: go on with more.
   */
  TETHERED_MORE = 2,
  /**
   * Done, but too much waits. Of tethered_send: for this peer, who reads slowly; send it less, for at twice as much it
   * is closed. Of tethered_received and tethered_message: for tethered_poll, 1,024 actions or more; poll before you read
   * on, for a peer whose bytes would be more than the limit MEMORY is closed.
   */
  TETHERED_PRESSURE = 3,
  /**
   * Done: this peer does not get in. Close its WebSocket; nothing more comes for it.
   */
  TETHERED_REFUSED = 4,
  /**
   * An argument that can never be right: NULL where it may not be, a pointer that is no such handle, a length that cannot
   * be, an unknown flag, text that is not UTF-8, a configuration that makes no sense. The log says which.
   */
  TETHERED_E_ARGUMENT = -1,
  /**
   * Another thread is inside this handle. Use it on one thread at a time.
   */
  TETHERED_E_BUSY = -3,
  /**
   * There is no memory for it. Nothing was done, and nothing is lost: try again when something was freed, and read no
   * more from this peer until then. What gives memory back, and what ends somebody, never comes back with this.
   */
  TETHERED_E_MEMORY = -4,
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
   * A codec met bytes that its protocol does not allow. The connection is over.
   */
  TETHERED_E_PROTOCOL = -7,
  /**
   * A bug in tethered, caught; tethered_log_next tells what it was. The handle is of no use any more: free it, and close
   * the sockets of a hub. Other handles go on.
   */
  TETHERED_E_PANIC = -8,
  /**
   * An earlier call on this handle came back with TETHERED_E_PANIC.
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
   * WebSocket messages of your own, which come as TETHERED_DELIVER. Whoever connects gets in, without a login, unless
   * its flags say otherwise.
   */
  TETHERED_ENDPOINT_RAW = 1,
  /**
   * STOMP 1.0 to 1.2, for those who are logged in, unless its flags say otherwise.
   */
  TETHERED_ENDPOINT_STOMP = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tethered_endpoint_kind tethered_endpoint_kind;
#else
typedef uint32_t tethered_endpoint_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Who gets in at an endpoint.
 */
enum tethered_endpoint_flags
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * A live session with a principal is needed; anything else is answered 401.
   */
  TETHERED_ENDPOINT_LOGIN = 1,
  /**
   * No cookie is read, nobody is bound to a session.
   */
  TETHERED_ENDPOINT_NO_LOGIN = 2,
  /**
   * Any Origin is let in. Only ever for endpoints that read no cookie.
   */
  TETHERED_ENDPOINT_ANY_ORIGIN = 4,
  /**
   * It is a SockJS service: path is its prefix, plain WebSockets are taken at path + "/websocket", and the transports of
   * SockJS 0.3.3 below path.
   */
  TETHERED_ENDPOINT_SOCKJS = 8,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tethered_endpoint_flags tethered_endpoint_flags;
#else
typedef uint32_t tethered_endpoint_flags;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What the host takes part in.
 */
enum tethered_config_flags
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * HTTP requests that are no handshake of an endpoint come as TETHERED_REQUEST. Without it they are answered 404.
   */
  TETHERED_CONFIG_REQUESTS = 1,
  /**
   * Each handshake whose session is alive comes as TETHERED_DECIDE. Without it the session decides.
   */
  TETHERED_CONFIG_DECIDE = 2,
  /**
   * There are other hubs: what is published comes as TETHERED_RELAY as well.
   */
  TETHERED_CONFIG_RELAY = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tethered_config_flags tethered_config_flags;
#else
typedef uint32_t tethered_config_flags;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Where sessions live.
 */
enum tethered_store
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * In the hub's own memory; or where the toml of the configuration says.
   */
  TETHERED_STORE_MEMORY = 0,
  /**
   * On a Redis, where Spring Session keeps them: TETHERED_REDIS.
   */
  TETHERED_STORE_REDIS = 1,
  /**
   * Elsewhere: TETHERED_SESSION.
   */
  TETHERED_STORE_EXTERNAL = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tethered_store tethered_store;
#else
typedef uint32_t tethered_store;
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
   * and the peer could lose what was sent last. The output is empty when this comes. Of what came through
   * tethered_ask: the body of its response is whole.
   */
  TETHERED_SHUTDOWN = 3,
  /**
   * Close this socket (token) and forget it. Each one gets exactly one, and it is its last action, also after
   * tethered_closed: free what hangs on the token here, and nowhere else. Of what came through tethered_join: close
   * your WebSocket with the code in flags (0: it is over, or needs none) and the reason in data.
   */
  TETHERED_CLOSE = 4,
  /**
   * A client (id) sent something to the application: data, of the kind that flags tell (tethered_message_kind), to
   * name: the destination, or the path of its endpoint. Details: the content-type as a header, principal and session.
   */
  TETHERED_DELIVER = 5,
  /**
   * Send data on the WebSocket (socket, token) that came through tethered_join, of the kind that flags tell
   * (tethered_message_kind).
   */
  TETHERED_MESSAGE = 6,
  /**
   * Answer the request (socket, token) that came through tethered_ask: its status is in id, its body in data, its
   * headers in the details. What comes next is what flags tell (tethered_follows).
   */
  TETHERED_RESPONSE = 7,
  /**
   * A request (socket, token) that is no handshake: its body in data, its target in name, all of it in the details.
   * Answer it with tethered_respond; until then its connection waits.
   */
  TETHERED_REQUEST = 8,
  /**
   * A handshake (socket, token, client id) whose session is alive: the target in data, the session's id in name, all of
   * it in the details. Answer it with tethered_decide; until then it waits.
   */
  TETHERED_DECIDE = 9,
  /**
   * A client (id, token) is there: its STOMP CONNECT was accepted, or its raw WebSocket is open. Its principal is in
   * name, the path of its endpoint in data. As in all that is about a client, token is 0 for one of SockJS that has no
   * request open to read by.
   */
  TETHERED_JOINED = 10,
  /**
   * A client (id, token) that had joined is gone; its id is stale from now on. Why is in flags (tethered_cause), and as
   * a word in data; its principal is in name.
   */
  TETHERED_LEFT = 11,
  /**
   * Send this command (argc, argv, argvlen) to Redis, on the connection that flags tell (tethered_connection), in the
   * order in which they come. The reply to it goes to tethered_reply with this id; if that is 0 none is wanted.
   */
  TETHERED_REDIS = 12,
  /**
   * Ask your session store (argc, argv, argvlen). The answer goes to tethered_reply with this id; if that is 0 none is
   * wanted. The verbs, and how each is answered:
   *
   * LOAD id: who is it, and is it alive? TETHERED_REPLY_LIST, with the milliseconds it lives unless renewed (negative:
   * for ever) as the value, and as items its id, its principal (empty: nobody), then names and values of its attributes
   * in turn; or TETHERED_REPLY_NIL: there is no such session. CHECK id: is it alive? TETHERED_REPLY_INT with those
   * milliseconds, or NIL. TOUCH id age: renew it, as of age milliseconds ago, if it is alive and that is later than what
   * the store holds; answered as CHECK. CREATE id principal name value...: make a new session; answered as LOAD.
   * RENAME from to principal name value...: give a live session another id and principal, and set attributes; answered
   * as LOAD. END id: end it; NIL. TETHERED_REPLY_LOST: the store could not be asked.
   */
  TETHERED_SESSION = 13,
  /**
   * Pass data on to all other hubs, in order, to be handed in there with tethered_relayed.
   */
  TETHERED_RELAY = 14,
  /**
   * The application of another hub (name) said this (data), with tethered_announce.
   */
  TETHERED_ANNOUNCED = 15,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tethered_action_kind tethered_action_kind;
#else
typedef uint32_t tethered_action_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What comes behind a TETHERED_RESPONSE.
 */
enum tethered_follows
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Nothing: data is the whole body. TETHERED_CLOSE is next.
   */
  TETHERED_FOLLOWS_NOTHING = 0,
  /**
   * The body, piece by piece, through TETHERED_WRITE and tethered_output, not chunked or framed in any other way. With
   * TETHERED_SHUTDOWN it is whole; a TETHERED_CLOSE without one cuts it off.
   */
  TETHERED_FOLLOWS_BODY = 1,
  /**
   * It is a 101: from now on the socket is as one of tethered_open, and what it carries are WebSocket frames.
   */
  TETHERED_FOLLOWS_FRAMES = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tethered_follows tethered_follows;
#else
typedef uint32_t tethered_follows;
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
  /**
   * A STOMP SEND to a destination of the application. Only told.
   */
  TETHERED_SEND = 3,
  /**
   * A STOMP SUBSCRIBE to a destination of the application; data is the subscription's id. Answer it once, with
   * tethered_answer. Only told.
   */
  TETHERED_SUBSCRIBE = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tethered_message_kind tethered_message_kind;
#else
typedef uint32_t tethered_message_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What an answer does to the session of its request. It is done before the answer is sent, which then carries the cookie.
 */
enum tethered_change
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Nothing.
   */
  TETHERED_CHANGE_KEEP = 0,
  /**
   * A login: the session gets a new id (a new session if there was none), this principal and these attributes.
   */
  TETHERED_CHANGE_LOGIN = 1,
  /**
   * A logout: the session ends, and every socket under it.
   */
  TETHERED_CHANGE_LOGOUT = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tethered_change tethered_change;
#else
typedef uint32_t tethered_change;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What the host thinks of a handshake.
 */
enum tethered_verdict
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * It is refused with 403.
   */
  TETHERED_REFUSE = 0,
  /**
   * It gets in.
   */
  TETHERED_ENTER = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tethered_verdict tethered_verdict;
#else
typedef uint32_t tethered_verdict;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Whose clients tethered_end ends.
 */
enum tethered_who
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * One client: who is its id, the 8 bytes of a uint64_t. Its session lives on.
   */
  TETHERED_WHO_CLIENT = 1,
  /**
   * A session, which is ended in the store too.
   */
  TETHERED_WHO_SESSION = 2,
  /**
   * All sessions of a user that have clients here.
   */
  TETHERED_WHO_USER = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tethered_who tethered_who;
#else
typedef uint32_t tethered_who;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Why a client left.
 */
enum tethered_cause
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Its session's time ran out. Close code 1008.
   */
  TETHERED_CAUSE_EXPIRED = 1,
  /**
   * Its session was deleted elsewhere. Close code 1008.
   */
  TETHERED_CAUSE_DELETED = 2,
  /**
   * Its session was ended here, by a logout. Close code 1008.
   */
  TETHERED_CAUSE_LOGGED_OUT = 3,
  /**
   * The host ended it. Close code 1008.
   */
  TETHERED_CAUSE_REVOKED = 4,
  /**
   * Its session got another id, or another user, and could not be followed. Close code 1008.
   */
  TETHERED_CAUSE_ROTATED = 5,
  /**
   * The session store was away for too long to vouch for it. Close code 1013.
   */
  TETHERED_CAUSE_STORE_LOST = 6,
  /**
   * It did not read what it was sent. Close code 4500.
   */
  TETHERED_CAUSE_SLOW = 7,
  /**
   * It said nothing when it should have. Close code 4500 or 1002.
   */
  TETHERED_CAUSE_IDLE = 8,
  /**
   * It broke the protocol or a limit. Close code 1002, 1007, 1008 or 1009.
   */
  TETHERED_CAUSE_VIOLATION = 9,
  /**
   * The server is going down. Close code 1001.
   */
  TETHERED_CAUSE_DRAIN = 10,
  /**
   * The peer closed it.
   */
  TETHERED_CAUSE_PEER = 11,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tethered_cause tethered_cause;
#else
typedef uint32_t tethered_cause;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * A connection to Redis.
 */
enum tethered_connection
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Where most commands go.
   */
  TETHERED_COMMANDS = 0,
  /**
   * Where channels are subscribed to; nothing but SUBSCRIBE is ever sent here.
   */
  TETHERED_NOTICES = 1,
  /**
   * Where WATCH, MULTI and EXEC go, which must not be mixed with anybody else's commands. Used only where scripts
   * cannot be: it may be connected when the first command for it comes.
   */
  TETHERED_TRANSACTIONS = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tethered_connection tethered_connection;
#else
typedef uint32_t tethered_connection;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What a store replied.
 */
enum tethered_reply_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Nothing is there.
   */
  TETHERED_REPLY_NIL = 0,
  /**
   * A number.
   */
  TETHERED_REPLY_INT = 1,
  /**
   * A string of bytes; a status such as OK too.
   */
  TETHERED_REPLY_BULK = 2,
  /**
   * The store refused: the text.
   */
  TETHERED_REPLY_ERROR = 3,
  /**
   * A list without lists in it.
   */
  TETHERED_REPLY_LIST = 4,
  /**
   * No reply came: the connection was lost or there was none, or it took too long.
   */
  TETHERED_REPLY_LOST = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tethered_reply_kind tethered_reply_kind;
#else
typedef uint32_t tethered_reply_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What a store outside says of a session.
 */
enum tethered_fate
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Its time ran out.
   */
  TETHERED_FATE_EXPIRED = 1,
  /**
   * It was deleted.
   */
  TETHERED_FATE_DELETED = 2,
  /**
   * It goes by another id now.
   */
  TETHERED_FATE_RENAMED = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tethered_fate tethered_fate;
#else
typedef uint32_t tethered_fate;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How much a line of the log matters.
 */
enum tethered_level
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Something is broken.
   */
  TETHERED_LEVEL_ERROR = 1,
  /**
   * Something deserves a look; an argument that was wrong, among others.
   */
  TETHERED_LEVEL_WARN = 2,
  /**
   * Something happened: a session with clients has ended.
   */
  TETHERED_LEVEL_INFO = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tethered_level tethered_level;
#else
typedef uint32_t tethered_level;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Which end of a connection a codec is.
 */
enum tethered_role
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * The server: what it reads is masked, what it writes is not.
   */
  TETHERED_SERVER = 0,
  /**
   * The client: the other way round.
   */
  TETHERED_CLIENT = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tethered_role tethered_role;
#else
typedef uint32_t tethered_role;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What a WebSocket decoder found: opcodes of RFC 6455.
 */
enum tethered_ws_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * A text message, which is UTF-8.
   */
  TETHERED_WS_TEXT = 1,
  /**
   * A binary message.
   */
  TETHERED_WS_BINARY = 2,
  /**
   * A Close: the last thing that comes.
   */
  TETHERED_WS_CLOSE = 8,
  /**
   * A ping, to be answered by a pong with the same bytes.
   */
  TETHERED_WS_PING = 9,
  /**
   * A pong.
   */
  TETHERED_WS_PONG = 10,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tethered_ws_kind tethered_ws_kind;
#else
typedef uint32_t tethered_ws_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Frames of a SockJS server.
 */
enum tethered_sockjs_frame
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * The first one: o.
   */
  TETHERED_SOCKJS_OPEN = 1,
  /**
   * The server is there: h.
   */
  TETHERED_SOCKJS_HEART_BEAT = 2,
  /**
   * Messages: a["one","two"].
   */
  TETHERED_SOCKJS_MESSAGES = 3,
  /**
   * The last one: c[code,"reason"].
   */
  TETHERED_SOCKJS_CLOSE = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tethered_sockjs_frame tethered_sockjs_frame;
#else
typedef uint32_t tethered_sockjs_frame;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Commands of STOMP, and what comes between frames.
 */
enum tethered_stomp_command
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * A line end between frames.
   */
  TETHERED_STOMP_HEART_BEAT = 0,
  /**
   * CONNECT.
   */
  TETHERED_STOMP_CONNECT = 1,
  /**
   * STOMP: CONNECT under its name since 1.1.
   */
  TETHERED_STOMP_STOMP = 2,
  /**
   * SEND.
   */
  TETHERED_STOMP_SEND = 3,
  /**
   * SUBSCRIBE.
   */
  TETHERED_STOMP_SUBSCRIBE = 4,
  /**
   * UNSUBSCRIBE.
   */
  TETHERED_STOMP_UNSUBSCRIBE = 5,
  /**
   * ACK.
   */
  TETHERED_STOMP_ACK = 6,
  /**
   * NACK.
   */
  TETHERED_STOMP_NACK = 7,
  /**
   * BEGIN.
   */
  TETHERED_STOMP_BEGIN = 8,
  /**
   * COMMIT.
   */
  TETHERED_STOMP_COMMIT = 9,
  /**
   * ABORT.
   */
  TETHERED_STOMP_ABORT = 10,
  /**
   * DISCONNECT.
   */
  TETHERED_STOMP_DISCONNECT = 11,
  /**
   * CONNECTED.
   */
  TETHERED_STOMP_CONNECTED = 12,
  /**
   * MESSAGE.
   */
  TETHERED_STOMP_MESSAGE = 13,
  /**
   * RECEIPT.
   */
  TETHERED_STOMP_RECEIPT = 14,
  /**
   * ERROR.
   */
  TETHERED_STOMP_ERROR = 15,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tethered_stomp_command tethered_stomp_command;
#else
typedef uint32_t tethered_stomp_command;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * A whole server as one state machine, without sockets, threads or a clock of its own. Made by tethered_hub_new, freed by
 * tethered_hub_free; one thread at a time may be inside.
 */
typedef struct tethered_hub tethered_hub;

/**
 * Reads the STOMP frames of one side of one connection. Made by tethered_stomp_decoder_new, freed by
 * tethered_stomp_decoder_free; one thread at a time may be inside.
 */
typedef struct tethered_stomp_decoder tethered_stomp_decoder;

/**
 * Reads the WebSocket frames of one side of one connection. Made by tethered_ws_decoder_new, freed by
 * tethered_ws_decoder_free; one thread at a time may be inside.
 */
typedef struct tethered_ws_decoder tethered_ws_decoder;

/**
 * How a call went: one of tethered_status_code, or one of a newer library: 0 is success, what is positive was a success
 * with a remark, what is negative changed nothing (but for TETHERED_E_PANIC and TETHERED_E_PROTOCOL).
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
   * Any of tethered_endpoint_flags.
   */
  uint32_t flags;
  /**
   * Largest message that is taken, in bytes; a larger one closes its socket with 1009. Default: that of the
   * configuration.
   */
  uint64_t max_message;
  /**
   * Most bytes that may wait for a peer that does not read; more close its socket with 4500. An answer has to fit in,
   * so an echo wants more than max_message. Default: send_buffer_bytes of the configuration.
   */
  uint64_t max_unsent;
  /**
   * The exact path, UTF-8, such as "/echo". It begins with / and holds no ?, # or space.
   */
  struct tethered_slice path;
} tethered_endpoint;

/**
 * How a hub is set up. tethered_config_init (or zeroing it) gives the default of each member; then set what you need.
 * What toml says comes first, the other members outweigh it. New members are added at the end.
 */
typedef struct tethered_config {
  /**
   * Any of tethered_config_flags.
   */
  uint64_t flags;
  /**
   * Most sockets that are served at a time. Default 18,000.
   */
  uint64_t max_sockets;
  /**
   * How long a session of the store in memory lives without activity, in milliseconds. Default 30 minutes.
   */
  uint64_t idle_ms;
  /**
   * A session is renewed in its store at most once in so many milliseconds. Default 1,000.
   */
  uint64_t touch_ms;
  /**
   * Largest WebSocket message and STOMP frame, in bytes. Default 65,536.
   */
  uint64_t max_message;
  /**
   * Most bytes that may wait for one peer that does not read. Default 524,288.
   */
  uint64_t send_buffer_bytes;
  /**
   * Where WebSockets are taken: n_endpoints of them, with different paths. Default: STOMP at "/stomp" for those who are
   * logged in.
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
  /**
   * Where sessions live: one of tethered_store.
   */
  uint32_t store;
  /**
   * The number of Redis' database: the connections have to SELECT it. Default 0.
   */
  uint32_t redis_database;
  /**
   * The session cookie's name. Default "SESSION".
   */
  struct tethered_slice cookie;
  /**
   * What keys in Redis begin with, without the colon behind it. Default "spring:session".
   */
  struct tethered_slice redis_namespace;
  /**
   * Everything else, as text: see tethered_config_parse.
   */
  struct tethered_slice toml;
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
 * What a socket took of its output.
 */
typedef struct tethered_taken {
  /**
   * The socket.
   */
  uint64_t socket;
  /**
   * How many bytes.
   */
  size_t len;
} tethered_taken;

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
   * The client or the call that it is about, or 0.
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
   * How many arguments there are.
   */
  size_t argc;
  /**
   * The arguments, as redisAsyncCommandArgv takes them: bytes, without a NUL at their ends. Lent.
   */
  const char *const *argv;
  /**
   * Their lengths. Lent.
   */
  const size_t *argvlen;
  /**
   * More is known: give it to tethered_details. 0: that is all.
   */
  uint64_t details;
} tethered_action;

/**
 * A header of HTTP or STOMP.
 */
typedef struct tethered_header {
  /**
   * Its name.
   */
  struct tethered_slice name;
  /**
   * Its value.
   */
  struct tethered_slice value;
} tethered_header;

/**
 * A request, or what belongs to an action. You fill it in for tethered_ask and tethered_join (zero it first);
 * tethered_details fills it in for you.
 */
typedef struct tethered_request {
  /**
   * Yours; it comes back in each action for this socket.
   */
  uint64_t token;
  /**
   * Any of tethered_peer_flags.
   */
  uint32_t flags;
  /**
   * Of a TETHERED_RESPONSE: its status, 101 to 599. Else 0.
   */
  uint32_t status;
  /**
   * The method, such as "GET". Not for tethered_join.
   */
  struct tethered_slice method;
  /**
   * The target as it came, such as "/stomp?a=b".
   */
  struct tethered_slice target;
  /**
   * The whole body. Not for tethered_join.
   */
  struct tethered_slice body;
  /**
   * The id of its session. For tethered_join: empty, and it is read from the cookie. Not for tethered_ask.
   */
  struct tethered_slice session;
  /**
   * Whose session it is. Only told.
   */
  struct tethered_slice principal;
  /**
   * The peer's address: 4 bytes (IPv4) or 16 (IPv6) in network order; empty if it has none.
   */
  struct tethered_slice address;
  /**
   * n_headers headers as they came, Host among them (which HTTP/2 and later call :authority). What frames a body is
   * left out of account.
   */
  const struct tethered_header *headers;
  /**
   * How many there are.
   */
  size_t n_headers;
  /**
   * Of a TETHERED_REQUEST: n_attributes attributes of its session, as bytes: all that the store in memory has; of a
   * Redis those that redis-attributes names, by default the CSRF token of Spring Security. Only told; else NULL.
   */
  const struct tethered_header *attributes;
  /**
   * How many there are.
   */
  size_t n_attributes;
} tethered_request;

/**
 * The answer to a TETHERED_REQUEST. Zero it, then set what you need.
 */
typedef struct tethered_response {
  /**
   * 200 to 599.
   */
  uint32_t status;
  /**
   * One of tethered_change: what becomes of the session.
   */
  uint32_t change;
  /**
   * n_headers headers. What frames the body, Connection, Date and the session cookie are added.
   */
  const struct tethered_header *headers;
  /**
   * How many there are.
   */
  size_t n_headers;
  /**
   * The body.
   */
  struct tethered_slice body;
  /**
   * With TETHERED_CHANGE_LOGIN: who has logged in.
   */
  struct tethered_slice principal;
  /**
   * With TETHERED_CHANGE_LOGIN: n_attributes attributes that the session gets.
   */
  const struct tethered_header *attributes;
  /**
   * How many there are.
   */
  size_t n_attributes;
} tethered_response;

/**
 * What a hub has and has done. The first five are how many there are now; the rest only grow.
 */
typedef struct tethered_stats {
  /**
   * Sockets.
   */
  uint64_t sockets;
  /**
   * Clients.
   */
  uint64_t clients;
  /**
   * Sessions that have clients.
   */
  uint64_t sessions;
  /**
   * Bytes in buffers: unfinished input and unsent output.
   */
  uint64_t buffered_bytes;
  /**
   * Bytes that are lent, and actions that wait.
   */
  uint64_t lent_bytes;
  /**
   * Actions handed out.
   */
  uint64_t actions;
  /**
   * Sockets opened.
   */
  uint64_t opened;
  /**
   * Sockets closed.
   */
  uint64_t closed;
  /**
   * Bytes received.
   */
  uint64_t received_bytes;
  /**
   * Bytes sent.
   */
  uint64_t sent_bytes;
  /**
   * WebSocket messages and control frames received.
   */
  uint64_t messages_in;
  /**
   * STOMP frames received.
   */
  uint64_t frames_in;
  /**
   * MESSAGE frames queued for receivers.
   */
  uint64_t delivered;
  /**
   * Questions to the session store.
   */
  uint64_t asked;
  /**
   * Touches among them.
   */
  uint64_t touches;
  /**
   * Questions without an answer in time.
   */
  uint64_t calls_lost;
  /**
   * Notices of the session store.
   */
  uint64_t notices;
  /**
   * Clients closed for breaking a protocol or a limit.
   */
  uint64_t violations;
  /**
   * Clients closed for not reading.
   */
  uint64_t slow;
  /**
   * Sockets and requests turned away.
   */
  uint64_t refused;
} tethered_stats;

/**
 * A line of the log.
 */
typedef struct tethered_log {
  /**
   * One of tethered_level.
   */
  uint32_t level;
  /**
   * 0.
   */
  uint32_t reserved;
  /**
   * The line, UTF-8, without a line end. Lent until the next line is asked for.
   */
  struct tethered_slice text;
} tethered_log;

/**
 * A value in a reply, and a reply of one value.
 */
typedef struct tethered_item {
  /**
   * One of tethered_reply_kind; not TETHERED_REPLY_LIST.
   */
  uint32_t kind;
  /**
   * 0.
   */
  uint32_t reserved;
  /**
   * Of TETHERED_REPLY_INT.
   */
  int64_t value;
  /**
   * Of TETHERED_REPLY_BULK and TETHERED_REPLY_ERROR.
   */
  struct tethered_slice bytes;
} tethered_item;

/**
 * The head of a WebSocket frame: RFC 6455 section 5.2.
 */
typedef struct tethered_ws_head {
  /**
   * Bytes of the payload.
   */
  uint64_t payload_len;
  /**
   * Bytes of this head. Not for tethered_ws_write_head.
   */
  uint32_t head_len;
  /**
   * 0: it continues a message; else one of tethered_ws_kind.
   */
  uint8_t opcode;
  /**
   * 1: the frame ends its message.
   */
  uint8_t fin;
  /**
   * 0.
   */
  uint8_t rsv;
  /**
   * 1: the payload is masked.
   */
  uint8_t masked;
  /**
   * The masking key.
   */
  uint8_t mask[4];
  /**
   * 0.
   */
  uint8_t reserved[4];
} tethered_ws_head;

/**
 * A whole message, or a control frame.
 */
typedef struct tethered_ws_message {
  /**
   * One of tethered_ws_kind.
   */
  uint32_t kind;
  /**
   * Of a Close: its code, 0 if it has none. After TETHERED_E_PROTOCOL: the code to close the connection with.
   */
  uint32_t code;
  /**
   * The payload; of a Close its reason; after TETHERED_E_PROTOCOL a sentence. Lent until the next call with this
   * decoder, or until the bytes that were given are changed.
   */
  struct tethered_slice data;
} tethered_ws_message;

/**
 * A STOMP frame, or what comes between frames.
 */
typedef struct tethered_stomp_frame {
  /**
   * One of tethered_stomp_command.
   */
  uint32_t command;
  /**
   * 0.
   */
  uint32_t flags;
  /**
   * n_headers headers, unescaped, in their order and with repeats, of which the first counts. Lent until the next call
   * with this decoder.
   */
  const struct tethered_header *headers;
  /**
   * How many there are.
   */
  size_t n_headers;
  /**
   * The body. After TETHERED_E_PROTOCOL a sentence for an ERROR frame. Lent until the next call with this decoder, or
   * until the bytes that were given are changed.
   */
  struct tethered_slice body;
} tethered_stomp_frame;

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
 * Makes a configuration the default of everything: all of it becomes 0.
 *
 * config: size bytes: sizeof *config as you know it. Nothing happens if it is NULL, or the size cannot be.
 */
void tethered_config_init(struct tethered_config *config, size_t size);

/**
 * Reads a configuration from TOML and puts it into a struct, where the other members outweigh it.
 *
 * config, size: as for tethered_config_init, which comes before. toml: UTF-8; not copied: keep it until tethered_hub_new.
 * message, capacity: room for a sentence, with a NUL at its end, on what is wrong: its line, what it is about, and, where
 * a name is unknown, the nearest one that is. It may be NULL.
 *
 * The text is that of the server's --config file, as far as a hub is concerned: session-timeout, touch-interval, cookie,
 * cookie-encoding, origin, require-origin, proxy, stomp-heartbeat, connect-csrf, redis-namespace, redis-layout,
 * redis-serializer, redis-cleanup, redis-principal-attribute, check-interval, sweep-interval, blind-time, and the
 * table limits; besides store ("memory", "redis", "external"), redis-database, redis-attributes (those that
 * tethered_details tells), relay, decide, requests, guarded (paths below which a request needs a login), application-prefix, rules ("open", or "sample": nobody sends to topics or
 * queues), and for each endpoint a table `[[endpoint]]` with path, protocol ("stomp", "raw"), login, any-origin,
 * max-message, max-unsent and sockjs (true: as TETHERED_ENDPOINT_SOCKJS), with sockjs-websocket, sockjs-jsessionid,
 * sockjs-jsonp, sockjs-stream, sockjs-heartbeat, sockjs-disconnect-delay and sockjs-client-url.
 *
 * Fails with TETHERED_E_ARGUMENT and TETHERED_E_MEMORY; *config is then left as it was.
 */
tethered_status tethered_config_parse(struct tethered_config *config,
                                      size_t size,
                                      struct tethered_slice toml,
                                      char *message,
                                      size_t capacity);

/**
 * Says whether tethered_hub_new would take a configuration, and if not, what is wrong with it.
 *
 * config, size: as for tethered_hub_new. message, capacity: as for tethered_config_parse.
 *
 * Fails with TETHERED_E_ARGUMENT, TETHERED_E_VERSION and TETHERED_E_MEMORY.
 */
tethered_status tethered_config_check(const struct tethered_config *config,
                                      size_t size,
                                      char *message,
                                      size_t capacity);

/**
 * Makes a hub with nobody in it.
 *
 * config: how it is set up; copied, with all that it points to. NULL: the default of everything.
 * size: sizeof *config as you know it, so that programs and libraries of different age fit together.
 * seed16: 16 bytes from the system's random source (getrandom); secrets are made from them. With the same seed, calls
 * and times a hub does the same, byte for byte.
 * out: where the hub is put; it is yours, until you give it to tethered_hub_free.
 *
 * Fails with TETHERED_E_ARGUMENT (NULL seed16 or out, a size that cannot be, a configuration that makes no sense:
 * tethered_config_check says what is wrong with it), TETHERED_E_VERSION and TETHERED_E_MEMORY; *out is then left as it
 * was.
 */
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
 * Fails with TETHERED_E_LIMIT (there are too many, or the hub drains: close the connection at once; no action will come
 * for it; likewise with TETHERED_E_MEMORY), TETHERED_E_ARGUMENT and TETHERED_E_VERSION; *socket is then left as it was.
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
 * Whatever a peer sends, this does not fail: it leads to actions. Gives TETHERED_STALE if the socket has ended, and
 * TETHERED_PRESSURE if 1,024 actions or more wait: call tethered_poll before you read on, for a socket whose bytes would
 * have them hold more than the limit MEMORY is closed. Fails with TETHERED_E_ARGUMENT, and with TETHERED_E_MEMORY:
 * the bytes are as they were then; hand them in again later, before any that follow, or say tethered_closed.
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
 * Several sockets took some of their output: as tethered_sent for each, in one call, which costs less. Whoever writes to
 * many sockets may write to all of them first; until they are told, nothing but tethered_output and tethered_poll may be
 * called with this hub.
 *
 * taken: count of them; copied. A socket that has ended counts for nothing.
 *
 * Gives TETHERED_STALE if one of the sockets has ended; fails with TETHERED_E_ARGUMENT, and none is told then.
 */
tethered_status tethered_sent_many(struct tethered_hub *hub,
                                   struct tethered_now now,
                                   const struct tethered_taken *taken,
                                   size_t count);

/**
 * The peer has ended the stream (read gave 0), or the socket has failed; also for what came through tethered_ask and
 * tethered_join. Do not close it here: its TETHERED_CLOSE follows, behind whatever else is on its way for this token.
 * Saying it twice does no harm.
 *
 * Gives TETHERED_STALE if the socket has ended; fails with TETHERED_E_ARGUMENT.
 */
tethered_status tethered_closed(struct tethered_hub *hub, struct tethered_now now, uint64_t socket);

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
 * A request came in at your own HTTP server: a WebSocket handshake, or anything else that the hub is to answer. It meets
 * the same checks as one that comes as bytes. The answer is a TETHERED_RESPONSE.
 *
 * request: token, flags, method, target, headers, body and address; copied. size: sizeof *request as you know it.
 * socket: where its id is put, as for tethered_open. Until a TETHERED_RESPONSE with TETHERED_FOLLOWS_FRAMES nothing may be
 * received for it; say tethered_closed if the peer has gone.
 *
 * Whatever a peer asks, this does not fail. Fails with TETHERED_E_LIMIT (there are too many, or the hub drains: answer
 * 503 yourself; likewise with TETHERED_E_MEMORY), TETHERED_E_ARGUMENT and TETHERED_E_VERSION; *socket is then left as it was.
 */
tethered_status tethered_ask(struct tethered_hub *hub,
                             struct tethered_now now,
                             const struct tethered_request *request,
                             size_t size,
                             uint64_t *socket);

/**
 * A WebSocket was opened by your own server. It is bound to its session as one of tethered_open would be; until that is
 * done, messages wait. What comes in goes to tethered_message, and what goes out comes as TETHERED_MESSAGE; or, if the
 * protocol is your own too, no more than tethered_activity is said, and its endpoint is a TETHERED_ENDPOINT_RAW. Pings are
 * yours, and so is the patience with one who does not read.
 *
 * request: token, flags, target (the path of an endpoint), headers, session and address; copied. size: sizeof *request as
 * you know it.
 * socket: where the id is put that actions name it by, as for tethered_open. client: where the id is put that messages,
 * activity and the application name it by.
 *
 * Gives TETHERED_REFUSED if it does not get in (no session, a foreign Origin, no such path; the log says which): close
 * your WebSocket with 1008, no action comes for it. Fails with TETHERED_E_LIMIT (there are too many, or the hub
 * drains: close it with 1013; likewise with TETHERED_E_MEMORY), TETHERED_E_ARGUMENT and TETHERED_E_VERSION. *socket and
 * *client are then left as they were.
 */
tethered_status tethered_join(struct tethered_hub *hub,
                              struct tethered_now now,
                              const struct tethered_request *request,
                              size_t size,
                              uint64_t *socket,
                              uint64_t *client);

/**
 * A whole message came in at a WebSocket of your own.
 *
 * client: the id that tethered_join gave. flags: TETHERED_TEXT or TETHERED_BINARY. data: the message; copied as far as it
 * is needed. Text that is not UTF-8 is the peer's fault: it is closed with 1007.
 *
 * Whatever a peer sends, this does not fail. Gives TETHERED_STALE if the client is gone, and TETHERED_PRESSURE as
 * tethered_received does; fails with TETHERED_E_ARGUMENT, and with TETHERED_E_MEMORY: hand it in again later, before
 * any that follow.
 */
tethered_status tethered_message(struct tethered_hub *hub,
                                 struct tethered_now now,
                                 uint64_t client,
                                 uint32_t flags,
                                 struct tethered_slice data);

/**
 * A client spoke in a protocol of your own: its session is renewed. Cheap enough for each message.
 *
 * kind: 0; there are no others yet.
 *
 * Gives TETHERED_STALE if the client is gone; fails with TETHERED_E_ARGUMENT.
 */
tethered_status tethered_activity(struct tethered_hub *hub, struct tethered_now now, uint64_t client, uint32_t kind);

/**
 * Answers a TETHERED_REQUEST. Its change to the session is carried out first; where that fails since the store is away, the
 * answer is 503 instead.
 *
 * socket: of the request. response: copied. size: sizeof *response as you know it.
 *
 * Gives TETHERED_STALE if the socket has ended. Ignored if nothing was asked, or was answered in the meantime: there are
 * 60 seconds for it. Fails with TETHERED_E_ARGUMENT (a header that cannot be sent, among others), TETHERED_E_VERSION and
 * TETHERED_E_MEMORY (try again within that time).
 */
tethered_status tethered_respond(struct tethered_hub *hub,
                                 struct tethered_now now,
                                 uint64_t socket,
                                 const struct tethered_response *response,
                                 size_t size);

/**
 * Lets a handshake in, or not: the answer to a TETHERED_DECIDE.
 *
 * client: its id. verdict: one of tethered_verdict.
 * principal: the name that the principal of its session goes by here, whatever the store says; empty: as the store says.
 *
 * Gives TETHERED_STALE if the client is gone. Ignored if nothing was asked. Fails with TETHERED_E_ARGUMENT.
 */
tethered_status tethered_decide(struct tethered_hub *hub,
                                struct tethered_now now,
                                uint64_t client,
                                uint32_t verdict,
                                struct tethered_slice principal);

/**
 * What is known of an action besides.
 *
 * details: that member of the action. out: where it is put; size: sizeof *out as you know it. What it points to is lent
 * as long as the action.
 *
 * Gives TETHERED_STALE if there is no such action among those of the last poll; fails with TETHERED_E_ARGUMENT. *out is
 * then left as it was.
 */
tethered_status tethered_details(const struct tethered_hub *hub,
                                 uint64_t details,
                                 struct tethered_request *out,
                                 size_t size);

/**
 * Sends a message to a client of a raw endpoint (the id of a TETHERED_DELIVER or TETHERED_JOINED).
 *
 * flags: TETHERED_TEXT or TETHERED_BINARY, such as the flags of that TETHERED_DELIVER.
 * data: copied; it may be what an action lends. As text it has to be UTF-8.
 *
 * Gives TETHERED_PRESSURE if more than half of what may wait for this client does, and TETHERED_STALE if it is gone. Fails
 * with TETHERED_E_ARGUMENT and TETHERED_E_MEMORY. A client that reads too slowly is closed, by actions.
 */
tethered_status tethered_send(struct tethered_hub *hub,
                              struct tethered_now now,
                              uint64_t client,
                              uint32_t flags,
                              struct tethered_slice data);

/**
 * Sends a STOMP MESSAGE to all who subscribed to a destination, here and, through TETHERED_RELAY, at other hubs.
 *
 * destination: such as "/topic/news"; or, where user is not empty, a destination of that user's without its /user, such as
 * "/queue/messages".
 * headers: n_headers further headers, not escaped; content-type may be among them: with application/octet-stream, or
 * where the body is not UTF-8, it travels as a binary message. Those that belong to the server are left out.
 * All arguments are copied, and may be what an action lends.
 * receivers: where it is put how many subscribers there are here (0 while it waits behind a wide fan-out). It may be NULL.
 *
 * Fails with TETHERED_E_ARGUMENT and TETHERED_E_MEMORY.
 */
tethered_status tethered_publish(struct tethered_hub *hub,
                                 struct tethered_now now,
                                 struct tethered_slice user,
                                 struct tethered_slice destination,
                                 const struct tethered_header *headers,
                                 size_t n_headers,
                                 struct tethered_slice body,
                                 uint64_t *receivers);

/**
 * Answers a STOMP SUBSCRIBE to a destination of the application (a TETHERED_DELIVER with TETHERED_SUBSCRIBE) with one
 * MESSAGE.
 *
 * client, subscription, destination: the id, data and name of that action. headers, body: as for tethered_publish.
 *
 * Gives TETHERED_STALE if the client is gone; fails with TETHERED_E_ARGUMENT and TETHERED_E_MEMORY.
 */
tethered_status tethered_answer(struct tethered_hub *hub,
                                struct tethered_now now,
                                uint64_t client,
                                struct tethered_slice subscription,
                                struct tethered_slice destination,
                                const struct tethered_header *headers,
                                size_t n_headers,
                                struct tethered_slice body);

/**
 * Ends clients at once: nothing more crosses, and their sockets are closed with 1008 (1001 for TETHERED_CAUSE_DRAIN).
 *
 * who_kind: one of tethered_who; who: the 8 bytes of a client's id, a session's id, or a user's name.
 * except: with TETHERED_WHO_USER, the id of a session that is kept ("log out everywhere else"); else empty.
 * cause: one of tethered_cause, to be told with TETHERED_LEFT.
 * ended: where it is put how many there were. It may be NULL.
 *
 * Fails with TETHERED_E_ARGUMENT.
 */
tethered_status tethered_end(struct tethered_hub *hub,
                             struct tethered_now now,
                             uint32_t who_kind,
                             struct tethered_slice who,
                             struct tethered_slice except,
                             uint32_t cause,
                             uint64_t *ended);

/**
 * Closes one client with a code and a reason of your own, behind what is queued for it. Its session lives on.
 *
 * code: 1000 to 4999, such as a Close frame may have; another becomes 1000. reason: UTF-8, at most 123 bytes; a longer one
 * is cut.
 *
 * Gives TETHERED_STALE if the client is gone; fails with TETHERED_E_ARGUMENT.
 */
tethered_status tethered_close_client(struct tethered_hub *hub,
                                      struct tethered_now now,
                                      uint64_t client,
                                      uint32_t code,
                                      struct tethered_slice reason);

/**
 * The server is going down: no more sockets are taken, each client gets Close 1001, requests under way are answered. Go
 * on with the loop until stats say that no socket is left, or your patience ends.
 *
 * Fails with TETHERED_E_ARGUMENT.
 */
tethered_status tethered_drain(struct tethered_hub *hub, struct tethered_now now);

/**
 * The hub's counters.
 *
 * out: where they are put; size: sizeof *out as you know it.
 *
 * Fails with TETHERED_E_ARGUMENT.
 */
tethered_status tethered_stats_get(const struct tethered_hub *hub, struct tethered_stats *out, size_t size);

/**
 * Takes the next line of the log: what was wrong with an argument, what a bug said, what an operator should know, and each
 * session with clients that ended. At most 256 wait; the oldest go first, and are counted.
 *
 * out: where it is put; size: sizeof *out as you know it. Its text is lent until the next call of this function.
 *
 * Returns 1 if there was one, else 0; after TETHERED_E_PANIC too. Fails with TETHERED_E_ARGUMENT.
 */
int32_t tethered_log_next(struct tethered_hub *hub,
                          struct tethered_log *out,
                          size_t size);

/**
 * The reply to a TETHERED_REDIS or a TETHERED_SESSION.
 *
 * call: the id of that action. An id that nothing waits for is ignored; so is every other after the first reply. That of a
 * SUBSCRIBE is given once, when all its channels are confirmed.
 * kind: one of tethered_reply_kind. value: of TETHERED_REPLY_INT, and of a TETHERED_SESSION's list.
 * items: count of them; the one of TETHERED_REPLY_BULK and TETHERED_REPLY_ERROR, all of TETHERED_REPLY_LIST, else none.
 * They are not kept.
 *
 * Whatever a store replies, this does not fail. Fails with TETHERED_E_ARGUMENT.
 */
tethered_status tethered_reply(struct tethered_hub *hub,
                               struct tethered_now now,
                               uint64_t call,
                               uint32_t kind,
                               int64_t value,
                               const struct tethered_item *items,
                               size_t count);

/**
 * A message came in on a channel that was subscribed to on TETHERED_NOTICES, as it came, in order.
 *
 * node: which node it came from; 0 where there is only one. channel, payload: not kept.
 *
 * Whatever they say, this does not fail. Fails with TETHERED_E_ARGUMENT.
 */
tethered_status tethered_notice(struct tethered_hub *hub,
                                struct tethered_now now,
                                uint32_t node,
                                struct tethered_slice channel,
                                struct tethered_slice payload);

/**
 * A connection to Redis is up, authenticated, and in the right database. Nothing was sent on it yet, and nothing will come
 * from one before it.
 *
 * connection: one of tethered_connection.
 *
 * Fails with TETHERED_E_ARGUMENT.
 */
tethered_status tethered_connected(struct tethered_hub *hub,
                                   struct tethered_now now,
                                   uint32_t connection);

/**
 * A connection to Redis is gone, or could not be made. Its open calls are answered by this: nothing more need be said of
 * them. Commands that come for it later want TETHERED_REPLY_LOST.
 *
 * connection: one of tethered_connection.
 *
 * Fails with TETHERED_E_ARGUMENT.
 */
tethered_status tethered_disconnected(struct tethered_hub *hub,
                                      struct tethered_now now,
                                      uint32_t connection);

/**
 * A store outside (TETHERED_STORE_EXTERNAL) says that something befell a session. It is checked before it is believed.
 *
 * session: its id. fate: one of tethered_fate. to: with TETHERED_FATE_RENAMED its new id; else empty.
 *
 * Fails with TETHERED_E_ARGUMENT.
 */
tethered_status tethered_session_notice(struct tethered_hub *hub,
                                        struct tethered_now now,
                                        struct tethered_slice session,
                                        uint32_t fate,
                                        struct tethered_slice to);

/**
 * The notices of a store outside come in from now on (on 1), or no longer do (0). While they do not, sessions are asked for
 * more often. A Redis is watched by the hub itself.
 *
 * Fails with TETHERED_E_ARGUMENT.
 */
tethered_status tethered_notices(struct tethered_hub *hub,
                                 struct tethered_now now,
                                 uint32_t on);

/**
 * Another hub passed something on: the data of its TETHERED_RELAY, in order. A hub's own may come back to it: they are
 * ignored. Not kept.
 *
 * Whatever it says, this does not fail. Fails with TETHERED_E_ARGUMENT and TETHERED_E_MEMORY.
 */
tethered_status tethered_relayed(struct tethered_hub *hub, struct tethered_now now, struct tethered_slice data);

/**
 * Tells the applications of all other hubs something: TETHERED_ANNOUNCED there. Only with TETHERED_CONFIG_RELAY.
 *
 * Fails with TETHERED_E_ARGUMENT and TETHERED_E_MEMORY.
 */
tethered_status tethered_announce(struct tethered_hub *hub, struct tethered_now now, struct tethered_slice data);

/**
 * Reads the head that bytes begin with.
 *
 * bytes, len: what there is. flags: one of tethered_role: who reads. out: where the head is put.
 *
 * Gives TETHERED_MORE if it is not whole yet. Fails with TETHERED_E_PROTOCOL for whatever RFC 6455 forbids in a head, and
 * TETHERED_E_ARGUMENT; *out is left as it was by all of these.
 */
tethered_status tethered_ws_parse_head(const uint8_t *bytes,
                                       size_t len,
                                       uint32_t flags,
                                       struct tethered_ws_head *out);

/**
 * Writes a head; the payload goes behind it, masked by tethered_ws_mask if the head says so.
 *
 * head: opcode, fin, masked, mask and payload_len; the rest is 0. out14: room for 14 bytes.
 *
 * Returns how many bytes were written, 2 to 14; 0 if an argument is NULL, or the head is none that may be sent.
 */
size_t tethered_ws_write_head(const struct tethered_ws_head *head, uint8_t *out14);

/**
 * Masks a payload, or unmasks it: it is the same.
 *
 * bytes, len: changed in place; (NULL, 0) is fine. key4: the 4 bytes of the key. offset: where in the payload these bytes
 * begin.
 *
 * Nothing happens if a pointer is NULL.
 */
void tethered_ws_mask(uint8_t *bytes,
                      size_t len,
                      const uint8_t *key4,
                      uint64_t offset);

/**
 * The value of Sec-WebSocket-Accept for a Sec-WebSocket-Key.
 *
 * key, len: the 24 characters of the key. out29: room for 28 characters and a NUL.
 *
 * Fails with TETHERED_E_PROTOCOL (the key is not 16 bytes in Base64) and TETHERED_E_ARGUMENT.
 */
tethered_status tethered_ws_accept_key(const char *key, size_t len, char *out29);

/**
 * Makes a decoder for one side of one connection, behind the handshake.
 *
 * role: one of tethered_role: who reads. max_message: most bytes of a message, and of a frame; 0: 65,536.
 * out: where it is put; it is yours, until you give it to tethered_ws_decoder_free.
 *
 * Fails with TETHERED_E_ARGUMENT and TETHERED_E_MEMORY; *out is then left as it was.
 */
tethered_status tethered_ws_decoder_new(uint32_t role, uint64_t max_message, struct tethered_ws_decoder **out);

/**
 * Takes the next message or control frame off bytes. Fragments are put together, text is found to be UTF-8, and Closes to
 * have a code that may be.
 *
 * bytes, len: what came, cut anywhere; changed in place (unmasked). used: where it is put how many of them were taken; go
 * on with the rest. out: where the message is put; size: sizeof *out as you know it.
 *
 * Gives TETHERED_MORE if all is used up: nothing is put at out then. Fails with TETHERED_E_PROTOCOL, for ever after the
 * first time: out then tells the code and the reason to close the connection with; TETHERED_E_ARGUMENT; and
 * TETHERED_E_MEMORY: nothing was taken then.
 */
tethered_status tethered_ws_decode(struct tethered_ws_decoder *decoder,
                                   uint8_t *bytes,
                                   size_t len,
                                   size_t *used,
                                   struct tethered_ws_message *out,
                                   size_t size);

/**
 * Frees a decoder and what it has lent. NULL is fine. The pointer must not be used again.
 */
void tethered_ws_decoder_free(struct tethered_ws_decoder *decoder);

/**
 * Makes a decoder for one side of one connection.
 *
 * role: one of tethered_role: who reads. max_frame: most bytes of a frame; 0: 65,536.
 * out: where it is put; it is yours, until you give it to tethered_stomp_decoder_free.
 *
 * Fails with TETHERED_E_ARGUMENT and TETHERED_E_MEMORY; *out is then left as it was.
 */
tethered_status tethered_stomp_decoder_new(uint32_t role, uint64_t max_frame, struct tethered_stomp_decoder **out);

/**
 * Takes the next frame or heart-beat off bytes.
 *
 * version: what was agreed upon: 10, 11 or 12; 10 until then. It holds for frames that begin in these bytes.
 * bytes, len: what came, cut anywhere. used: where it is put how many of them were taken; go on with the rest. out: where
 * the frame is put; size: sizeof *out as you know it.
 *
 * Gives TETHERED_MORE if all is used up: nothing is put at out then. Fails with TETHERED_E_PROTOCOL, for ever after the
 * first time: out then tells the message of an ERROR frame; TETHERED_E_ARGUMENT; and TETHERED_E_MEMORY: nothing was taken then.
 */
tethered_status tethered_stomp_decode(struct tethered_stomp_decoder *decoder,
                                      uint32_t version,
                                      const uint8_t *bytes,
                                      size_t len,
                                      size_t *used,
                                      struct tethered_stomp_frame *out,
                                      size_t size);

/**
 * Frees a decoder and what it has lent. NULL is fine. The pointer must not be used again.
 */
void tethered_stomp_decoder_free(struct tethered_stomp_decoder *decoder);

/**
 * Writes a frame: these headers in this order, escaped as the version does, and content-length if there is a body. A header
 * that the version has no way to write is left out.
 *
 * version: 10, 11 or 12. command: one of tethered_stomp_command. headers: n_headers of them, in UTF-8, content-length not
 * among them.
 * out, capacity: room for the frame. len: where it is put how many bytes it has.
 *
 * Gives TETHERED_MORE if the room is too small: nothing is written then, and *len is what is needed; fails with
 * TETHERED_E_ARGUMENT and TETHERED_E_MEMORY.
 */
tethered_status tethered_stomp_encode(uint32_t version,
                                      uint32_t command,
                                      const struct tethered_header *headers,
                                      size_t n_headers,
                                      struct tethered_slice body,
                                      uint8_t *out,
                                      size_t capacity,
                                      size_t *len);

/**
 * Writes a frame of a SockJS server: what goes out as a WebSocket message, or is wrapped by another transport.
 *
 * frame: one of tethered_sockjs_frame. messages: n_messages texts for TETHERED_SOCKJS_MESSAGES; the one reason for
 * TETHERED_SOCKJS_CLOSE, else none. What is not UTF-8 in them becomes U+FFFD. code: of TETHERED_SOCKJS_CLOSE.
 * out, capacity: room for the frame. len: where it is put how many bytes it has.
 *
 * Gives TETHERED_MORE if the room is too small: nothing is written then, and *len is what is needed; fails with
 * TETHERED_E_ARGUMENT and TETHERED_E_MEMORY.
 */
tethered_status tethered_sockjs_encode(uint32_t frame,
                                       const struct tethered_slice *messages,
                                       size_t n_messages,
                                       uint32_t code,
                                       uint8_t *out,
                                       size_t capacity,
                                       size_t *len);

/**
 * Reads what a SockJS client sends: an array of strings in JSON.
 *
 * bytes, len: all of it. out: room for len bytes, where the texts are put one behind the other. ends: room for capacity
 * numbers: where each text ends in out, and the next one begins. count: where it is put how many texts there are.
 *
 * Gives TETHERED_MORE if there are more than capacity: *count is what is needed. Fails with TETHERED_E_PROTOCOL (no array
 * of strings, or one with a lone surrogate), TETHERED_E_ARGUMENT and TETHERED_E_MEMORY.
 */
tethered_status tethered_sockjs_decode(const uint8_t *bytes,
                                       size_t len,
                                       uint8_t *out,
                                       size_t *ends,
                                       size_t capacity,
                                       size_t *count);

/**
 * Masks a session's CSRF token for a page, as Spring Security does (XorCsrfTokenRequestAttributeHandler): other text each
 * time. With the setting connect-csrf it is what CONNECT has to carry in X-CSRF-TOKEN.
 *
 * token: an attribute of the session, "csrf" or Spring Security's. random: as many bytes as token has, fresh from the system's
 * random source.
 * out, capacity: room for the text, which has no NUL at its end. len: where it is put how many bytes it has: about 2.7 times
 * the token's, 96 for the 36 of Spring's.
 *
 * Gives TETHERED_MORE if the room is too small: nothing is written then, and *len is what is needed; fails with
 * TETHERED_E_ARGUMENT and TETHERED_E_MEMORY.
 */
tethered_status tethered_csrf_mask(struct tethered_slice token,
                                   const uint8_t *random,
                                   char *out,
                                   size_t capacity,
                                   size_t *len);

/**
 * Whether what a form or a header carried is this token, masked. Takes as long wherever they differ. The bare token is not,
 * and nothing is a token that is empty.
 *
 * Gives TETHERED_REFUSED if it is not; fails with TETHERED_E_ARGUMENT and TETHERED_E_MEMORY.
 */
tethered_status tethered_csrf_matches(struct tethered_slice masked,
                                      struct tethered_slice token);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* TETHERED_H */
