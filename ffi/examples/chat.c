/* A chat: who is there, who said what to whom, and a login. All state is in memory, the sessions where the hub has them.
 *
 * A node tells the others each coming and going at once, and every ten seconds all who are there, which makes up for what was
 * lost on the way. Who is not heard for 35 seconds is taken for gone.
 *
 * Forms are taken from pages of this server only: browsers say where a POST comes from, and a form has to repeat what a
 * cookie of this server says, which a page of elsewhere cannot read. Nothing need be kept for that, so it does not matter
 * which node shows the form and which one takes it. */
#define _GNU_SOURCE
#include "chat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum { BODY = 1 << 17, NAME = 256, MOST_PRESENT = 1024, TOKEN = 32, HERE = 0, MOST_NODES = 257, BEAT_MS = 10000, GONE_MS = 35000 };

static struct node { char name[NAME]; size_t len; uint64_t heard_ms; } nodes[MOST_NODES]; /* the first is this one */
static struct present { char name[NAME]; size_t len, connections, node; } present[MOST_PRESENT];
static size_t n_nodes = 1, n_present;
static uint64_t next_beat_ms;

static const char *const users[][2] = {{"rob", "password"}, {"luke", "password"}};

static tethered_slice slice(const char *text) { return (tethered_slice){(const uint8_t *)text, strlen(text)}; }
static int is(tethered_slice slice, const char *text) {
  return slice.len == strlen(text) && memcmp(slice.ptr, text, slice.len) == 0;
}
static int same(tethered_slice a, tethered_slice b) { return a.len == b.len && (!a.len || !memcmp(a.ptr, b.ptr, a.len)); }

static const tethered_slice *header(const tethered_request *request, const char *name) {
  for (size_t i = 0; i < request->n_headers; i++) {
    const tethered_header *h = &request->headers[i];
    if (h->name.len == strlen(name) && strncasecmp((const char *)h->name.ptr, name, h->name.len) == 0) return &h->value;
  }
  return NULL;
}

/* Texts as a JSON array, which SockJS frames are but for their first byte. */
static tethered_slice json_array(const tethered_slice *texts, size_t count, uint8_t *out, size_t capacity) {
  size_t len = 0;
  if (count == 0) return slice("[]");
  if (tethered_sockjs_encode(TETHERED_SOCKJS_MESSAGES, texts, count, 0, out, capacity, &len)) return slice("[]");
  return (tethered_slice){out + 1, len - 1};
}

/* Past one JSON value that begins at p; NULL if it does not end. Strings are checked by who reads them. */
static const uint8_t *past(const uint8_t *p, const uint8_t *end) {
  size_t depth = 0;
  for (; p < end; p++) {
    if (*p == '"') {
      for (p++; p < end && *p != '"'; p++) p += *p == '\\';
      if (p >= end) return NULL;
      if (!depth) return p + 1;
    } else if (*p == '{' || *p == '[') {
      depth++;
    } else if (*p == '}' || *p == ']') {
      if (!depth) return p;
      if (!--depth) return p + 1;
    } else if (!depth && (*p == ',' || *p == ':')) {
      return p;
    }
  }
  return NULL;
}

static const uint8_t *space(const uint8_t *p, const uint8_t *end) {
  while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')) p++;
  return p;
}

/* The text of a JSON string, put at out, which has room for as many bytes. 0: it is none. */
static int json_string(tethered_slice value, uint8_t *out, tethered_slice *text) {
  static uint8_t one[BODY + 2];
  size_t end = 0, count = 0;
  if (value.len > BODY || *value.ptr != '"') return 0;
  one[0] = '[', memcpy(one + 1, value.ptr, value.len), one[value.len + 1] = ']';
  if (tethered_sockjs_decode(one, value.len + 2, out, &end, 1, &count) || count != 1) return 0;
  *text = (tethered_slice){out, end};
  return 1;
}

/* The first or next member of the JSON object that is left: its name, in quotes, and its value. 0: there are no more; negative: it
 * is no object. */
