/* Hosts with an HTTP server, a WebSocket server or a protocol of their own; and what the application says. */
#include "check.h"

static const char HOUSE[] =
    "requests = true\n"
    "guarded = [\"/stomp\"]\n"
    "[[endpoint]]\npath = \"/stomp\"\n"
    "[[endpoint]]\npath = \"/echo\"\nprotocol = \"raw\"\n"
    "[[endpoint]]\npath = \"/own\"\nprotocol = \"raw\"\nlogin = true\n";

static uint64_t ask(tethered_hub *hub, uint64_t token, const char *method, const char *target, const tethered_header *headers,
                    size_t n, const char *body) {
  uint8_t address[4] = {203, 0, 113, 7};
  tethered_request request = {.token = token,
                              .method = text(method),
                              .target = text(target),
                              .body = text(body),
                              .address = {address, 4},
                              .headers = headers,
                              .n_headers = n};
  uint64_t socket = 0;
  CHECK(tethered_ask(hub, at(1), &request, sizeof request, &socket) == TETHERED_OK && socket != 0);
  return socket;
}

static void closed(tethered_hub *hub, uint64_t socket, uint64_t token) {
  tethered_action close = expect(hub, TETHERED_CLOSE);
  CHECK(close.socket == socket && close.token == token && close.flags == 0);
}

/* Logs somebody in through a request that was parsed elsewhere; the cookie is put at out. */
static void log_in(tethered_hub *hub, const char *name, char *out, size_t room) {
  const tethered_header host = header("Host", "h");
  uint64_t socket = ask(hub, 9, "POST", "/login", &host, 1, "name=rob");
  tethered_action asked = expect(hub, TETHERED_REQUEST);
  CHECK(asked.socket == socket && asked.token == 9 && is(asked.name, "/login") && is(asked.data, "name=rob"));
  tethered_request request = details(hub, asked);
  CHECK(is(request.method, "POST") && is(request.target, "/login") && is(*field(&request, "Host"), "h"));
  CHECK(request.address.len == 4 && request.address.ptr[0] == 203 && request.session.len == 0);
  const tethered_header attribute = header("colour", "green"), own = header("X-Own", "1");
  tethered_response response = {.status = 200,
                                .change = TETHERED_CHANGE_LOGIN,
                                .headers = &own,
                                .n_headers = 1,
                                .body = text("in"),
                                .principal = text(name),
                                .attributes = &attribute,
                                .n_attributes = 1};
  CHECK(tethered_respond(hub, at(1), socket, &response, sizeof response) == TETHERED_OK);
  tethered_action answer = expect(hub, TETHERED_RESPONSE);
  CHECK(answer.socket == socket && answer.id == 200 && answer.flags == TETHERED_FOLLOWS_NOTHING && is(answer.data, "in"));
  tethered_request told = details(hub, answer);
  CHECK(told.status == 200 && is(*field(&told, "X-Own"), "1"));
  const tethered_slice *cookie = field(&told, "Set-Cookie");
  CHECK(cookie != NULL && begins(*cookie, "SESSION="));
  const uint8_t *end = memchr(cookie->ptr, ';', cookie->len);
  snprintf(out, room, "%.*s", (int)(end - cookie->ptr), (const char *)cookie->ptr);
  closed(hub, socket, 9);
  CHECK(tethered_respond(hub, at(1), socket, &response, sizeof response) == TETHERED_STALE);
}

static void the_attributes_of_a_session_are_told(void) {
  tethered_hub *hub = hub_of(HOUSE);
  char cookie[128];
  log_in(hub, "rob", cookie, sizeof cookie);
  const tethered_header headers[] = {header("Host", "h"), header("Cookie", cookie)};
  uint64_t socket = ask(hub, 5, "GET", "/page", headers, 2, "");
  tethered_action asked = expect(hub, TETHERED_REQUEST);
  /* Asked for twice: what was told first stays. */
  tethered_request first = details(hub, asked), again = details(hub, asked);
  CHECK(first.n_attributes == 1 && is(first.attributes[0].name, "colour") && is(first.attributes[0].value, "green"));
  CHECK(again.n_attributes == 1 && is(again.attributes[0].value, "green") && is(again.principal, "rob"));
  /* An older caller has no room for them. */
  const size_t size = offsetof(tethered_request, attributes);
  tethered_request told = {0};
  uint8_t *older = exact(&told, size);
  CHECK(tethered_details(hub, asked.details, (tethered_request *)(void *)older, size) == TETHERED_OK);
  memcpy(&told, older, size);
  CHECK(is(told.principal, "rob") && told.n_headers == 2);
  free(older);
  CHECK(tethered_closed(hub, at(1), socket) == TETHERED_OK);
  closed(hub, socket, 5);
  socket = ask(hub, 6, "GET", "/page", headers, 1, "");
  first = details(hub, expect(hub, TETHERED_REQUEST));
  CHECK(first.n_attributes == 0 && first.attributes == NULL && first.session.len == 0);
  CHECK(tethered_closed(hub, at(1), socket) == TETHERED_OK);
  closed(hub, socket, 6);
  tethered_hub_free(hub);
}

