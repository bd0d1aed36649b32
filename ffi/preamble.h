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