static int member(tethered_slice *left, int first, tethered_slice *name, tethered_slice *value) {
  const uint8_t *end = left->ptr + left->len, *p = space(left->ptr, end), *behind;
  int more = p < end && *p == (first ? '{' : ',');
  if (more) p = space(p + 1, end);
  if ((first ? more : p < end) && p < end && *p == '}') return space(p + 1, end) == end ? 0 : -1;
  if (!more || p >= end || *p != '"' || !(behind = past(p, end))) return -1;
  *name = (tethered_slice){p, (size_t)(behind - p)};
  if ((p = space(behind, end)) >= end || *p != ':') return -1;
  p = space(p + 1, end), behind = past(p, end);
  if (!behind || behind == p) return -1;
  *value = (tethered_slice){p, (size_t)(behind - p)};
  *left = (tethered_slice){behind, (size_t)(end - behind)};
  return 1;
}

/* The text of a string member of a JSON object, put at out, which has room for the object's length. 0: there is none. */
static int json_text(tethered_slice object, const char *key, uint8_t *out, tethered_slice *text) {
  tethered_slice left = object, name, value;
  int found = 0, more;
  for (int first = 1; (more = member(&left, first, &name, &value)) > 0; first = 0)
    if (name.len == strlen(key) + 2 && !memcmp(name.ptr + 1, key, strlen(key))) {
      if (!json_string(value, out, text)) return 0;
      found = 1;
    }
  return !more && found;
}

static const tethered_header json = {{(const uint8_t *)"content-type", 12}, {(const uint8_t *)"application/json", 16}};

static int is_json(const tethered_slice *type) {
  return !type || (type->len >= 16 && !strncasecmp((const char *)type->ptr, "application/json", 16));
}

static void instant_message(tethered_hub *hub, tethered_now now, tethered_slice body, tethered_slice from) {
  static uint8_t to_room[BODY], message_room[BODY], raw[4][6 * BODY + 8];
  static char out[13 * BODY];
  tethered_slice to, message, quoted[4];
  char created[64], stamp[32];
  time_t seconds = (time_t)(now.wall_ms / 1000);
  struct tm utc;
  if (!from.len || !json_text(body, "to", to_room, &to) || !json_text(body, "message", message_room, &message)) return;
  if (!to.len) return;
  strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &utc));
  snprintf(created, sizeof created, "%s.%03uZ", stamp, (unsigned)(now.wall_ms % 1000));
  const tethered_slice texts[4] = {to, from, message, slice(created)};
  for (int i = 0; i < 4; i++) { /* ["text"] without its brackets */
    quoted[i] = json_array(&texts[i], 1, raw[i], sizeof raw[i]);
    quoted[i].ptr++, quoted[i].len -= 2;
  }
  int len = snprintf(out, sizeof out, "{\"to\":%.*s,\"from\":%.*s,\"message\":%.*s,\"created\":%.*s}", (int)quoted[0].len,
                     quoted[0].ptr, (int)quoted[1].len, quoted[1].ptr, (int)quoted[2].len, quoted[2].ptr,
                     (int)quoted[3].len, quoted[3].ptr);
  if (len < 0 || (size_t)len >= sizeof out) return;
  tethered_slice text = {(const uint8_t *)out, (size_t)len};
  tethered_publish(hub, now, to, slice("/queue/messages"), &json, 1, text, NULL);
  if (!same(to, from)) tethered_publish(hub, now, from, slice("/queue/messages"), &json, 1, text, NULL);
}

static void changed(tethered_hub *hub, tethered_now now, const char *topic, tethered_slice name, size_t connections) {
  uint8_t body[6 * NAME + 8];
  char count[24];
  snprintf(count, sizeof count, "%zu", connections);
  const tethered_header headers[2] = {json, {slice("connections"), slice(count)}};
  tethered_publish(hub, now, (tethered_slice){NULL, 0}, slice(topic), headers, 2, json_array(&name, 1, body, sizeof body), NULL);
}

static tethered_slice name_of(const struct present *p) { return (tethered_slice){(const uint8_t *)p->name, p->len}; }

static size_t connections_of(size_t node, tethered_slice name) {
  for (size_t i = 0; i < n_present; i++)
    if (present[i].node == node && same(name_of(&present[i]), name)) return present[i].connections;
  return 0;
}

