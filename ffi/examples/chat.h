/* The chat of the examples epoll_hiredis and libuv: what it hears from the hub, whatever the loop. */
#ifndef CHAT_H
#define CHAT_H

#include "tethered.h"

/* The attribute in which Spring Security keeps a session's CSRF token. */
#define SPRING_CSRF "org.springframework.security.web.csrf.HttpSessionCsrfTokenRepository.CSRF_TOKEN"

/* Handles the actions that are for an application: requests, comings and goings, messages. Others it leaves alone. */
void chat_act(tethered_hub *hub, tethered_now now, const tethered_action *action);

/* What the chat does by itself: tells the other nodes who is there, and forgets nodes that are gone. Returns when it has to be
 * called again (mono_ms). Who has one node only need not. */
uint64_t chat_beat(tethered_hub *hub, tethered_now now);

#endif