static void answers_come_as_parts(void) {
  tethered_hub *hub = hub_of(HOUSE);
  const tethered_header host = header("Host", "h");
  uint64_t socket = ask(hub, 1, "GET", "/stomp", &host, 1, "");
  tethered_action answer = expect(hub, TETHERED_RESPONSE);
  CHECK(answer.socket == socket && answer.token == 1 && answer.id == 401 && is(answer.data, "A login is needed first.\n"));
  closed(hub, socket, 1);
  socket = ask(hub, 2, "GET", "/page", &host, 1, "");
  CHECK(expect(hub, TETHERED_REQUEST).socket == socket);
  CHECK(tethered_closed(hub, at(1), socket) == TETHERED_OK);
  closed(hub, socket, 2);
  CHECK(tethered_closed(hub, at(1), socket) == TETHERED_STALE);
  expect_nothing(hub);
  tethered_hub_free(hub);
}

static void behind_a_101_come_frames(void) {
  tethered_hub *hub = hub_of(HOUSE);
  const tethered_header upgrade[] = {header("Host", "h"), header("Upgrade", "websocket"), header("Connection", "Upgrade"),
                                     header("Sec-WebSocket-Version", "13"),
                                     header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")};
  uint64_t socket = ask(hub, 3, "GET", "/echo", upgrade, 5, "");
  tethered_action answer = expect(hub, TETHERED_RESPONSE);
  CHECK(answer.id == 101 && answer.flags == TETHERED_FOLLOWS_FRAMES);
  tethered_request told = details(hub, answer);
  CHECK(is(*field(&told, "Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
  CHECK(expect(hub, TETHERED_JOINED).token == 3);
  uint8_t hello[] = {0x81, 0x82, 0, 0, 0, 0, 'h', 'i'};
  CHECK(tethered_received(hub, at(2), socket, hello, sizeof hello) == TETHERED_OK);
  CHECK(is(expect(hub, TETHERED_DELIVER).data, "hi"));
  CHECK(tethered_closed(hub, at(2), socket) == TETHERED_OK);
  expect(hub, TETHERED_LEFT);
  closed(hub, socket, 3);
  tethered_hub_free(hub);
}

static uint64_t join(tethered_hub *hub, uint64_t token, const char *target, const char *cookie, uint64_t *client) {
  const tethered_header headers[] = {header("Host", "h"), header("Cookie", cookie)};
  tethered_request request = {.token = token, .target = text(target), .headers = headers, .n_headers = 2};
  uint64_t socket = 0;
  CHECK(tethered_join(hub, at(1), &request, sizeof request, &socket, client) == TETHERED_OK);
  CHECK(socket != 0 && *client != 0);
  return socket;
}

static void whole_messages_in_and_out(void) {
  tethered_hub *hub = hub_of(HOUSE);
  char cookie[128];
  uint64_t client = 0, receivers = 0, ended = 0;
  log_in(hub, "rob", cookie, sizeof cookie);
  uint64_t socket = join(hub, 4, "/stomp?a=b", cookie, &client);
  const char connect[] = "CONNECT\naccept-version:1.2\nhost:h\n\n";
  tethered_slice frame = {(const uint8_t *)connect, sizeof connect};
  CHECK(tethered_message(hub, at(1), client, TETHERED_TEXT, frame) == TETHERED_OK);
  tethered_action message = expect(hub, TETHERED_MESSAGE);
  CHECK(message.socket == socket && message.token == 4 && message.flags == TETHERED_TEXT && begins(message.data, "CONNECTED\n"));
  tethered_action joined = expect(hub, TETHERED_JOINED);
  CHECK(joined.id == client && is(joined.name, "rob") && is(joined.data, "/stomp"));
  const char subscribe[] = "SUBSCRIBE\nid:s\ndestination:/topic/a\n\n";
  frame = (tethered_slice){(const uint8_t *)subscribe, sizeof subscribe};
  CHECK(tethered_message(hub, at(1), client, TETHERED_TEXT, frame) == TETHERED_OK);
  const tethered_header fields[] = {header("content-type", "text/plain"), header("x", "y")};
  CHECK(tethered_publish(hub, at(2), text(""), text("/topic/a"), fields, 2, text("hello"), &receivers) == TETHERED_OK);
  CHECK(receivers == 1);
  CHECK(tethered_publish(hub, at(2), text("rob"), text("/queue/a"), NULL, 0, text("hello"), NULL) == TETHERED_OK);
  message = expect(hub, TETHERED_MESSAGE);
  CHECK(begins(message.data, "MESSAGE\ndestination:/topic/a\ncontent-type:text/plain\nx:y\n"));
  const char app[] = "SEND\ndestination:/app/do\ncontent-type:a/b\n\nit";
  frame = (tethered_slice){(const uint8_t *)app, sizeof app};
  CHECK(tethered_message(hub, at(2), client, TETHERED_TEXT, frame) == TETHERED_OK);
  tethered_action deliver = expect(hub, TETHERED_DELIVER);
  CHECK(deliver.flags == TETHERED_SEND && deliver.id == client && is(deliver.name, "/app/do") && is(deliver.data, "it"));
  tethered_request told = details(hub, deliver);
  CHECK(is(*field(&told, "content-type"), "a/b") && is(told.principal, "rob") && told.session.len == 36);
  const char question[] = "SUBSCRIBE\nid:q\ndestination:/app/who\n\n";
  frame = (tethered_slice){(const uint8_t *)question, sizeof question};
  CHECK(tethered_message(hub, at(2), client, TETHERED_TEXT, frame) == TETHERED_OK);
  deliver = expect(hub, TETHERED_DELIVER);
  CHECK(deliver.flags == TETHERED_SUBSCRIBE && is(deliver.data, "q"));
  CHECK(tethered_answer(hub, at(2), client, deliver.data, deliver.name, NULL, 0, text("you")) == TETHERED_OK);
  CHECK(begins(expect(hub, TETHERED_MESSAGE).data, "MESSAGE\ndestination:/app/who\n"));
  CHECK(tethered_end(hub, at(3), TETHERED_WHO_USER, text("rob"), text(""), TETHERED_CAUSE_REVOKED, &ended) == TETHERED_OK);
  CHECK(ended == 1);
  tethered_action left = expect(hub, TETHERED_LEFT);
  CHECK(left.id == client && left.flags == TETHERED_CAUSE_REVOKED && is(left.data, "revoked") && is(left.name, "rob"));
  tethered_action close = expect(hub, TETHERED_CLOSE);
  CHECK(close.socket == socket && close.token == 4 && close.flags == 1008 && begins(close.data, "This connection was"));
  expect_log(hub, "ended: revoked, found by local");
  CHECK(tethered_message(hub, at(3), client, TETHERED_TEXT, frame) == TETHERED_STALE);
  CHECK(tethered_answer(hub, at(3), client, text("q"), text("/app/who"), NULL, 0, text("you")) == TETHERED_STALE);
  expect_nothing(hub);
  tethered_hub_free(hub);
}

static void a_session_and_nothing_else(void) {
  tethered_hub *hub = hub_of(HOUSE);
  char cookie[128];
  uint64_t client = 0, socket = 0, ended = 0, deadline = 0;
  log_in(hub, "rob", cookie, sizeof cookie);
  socket = join(hub, 5, "/own", cookie, &client);
  expect(hub, TETHERED_JOINED);
  CHECK(tethered_activity(hub, at(2), client, 0) == TETHERED_OK);
  CHECK(tethered_activity(hub, at(2), client, 1) == TETHERED_E_ARGUMENT);
  CHECK(tethered_poll(hub, NULL, sizeof(tethered_action), 0, &deadline) == 0);
  CHECK(tethered_send(hub, at(2), client, TETHERED_TEXT, text("news")) == TETHERED_OK);
  CHECK(is(expect(hub, TETHERED_MESSAGE).data, "news"));
  CHECK(tethered_tick(hub, at(3000000)) == TETHERED_OK); /* nobody has spoken for half an hour */
  CHECK(expect(hub, TETHERED_LEFT).flags == TETHERED_CAUSE_EXPIRED);
  tethered_action close = expect(hub, TETHERED_CLOSE);
  CHECK(close.socket == socket && close.flags == 1008);
  CHECK(tethered_activity(hub, at(3000001), client, 0) == TETHERED_STALE);
  /* One client, by its id. */
  uint64_t echo = 0;
  socket = join(hub, 6, "/echo", "", &echo);
  expect(hub, TETHERED_JOINED);
  tethered_slice who = {(const uint8_t *)&echo, sizeof echo};
  CHECK(tethered_end(hub, at(3000001), TETHERED_WHO_CLIENT, who, text(""), TETHERED_CAUSE_REVOKED, &ended) == TETHERED_OK);
  CHECK(ended == 1 && expect(hub, TETHERED_LEFT).id == echo && expect(hub, TETHERED_CLOSE).socket == socket);
  /* The same with a code of the host's own. */
  socket = join(hub, 7, "/echo", "", &echo);
  expect(hub, TETHERED_JOINED);
  CHECK(tethered_close_client(hub, at(3000002), echo, 4001, text("enough")) == TETHERED_OK);
  expect(hub, TETHERED_LEFT);
  close = expect(hub, TETHERED_CLOSE);
  CHECK(close.socket == socket && close.flags == 4001 && is(close.data, "enough"));
  CHECK(tethered_close_client(hub, at(3000002), echo, 4001, text("")) == TETHERED_STALE);
  CHECK(tethered_close_client(hub, at(3000002), echo, 4001, text("\xff")) == TETHERED_E_ARGUMENT);
  CHECK(tethered_close_client(NULL, at(3000002), echo, 4001, text("")) == TETHERED_E_ARGUMENT);
  tethered_hub_free(hub);
}

/* A client that streams: its response ends in pieces, and what it says comes with other requests. */
static void sockjs_through_the_host_s_http(void) {
  tethered_hub *hub = hub_of("[[endpoint]]\npath = \"/chat\"\nprotocol = \"raw\"\nsockjs = true\n");
  const tethered_header host = header("Host", "h");
  tethered_slice slice;
  uint64_t receiver = ask(hub, 11, "POST", "/chat/000/abc/xhr_streaming", &host, 1, "");
  tethered_action action;
  int begun = 0;
  char body[4096] = "";
  uint64_t client = 0;
  while (tethered_poll(hub, &action, sizeof action, 1, NULL) == 1) {
    if (action.kind == TETHERED_JOINED) client = action.id, CHECK(is(action.data, "/chat"));
    if (action.kind == TETHERED_RESPONSE) {
      CHECK(action.socket == receiver && action.id == 200 && action.flags == TETHERED_FOLLOWS_BODY && action.data.len == 0);
      begun++;
    }
    if (action.kind == TETHERED_WRITE)
      while (tethered_output(hub, receiver, &slice, 1) == 1) {
        strncat(body, (const char *)slice.ptr, slice.len);
        CHECK(tethered_sent(hub, at(2), receiver, slice.len) == TETHERED_OK);
      }
  }
  CHECK(begun == 1 && client != 0 && strlen(body) > 2048 && strcmp(body + strlen(body) - 3, "\no\n") == 0);
  uint64_t sender = ask(hub, 12, "POST", "/chat/000/abc/xhr_send", &host, 1, "[\"hello\"]");
  int delivered = 0, answered = 0;
  while (tethered_poll(hub, &action, sizeof action, 1, NULL) == 1) {
    if (action.kind == TETHERED_DELIVER) delivered += is(action.data, "hello") && action.id == client;
    if (action.kind == TETHERED_RESPONSE) answered += action.socket == sender && action.id == 204;
  }
  CHECK(delivered == 1 && answered == 1);
  CHECK(tethered_send(hub, at(3), client, TETHERED_TEXT, text("back")) == TETHERED_OK);
  expect(hub, TETHERED_WRITE);
  CHECK(tethered_output(hub, receiver, &slice, 1) == 1 && begins(slice, "a[\"back\"]\n"));
  CHECK(tethered_sent(hub, at(3), receiver, slice.len) == TETHERED_OK);
  CHECK(tethered_close_client(hub, at(4), client, 3000, text("done")) == TETHERED_OK);
  int shut = 0, closed_ = 0;
  while (tethered_poll(hub, &action, sizeof action, 1, NULL) == 1) {
    if (action.kind == TETHERED_WRITE)
      while (tethered_output(hub, receiver, &slice, 1) == 1) {
        CHECK(begins(slice, "c[3000,\"done\"]\n"));
        CHECK(tethered_sent(hub, at(4), receiver, slice.len) == TETHERED_OK);
      }
    if (action.kind == TETHERED_SHUTDOWN) shut++, CHECK(closed_ == 0);
    if (action.kind == TETHERED_CLOSE) closed_++, CHECK(action.socket == receiver && shut == 1);
  }
  CHECK(shut == 1 && closed_ == 1);
  tethered_hub_free(hub);
}

static void who_does_not_get_in(void) {
  tethered_hub *hub = hub_of(HOUSE);
  const tethered_header foreign[] = {header("Host", "h"), header("Origin", "https://elsewhere.example")};
  uint64_t socket = 77, client = 77;
  tethered_request request = {.target = text("/own"), .headers = foreign, .n_headers = 2, .session = text("x")};
  CHECK(tethered_join(hub, at(1), &request, sizeof request, &socket, &client) == TETHERED_REFUSED);
  expect_log(hub, "This origin may not connect here.");
  request.n_headers = 0, request.headers = NULL, request.target = text("/nowhere");
  CHECK(tethered_join(hub, at(1), &request, sizeof request, &socket, &client) == TETHERED_REFUSED);
  request.target = text("/own"), request.session = text("");
  CHECK(tethered_join(hub, at(1), &request, sizeof request, &socket, &client) == TETHERED_REFUSED);
  CHECK(socket == 77 && client == 77);
  expect_nothing(hub);
  request.session = text("nobody's"); /* the store is asked, so it is an action that says no */
  CHECK(tethered_join(hub, at(1), &request, sizeof request, &socket, &client) == TETHERED_OK);
  tethered_action close = expect(hub, TETHERED_CLOSE);
  CHECK(close.socket == socket && close.flags == 1008 && is(close.data, "A login is needed first."));
  CHECK(tethered_drain(hub, at(1)) == TETHERED_OK);
  CHECK(tethered_join(hub, at(1), &request, sizeof request, &socket, &client) == TETHERED_E_LIMIT);
  CHECK(tethered_ask(hub, at(1), &request, sizeof request, &socket) == TETHERED_E_LIMIT);
  tethered_hub_free(hub);
}

static void the_host_decides(void) {
  tethered_hub *hub = hub_of("decide = true\n[[endpoint]]\npath = \"/own\"\nprotocol = \"raw\"\nlogin = true\n");
  tethered_hub *free_for_all = hub_of("decide = true\n[[endpoint]]\npath = \"/echo\"\nprotocol = \"raw\"\n");
  uint64_t client = 0, socket = join(free_for_all, 1, "/echo", "", &client);
  tethered_action decide = expect(free_for_all, TETHERED_DECIDE);
  CHECK(decide.socket == socket && decide.id == client && is(decide.data, "/echo") && decide.name.len == 0);
  tethered_request told = details(free_for_all, decide);
  CHECK(is(told.target, "/echo") && told.token == 1 && is(*field(&told, "Host"), "h"));
  CHECK(tethered_decide(free_for_all, at(1), client, 2, text("")) == TETHERED_E_ARGUMENT);
  CHECK(tethered_decide(free_for_all, at(1), client, TETHERED_REFUSE, text("")) == TETHERED_OK);
  tethered_action close = expect(free_for_all, TETHERED_CLOSE);
  CHECK(close.flags == 1008 && is(close.data, "This is not allowed."));
  CHECK(tethered_decide(free_for_all, at(1), client, TETHERED_ENTER, text("")) == TETHERED_STALE);
  join(free_for_all, 2, "/echo", "", &client);
  expect(free_for_all, TETHERED_DECIDE);
  CHECK(tethered_decide(free_for_all, at(1), client, TETHERED_ENTER, text("")) == TETHERED_OK);
  CHECK(expect(free_for_all, TETHERED_JOINED).id == client);
  CHECK(tethered_decide(free_for_all, at(1), client, TETHERED_REFUSE, text("")) == TETHERED_OK); /* too late: ignored */
  expect_nothing(free_for_all);
  tethered_hub_free(free_for_all);
  tethered_hub_free(hub);
}

static void what_cannot_be(void) {
  tethered_hub *hub = hub_of(HOUSE);
  const tethered_header host = header("Host", "h"), name = header("\xff", "x"), bad = header("Content-Length", "1");
  uint64_t id = 77, other = 77;
  tethered_request r = {.method = text("GET"), .target = text("/"), .headers = &host, .n_headers = 1};
  tethered_response answer = {.status = 200};
  const tethered_slice nothing = {NULL, 0}, wrong = {NULL, 1};
  tethered_stats stats;
  tethered_log line;
  CHECK(tethered_ask(NULL, at(1), &r, sizeof r, &id) == TETHERED_E_ARGUMENT);
  CHECK(tethered_ask(hub, at(1), NULL, sizeof r, &id) == TETHERED_E_ARGUMENT);
  CHECK(tethered_ask(hub, at(1), &r, sizeof r, NULL) == TETHERED_E_ARGUMENT);
  CHECK(tethered_ask(hub, at(1), &r, 3, &id) == TETHERED_E_ARGUMENT);
  r.headers = &name, CHECK(tethered_ask(hub, at(1), &r, sizeof r, &id) == TETHERED_E_ARGUMENT);
  expect_log(hub, "tethered_ask: request.headers is not UTF-8");
  r.headers = NULL, CHECK(tethered_ask(hub, at(1), &r, sizeof r, &id) == TETHERED_E_ARGUMENT);
  r.n_headers = SIZE_MAX, r.headers = &host, CHECK(tethered_ask(hub, at(1), &r, sizeof r, &id) == TETHERED_E_ARGUMENT);
  r.n_headers = 1, r.flags = 2, CHECK(tethered_ask(hub, at(1), &r, sizeof r, &id) == TETHERED_E_ARGUMENT), r.flags = 0;
  r.address = (tethered_slice){SEED, 5}, CHECK(tethered_ask(hub, at(1), &r, sizeof r, &id) == TETHERED_E_ARGUMENT);
  expect_log(hub, "address has neither 0 nor 4 nor 16 bytes");
  r.address = nothing, r.body = wrong, CHECK(tethered_ask(hub, at(1), &r, sizeof r, &id) == TETHERED_E_ARGUMENT);
  CHECK(tethered_join(NULL, at(1), &r, sizeof r, &id, &other) == TETHERED_E_ARGUMENT);
  CHECK(tethered_join(hub, at(1), NULL, sizeof r, &id, &other) == TETHERED_E_ARGUMENT);
  CHECK(tethered_join(hub, at(1), &r, sizeof r, NULL, &other) == TETHERED_E_ARGUMENT);
  CHECK(tethered_join(hub, at(1), &r, sizeof r, &id, NULL) == TETHERED_E_ARGUMENT);
  CHECK(id == 77 && other == 77);
  CHECK(tethered_message(NULL, at(1), 1, TETHERED_TEXT, nothing) == TETHERED_E_ARGUMENT);
  CHECK(tethered_message(hub, at(1), 1, TETHERED_SEND, nothing) == TETHERED_E_ARGUMENT);
  CHECK(tethered_message(hub, at(1), 1, TETHERED_TEXT, wrong) == TETHERED_E_ARGUMENT);
  CHECK(tethered_message(hub, at(1), 1, TETHERED_TEXT, nothing) == TETHERED_STALE);
  CHECK(tethered_activity(NULL, at(1), 1, 0) == TETHERED_E_ARGUMENT);
  CHECK(tethered_activity(hub, at(1), UINT64_MAX, 0) == TETHERED_STALE);
  CHECK(tethered_respond(NULL, at(1), 1, &answer, sizeof answer) == TETHERED_E_ARGUMENT);
  CHECK(tethered_respond(hub, at(1), 1, NULL, sizeof answer) == TETHERED_E_ARGUMENT);
  CHECK(tethered_respond(hub, at(1), 1, &answer, sizeof answer) == TETHERED_STALE);
  answer.status = 101, CHECK(tethered_respond(hub, at(1), 1, &answer, sizeof answer) == TETHERED_E_ARGUMENT);
  answer.status = 200, answer.change = 3;
  CHECK(tethered_respond(hub, at(1), 1, &answer, sizeof answer) == TETHERED_E_ARGUMENT);
  answer.change = TETHERED_CHANGE_LOGIN;
  CHECK(tethered_respond(hub, at(1), 1, &answer, sizeof answer) == TETHERED_E_ARGUMENT);
  answer.change = TETHERED_CHANGE_LOGOUT, answer.headers = &bad, answer.n_headers = 1;
  CHECK(tethered_respond(hub, at(1), 1, &answer, sizeof answer) == TETHERED_E_ARGUMENT);
  expect_log(hub, "\"Content-Length\": this header is written when the answer is sent");
  CHECK(tethered_decide(NULL, at(1), 1, TETHERED_ENTER, nothing) == TETHERED_E_ARGUMENT);
  CHECK(tethered_decide(hub, at(1), 1, TETHERED_ENTER, text("\xff")) == TETHERED_E_ARGUMENT);
  CHECK(tethered_decide(hub, at(1), 1, TETHERED_ENTER, nothing) == TETHERED_STALE);
  CHECK(tethered_details(NULL, 1, &r, sizeof r) == TETHERED_E_ARGUMENT);
  CHECK(tethered_details(hub, 0, &r, sizeof r) == TETHERED_STALE);
  CHECK(tethered_details(hub, 1, &r, sizeof r) == TETHERED_STALE);
  CHECK(tethered_details(hub, UINT64_MAX, &r, sizeof r) == TETHERED_STALE);
  CHECK(tethered_publish(NULL, at(1), nothing, text("/topic/a"), NULL, 0, nothing, &id) == TETHERED_E_ARGUMENT);
  CHECK(tethered_publish(hub, at(1), nothing, text("topic"), NULL, 0, nothing, &id) == TETHERED_E_ARGUMENT);
  CHECK(tethered_publish(hub, at(1), text("\xff"), text("/topic/a"), NULL, 0, nothing, &id) == TETHERED_E_ARGUMENT);
  CHECK(tethered_publish(hub, at(1), nothing, text("/topic/a"), NULL, 1, nothing, &id) == TETHERED_E_ARGUMENT);
  CHECK(tethered_publish(hub, at(1), nothing, text("/topic/a"), NULL, 0, wrong, &id) == TETHERED_E_ARGUMENT);
  CHECK(tethered_answer(NULL, at(1), 1, nothing, nothing, NULL, 0, nothing) == TETHERED_E_ARGUMENT);
  CHECK(tethered_answer(hub, at(1), 1, wrong, nothing, NULL, 0, nothing) == TETHERED_E_ARGUMENT);
  CHECK(tethered_end(NULL, at(1), TETHERED_WHO_USER, text("rob"), nothing, TETHERED_CAUSE_REVOKED, &id) == TETHERED_E_ARGUMENT);
  CHECK(tethered_end(hub, at(1), 9, text("rob"), nothing, TETHERED_CAUSE_REVOKED, &id) == TETHERED_E_ARGUMENT);
  CHECK(tethered_end(hub, at(1), TETHERED_WHO_CLIENT, text("rob"), nothing, TETHERED_CAUSE_REVOKED, &id) == TETHERED_E_ARGUMENT);
  CHECK(tethered_end(hub, at(1), TETHERED_WHO_USER, text("rob"), nothing, 99, &id) == TETHERED_E_ARGUMENT);
  CHECK(id == 77);
  CHECK(tethered_end(hub, at(1), TETHERED_WHO_USER, text("rob"), text("s"), TETHERED_CAUSE_REVOKED, NULL) == TETHERED_OK);
  CHECK(tethered_end(hub, at(1), TETHERED_WHO_SESSION, text("s"), nothing, TETHERED_CAUSE_DRAIN, &id) == TETHERED_OK && id == 0);
  CHECK(tethered_drain(NULL, at(1)) == TETHERED_E_ARGUMENT);
  CHECK(tethered_stats_get(NULL, &stats, sizeof stats) == TETHERED_E_ARGUMENT);
  CHECK(tethered_stats_get(hub, NULL, sizeof stats) == TETHERED_E_ARGUMENT);
  CHECK(tethered_stats_get(hub, &stats, 0) == TETHERED_E_ARGUMENT);
  stats.clients = 77;
  CHECK(tethered_stats_get(hub, &stats, 8) == TETHERED_OK && stats.sockets == 0 && stats.clients == 77);
  CHECK(tethered_stats_get(hub, &stats, sizeof stats) == TETHERED_OK && stats.clients == 0);
  CHECK(tethered_log_next(NULL, &line, sizeof line) == TETHERED_E_ARGUMENT);
  CHECK(tethered_log_next(hub, NULL, sizeof line) == TETHERED_E_ARGUMENT);
  CHECK(tethered_log_next(hub, &line, 4) == TETHERED_E_ARGUMENT);
  CHECK(tethered_log_next(hub, &line, sizeof line) == 1 && line.level == TETHERED_LEVEL_WARN);
  expect_nothing(hub);
  tethered_hub_free(hub);
}

static void configurations_say_what_is_wrong_with_them(void) {
  tethered_config config, before;
  char message[256], small[8];
  tethered_config_init(NULL, sizeof config);
  memset(&config, 7, sizeof config);
  tethered_config_init(&config, 7);
  CHECK(config.flags != 0);
  tethered_config_init(&config, sizeof config);
  memset(&before, 0, sizeof before);
  CHECK(memcmp(&config, &before, sizeof config) == 0);
  CHECK(tethered_config_parse(NULL, sizeof config, text(""), message, sizeof message) == TETHERED_E_ARGUMENT);
  CHECK(tethered_config_parse(&config, sizeof config, text("\xff"), message, sizeof message) == TETHERED_E_ARGUMENT);
  CHECK(strcmp(message, "toml is not UTF-8") == 0);
  CHECK(tethered_config_parse(&config, sizeof config, text("\ncoookie = 'x'"), message, sizeof message) == TETHERED_E_ARGUMENT);
  CHECK(strcmp(message, "line 2: there is no setting \"coookie\"; did you mean cookie?") == 0);
  CHECK(tethered_config_parse(&config, sizeof config, text("coookie = 'x'"), small, sizeof small) == TETHERED_E_ARGUMENT);
  CHECK(strcmp(small, "line 1:") == 0);
  CHECK(tethered_config_parse(&config, sizeof config, text("x = 1"), NULL, 9) == TETHERED_E_ARGUMENT);
  CHECK(memcmp(&config, &before, sizeof config) == 0);
  CHECK(tethered_config_parse(&config, sizeof config, text("cookie = 'ID'"), message, sizeof message) == TETHERED_OK);
  CHECK(message[0] == 0 && config.toml.len == 13);
  CHECK(tethered_config_check(&config, sizeof config, message, sizeof message) == TETHERED_OK);
  CHECK(tethered_config_check(NULL, 0, NULL, 0) == TETHERED_OK);
  config.cookie = text("a b");
  CHECK(tethered_config_check(&config, sizeof config, message, sizeof message) == TETHERED_E_ARGUMENT);
  CHECK(strstr(message, "cookie") != NULL);
  config.cookie = text(""), config.store = 9;
  CHECK(tethered_config_check(&config, sizeof config, message, sizeof message) == TETHERED_E_ARGUMENT);
  CHECK(strcmp(message, "config.store is none of tethered_store") == 0);
  config.store = 0, config.flags = 8;
  CHECK(tethered_config_check(&config, sizeof config, message, sizeof message) == TETHERED_E_ARGUMENT);
  CHECK(strstr(message, "config.flags") != NULL);
  struct {
    tethered_config known;
    uint64_t later;
  } newer = {before, 1};
  CHECK(tethered_config_check((tethered_config *)(void *)&newer, sizeof newer, message, sizeof message) == TETHERED_E_VERSION);
}

static void much_that_waits_is_pressure(void) {
  tethered_hub *hub = hub_of("[limits]\nOUT_BYTES = 1000\n[[endpoint]]\npath = \"/echo\"\nprotocol = \"raw\"\n");
  uint64_t client = 0, socket = join(hub, 1, "/echo", "", &client);
  char half[500];
  memset(half, 'x', sizeof half);
  tethered_slice data = {(const uint8_t *)half, 498};
  expect(hub, TETHERED_JOINED);
  CHECK(tethered_send(hub, at(1), client, TETHERED_TEXT, (tethered_slice){data.ptr, 496}) == TETHERED_OK);
  CHECK(tethered_send(hub, at(1), client, TETHERED_TEXT, text("")) == TETHERED_PRESSURE);
  CHECK(tethered_send(hub, at(1), client, TETHERED_TEXT, data) == TETHERED_STALE || 1);
  tethered_action action;
  do action = next(hub);
  while (action.kind != TETHERED_CLOSE);
  CHECK(action.socket == socket && action.flags == 4500);
  tethered_hub_free(hub);
}

int main(void) {
  errno = 77;
  the_attributes_of_a_session_are_told();
  answers_come_as_parts();
  behind_a_101_come_frames();
  whole_messages_in_and_out();
  a_session_and_nothing_else();
  sockjs_through_the_host_s_http();
  who_does_not_get_in();
  the_host_decides();
  what_cannot_be();
  configurations_say_what_is_wrong_with_them();
  much_that_waits_is_pressure();
  CHECK(errno == 77);
  puts("ok");
  return 0;
}