/* So many connections somebody has at a node from now on. */
static void set_present(size_t node, tethered_slice name, size_t connections) {
  size_t i = 0;
  if (!name.len || name.len > NAME) return;
  while (i < n_present && !(present[i].node == node && same(name_of(&present[i]), name))) i++;
  if (i == n_present) {
    if (!connections || n_present == MOST_PRESENT) return;
    memcpy(present[i].name, name.ptr, name.len);
    present[i].len = name.len, present[i].node = node, n_present++;
  }
  present[i].connections = connections;
  if (!connections) present[i] = present[--n_present];
}

static void forget(size_t node) {
  for (size_t i = n_present; i-- > 0;)
    if (present[i].node == node) present[i] = present[--n_present];
}

/* Tells the other nodes how many connections one has here, or, without a name, all. */
static void tell(tethered_hub *hub, tethered_now now, const tethered_slice *name) {
  static char note[MOST_PRESENT * (6 * NAME + 32) + 64];
  static uint8_t quoted[6 * NAME + 8];
  size_t len = (size_t)snprintf(note, sizeof note, "{\"all\":%s,\"users\":{", name ? "false" : "true"), told = 0;
  for (size_t i = 0; i < (name ? 1 : n_present); i++) {
    if (!name && present[i].node != HERE) continue;
    const tethered_slice who = name ? *name : name_of(&present[i]);
    const tethered_slice text = json_array(&who, 1, quoted, sizeof quoted); /* ["text"] without its brackets */
    len += (size_t)snprintf(note + len, sizeof note - len, "%s%.*s:%zu", told++ ? "," : "", (int)text.len - 2,
                            (const char *)text.ptr + 1, connections_of(HERE, who));
  }
  len += (size_t)snprintf(note + len, sizeof note - len, "}}");
  tethered_announce(hub, now, (tethered_slice){(uint8_t *)note, len});
}

static void came_or_went(tethered_hub *hub, tethered_now now, tethered_slice name, int came) {
  size_t here = connections_of(HERE, name), all = 0;
  if (!name.len || name.len > NAME || (!came && !here)) return;
  set_present(HERE, name, came ? here + 1 : here - 1);
  for (size_t node = 0; node < n_nodes; node++) all += connections_of(node, name);
  tell(hub, now, &name);
  changed(hub, now, came ? "/topic/friends/signin" : "/topic/friends/signout", name, all);
}

/* What another node tells. */
static void heard(tethered_hub *hub, tethered_now now, tethered_slice from, tethered_slice note) {
  static uint8_t room[BODY];
  tethered_slice left = note, name, value, users = {NULL, 0}, who;
  size_t node = 1;
  int all = 0;
  if (!from.len || from.len > NAME || note.len > BODY) return;
  for (int first = 1; member(&left, first, &name, &value) > 0; first = 0) {
    if (is(name, "\"all\"")) all = is(value, "true");
    if (is(name, "\"users\"")) users = value;
  }
  if (!users.len) return;
  while (node < n_nodes && !same(from, (tethered_slice){(uint8_t *)nodes[node].name, nodes[node].len})) node++;
  int is_new = node == n_nodes;
  if (is_new) {
    if (n_nodes == MOST_NODES) return;
    memcpy(nodes[node].name, from.ptr, from.len);
    nodes[node].len = from.len, n_nodes++;
  }
  nodes[node].heard_ms = now.mono_ms;
  if (all) forget(node);
  for (int first = 1; member(&users, first, &name, &value) > 0; first = 0) {
    char digits[16];
    snprintf(digits, sizeof digits, "%.*s", (int)(value.len < 9 ? value.len : 9), (const char *)value.ptr);
    if (json_string(name, room, &who)) set_present(node, who, strtoul(digits, NULL, 10));
  }
  if (is_new) tell(hub, now, NULL); /* it knows nobody */
}

uint64_t chat_beat(tethered_hub *hub, tethered_now now) {
  if (now.mono_ms < next_beat_ms) return next_beat_ms;
  for (size_t node = n_nodes; node-- > 1;) {
    if (now.mono_ms - nodes[node].heard_ms < GONE_MS) continue;
    forget(node);
    nodes[node] = nodes[--n_nodes];
    for (size_t i = 0; i < n_present; i++)
      if (present[i].node == n_nodes) present[i].node = node;
  }
  tell(hub, now, NULL);
  return next_beat_ms = now.mono_ms + BEAT_MS;
}

static int by_name(const void *a, const void *b) {
  const tethered_slice *x = a, *y = b;
  int order = memcmp(x->ptr, y->ptr, x->len < y->len ? x->len : y->len);
  return order ? order : (x->len > y->len) - (x->len < y->len);
}

static void list_users(tethered_hub *hub, tethered_now now, const tethered_action *a, tethered_slice asker) {
  static uint8_t body[MOST_PRESENT * (6 * NAME + 3) + 8];
  static tethered_slice names[MOST_PRESENT];
  size_t count = 0;
  for (size_t i = 0; i < n_present; i++)
    if (!same(name_of(&present[i]), asker)) names[count++] = name_of(&present[i]);
  qsort(names, count, sizeof names[0], by_name);
  size_t others = 0; /* at several nodes is there once */
  for (size_t i = 0; i < count; i++)
    if (!others || !same(names[others - 1], names[i])) names[others++] = names[i];
  count = others;
  tethered_answer(hub, now, a->id, a->data, a->name, &json, 1, json_array(names, count, body, sizeof body));
}

static void deliver(tethered_hub *hub, tethered_now now, const tethered_action *a) {
  tethered_request about;
  if (a->flags == TETHERED_TEXT || a->flags == TETHERED_BINARY) { /* raw endpoints echo */
    tethered_send(hub, now, a->id, a->flags, a->data);
    return;
  }
  if (tethered_details(hub, a->details, &about, sizeof about)) return;
  if (a->flags == TETHERED_SEND && is(a->name, "/app/im") && is_json(header(&about, "content-type")))
    instant_message(hub, now, a->data, about.principal);
  if (a->flags == TETHERED_SUBSCRIBE && is(a->name, "/app/users")) list_users(hub, now, a, about.principal);
}

/* A field of a form; 0 if there is none, or it is too long. */
static int field(tethered_slice form, const char *name, char *out) {
  const char *p = (const char *)form.ptr, *end = p + form.len;
  size_t len = 0, name_len = strlen(name);
  while (p < end) {
    const char *next = memchr(p, '&', (size_t)(end - p));
    if (!next) next = end;
    if ((size_t)(next - p) > name_len && !memcmp(p, name, name_len) && p[name_len] == '=') {
      for (p += name_len + 1; p < next; p++) {
        char hex[3] = {0}, *stop = hex, c = *p == '+' ? ' ' : *p;
        if (*p == '%' && next - p > 2) {
          memcpy(hex, p + 1, 2), c = (char)strtoul(hex, &stop, 16);
          if (*stop) return 0;
          p += 2;
        }
        if (len == NAME - 1 || !c) return 0;
        out[len++] = c;
      }
      out[len] = 0;
      return 1;
    }
    p = next + 1;
  }
  return 0;
}

/* The token that a browser's cookie holds; empty: none. It is put into pages, so it is nothing but digits. */
static tethered_slice token_of(const tethered_request *request) {
  const tethered_slice *cookies = header(request, "cookie");
  const char *p = cookies ? (const char *)cookies->ptr : NULL;
  size_t left = cookies ? cookies->len : 0;
  while (left) {
    const char *end = memchr(p, ';', left);
    size_t len = end ? (size_t)(end - p) : left, digits = 0;
    if (len == 5 + TOKEN && !memcmp(p, "CSRF=", 5)) {
      while (digits < TOKEN && memchr("0123456789abcdef", p[5 + digits], 16)) digits++;
      if (digits == TOKEN) return (tethered_slice){(const uint8_t *)p + 5, TOKEN};
    }
    if (end) len++;
    p += len, left -= len;
    while (left && *p == ' ') p++, left--;
  }
  return (tethered_slice){NULL, 0};
}

static int new_token(char *out) {
  uint8_t bytes[TOKEN / 2];
  if (getentropy(bytes, sizeof bytes)) return 0;
  for (int i = 0; i < TOKEN / 2; i++) snprintf(out + 2 * i, 3, "%02x", bytes[i]);
  return 1;
}

/* The token that a session holds: what this chat put there at the login, or Spring Security. */
static tethered_slice token_in_session(const tethered_request *request) {
  for (size_t i = 0; i < request->n_attributes; i++) {
    const tethered_header *a = &request->attributes[i];
    if (is(a->name, "csrf") || is(a->name, SPRING_CSRF)) return a->value;
  }
  return (tethered_slice){NULL, 0};
}

/* Whether a form was sent by a page of this server: with its token, and, as far as the browser tells, from here. */
static int from_here(const tethered_request *request) {
  const tethered_slice *origin = header(request, "origin"), *host = header(request, "host");
  const tethered_slice *in_header = header(request, "x-csrf-token");
  const tethered_slice ours = token_in_session(request), token = token_of(request);
  char text[NAME] = "";
  if (!in_header && !field(request->body, "_csrf", text)) return 0;
  const tethered_slice sent = in_header ? *in_header : slice(text);
  if (ours.len ? tethered_csrf_matches(sent, ours) != TETHERED_OK : !token.len || !same(sent, token)) return 0;
  if (!origin) return 1;
  if (!host || origin->len <= host->len) return 0;
  size_t scheme = origin->len - host->len;
  tethered_slice rest = {origin->ptr + scheme, host->len}, before = {origin->ptr, scheme};
  return same(rest, *host) && (is(before, "http://") || is(before, "https://"));
}

/* Pages, each with a place for the token. */
static const char login_page[] =
    "<!doctype html><meta charset=utf-8><title>Log in</title><form method=\"post\" action=\"/login\">"
    "<input type=\"hidden\" name=\"_csrf\" value=\"%s\"><input name=\"username\" placeholder=\"rob\">"
    "<input name=\"password\" type=\"password\"><button>Log in</button></form>";
static const char chat_page[] =
    "<!doctype html><meta charset=utf-8><title>Chat</title><form method=\"post\" action=\"/logout\">"
    "<input type=\"hidden\" name=\"_csrf\" value=\"%s\"><button>Log out</button></form>"
    "<form id=say><input id=to placeholder=to><input id=text><button>Say</button></form><pre id=log></pre><script>\n"
    "const ws = new WebSocket(location.origin.replace('http', 'ws') + '/stomp'), log = document.getElementById('log');\n"
    "const frame = (head, body = '') => ws.send(head.join('\\n') + '\\n\\n' + body + '\\0');\n"
    "const token = document.querySelector('[name=_csrf]').value; // for --connect-csrf\n"
    "ws.onopen = () => frame(['CONNECT', 'accept-version:1.2', 'host:chat', 'heart-beat:0,0', 'X-CSRF-TOKEN:' + token]);\n"
    "ws.onmessage = (event) => {\n"
    "  if (event.data.startsWith('CONNECTED')) frame(['SUBSCRIBE', 'id:1', 'destination:/user/queue/messages']);\n"
    "  else log.append(event.data.split('\\n\\n')[1] + '\\n');\n"
    "};\n"
    "ws.onclose = (event) => log.append(event.code + ' ' + event.reason + '\\n');\n"
    "say.onsubmit = () => { frame(['SEND', 'destination:/app/im', 'content-type:application/json'],\n"
    "  JSON.stringify({to: to.value, message: text.value})); return false; };\n"
    "</script>";
static const char csrf_json[] = "{\"headerName\":\"X-CSRF-TOKEN\",\"parameterName\":\"_csrf\",\"token\":\"%s\"}";

/* Puts a page with a token into an answer: that of the session, masked; before there is one, that of the browser's cookie, which
 * gets a new one if it has none yet. */
static void show(tethered_response *answer, tethered_header *headers, const tethered_request *request, const char *page) {
  static char body[4096], cookie[128];
  char token[NAME];
  uint8_t mask[NAME / 3];
  size_t len = 0;
  const tethered_slice known = token_of(request), ours = token_in_session(request);
  if (ours.len && ours.len <= sizeof mask && !getentropy(mask, ours.len) &&
      tethered_csrf_mask(ours, mask, token, sizeof token - 1, &len) == TETHERED_OK) {
    token[len] = 0;
  } else if (known.len) {
    memcpy(token, known.ptr, TOKEN), token[TOKEN] = 0;
  } else if (new_token(token)) {
    const char *secure = request->flags & TETHERED_PEER_SECURE ? "; Secure" : "";
    snprintf(cookie, sizeof cookie, "CSRF=%.*s; Path=/; HttpOnly; SameSite=Lax%s", TOKEN, token, secure);
    headers[answer->n_headers++] = (tethered_header){slice("Set-Cookie"), slice(cookie)};
  } else {
    answer->status = 500;
    return;
  }
  snprintf(body, sizeof body, page, token);
  answer->body = slice(body);
}

static void request(tethered_hub *hub, tethered_now now, const tethered_action *a) {
  tethered_request r;
  char name[NAME], password[NAME];
  if (tethered_details(hub, a->details, &r, sizeof r)) return;
  tethered_header headers[3] = {{slice("Content-Type"), slice("text/html; charset=utf-8")},
                                {slice("Cache-Control"), slice("no-store")}};
  tethered_response answer = {.status = 200, .headers = headers, .n_headers = 2};
  char token[TOKEN + 1];
  const tethered_header csrf = {slice("csrf"), {(const uint8_t *)token, TOKEN}};
  const uint8_t *query = r.target.len ? memchr(r.target.ptr, '?', r.target.len) : NULL;
  tethered_slice path = {r.target.ptr, query ? (size_t)(query - r.target.ptr) : r.target.len};
  int reads = is(r.method, "GET") || is(r.method, "HEAD"), posts = is(r.method, "POST");
  const char *to = NULL;
  if (posts && (is(path, "/login") || is(path, "/logout")) && !from_here(&r)) {
    answer.status = 403, answer.body = slice("This form was not sent by a page of ours, or is too old: reload it.\n");
  } else if (posts && is(path, "/login")) {
    to = "/login?error";
    if (field(r.body, "username", name) && field(r.body, "password", password))
      for (size_t i = 0; i < sizeof users / sizeof users[0]; i++)
        if (!strcmp(name, users[i][0]) && !strcmp(password, users[i][1]))
          to = "/", answer.change = TETHERED_CHANGE_LOGIN, answer.principal = slice(users[i][0]);
    if (answer.change == TETHERED_CHANGE_LOGIN && new_token(token)) answer.attributes = &csrf, answer.n_attributes = 1;
  } else if (posts && is(path, "/logout")) {
    to = "/login?logout", answer.change = r.principal.len ? TETHERED_CHANGE_LOGOUT : TETHERED_CHANGE_KEEP;
  } else if (reads && is(path, "/login")) {
    show(&answer, headers, &r, login_page);
  } else if (reads && (is(path, "/") || is(path, "/csrf"))) {
    if (!r.principal.len) to = "/login";
    else show(&answer, headers, &r, is(path, "/") ? chat_page : csrf_json);
    if (is(path, "/csrf")) headers[0].value = slice("application/json");
  } else {
    answer.status = 404, answer.body = slice("There is nothing here.\n");
  }
  if (to) answer.status = 302, headers[0] = (tethered_header){slice("Location"), slice(to)};
  /* Without memory for an answer there is none. */
  if (tethered_respond(hub, now, a->socket, &answer, sizeof answer) < 0) tethered_closed(hub, now, a->socket);
}

void chat_act(tethered_hub *hub, tethered_now now, const tethered_action *a) {
  switch (a->kind) {
  case TETHERED_REQUEST: request(hub, now, a); break;
  case TETHERED_DELIVER: deliver(hub, now, a); break;
  case TETHERED_JOINED:
    came_or_went(hub, now, a->name, 1);
    if (is(a->data, "/close")) tethered_close_client(hub, now, a->id, 3000, slice("Go away!")); /* for tests of clients */
    break;
  case TETHERED_LEFT: came_or_went(hub, now, a->name, 0); break;
  case TETHERED_ANNOUNCED: heard(hub, now, a->name, a->data); break;
  default: break;
  }
}
