/* Session stores: a Redis as argument vectors and flat replies, one of the host's own, and what hubs tell each other. */
#include "check.h"

static const char EXTERNAL[] =
    "store = \"external\"\n[[endpoint]]\npath = \"/own\"\nprotocol = \"raw\"\nlogin = true\n";
static const char REDIS[] =
    "store = \"redis\"\nredis-namespace = \"chat\"\n[[endpoint]]\npath = \"/own\"\nprotocol = \"raw\"\nlogin = true\n";

static int argument_is(tethered_action action, size_t n, const char *s) {
  return n < action.argc && is((tethered_slice){(const uint8_t *)action.argv[n], action.argvlen[n]}, s);
}

static uint64_t join(tethered_hub *hub, const char *session, uint64_t *client) {
  tethered_request request = {.token = 3, .target = text("/own"), .session = text(session)};
  uint64_t socket = 0;
  CHECK(tethered_join(hub, at(1), &request, sizeof request, &socket, client) == TETHERED_OK);
  return socket;
}

static tethered_item bulk(const char *s) { return (tethered_item){.kind = TETHERED_REPLY_BULK, .bytes = text(s)}; }

static void a_store_of_the_host_s_own(void) {
  tethered_hub *hub = hub_of(EXTERNAL);
  uint64_t client = 0, socket = join(hub, "abc", &client);
  tethered_action load = expect(hub, TETHERED_SESSION);
  CHECK(load.id != 0 && load.argc == 2 && argument_is(load, 0, "LOAD") && argument_is(load, 1, "abc"));
  const tethered_item record[] = {bulk("abc"), bulk("rob"), bulk("colour"), bulk("green")};
  CHECK(tethered_reply(hub, at(2), load.id, TETHERED_REPLY_LIST, 30000, record, 3) == TETHERED_E_ARGUMENT);
  expect_log(hub, "tethered_reply: items: id, principal, then names and values");
  CHECK(tethered_reply(hub, at(2), load.id, TETHERED_REPLY_BULK, 0, record, 1) == TETHERED_E_ARGUMENT);
  CHECK(tethered_reply(hub, at(2), load.id, TETHERED_REPLY_LIST, 30000, record, 4) == TETHERED_OK);
  tethered_action touch = expect(hub, TETHERED_SESSION);
  CHECK(argument_is(touch, 0, "TOUCH") && argument_is(touch, 1, "abc") && argument_is(touch, 2, "0"));
  tethered_action joined = expect(hub, TETHERED_JOINED);
  CHECK(joined.id == client && is(joined.name, "rob"));
  CHECK(tethered_reply(hub, at(2), touch.id, TETHERED_REPLY_INT, 30000, NULL, 0) == TETHERED_OK);
  CHECK(tethered_reply(hub, at(2), touch.id, TETHERED_REPLY_INT, 30000, NULL, 0) == TETHERED_OK); /* ignored */
  CHECK(tethered_notices(hub, at(3), 1) == TETHERED_OK);
  CHECK(tethered_session_notice(hub, at(4), text("abc"), TETHERED_FATE_DELETED, text("")) == TETHERED_OK);
  tethered_action check;
  do check = next(hub);
  while (!argument_is(check, 0, "CHECK"));
  CHECK(tethered_send(hub, at(4), client, TETHERED_TEXT, text("held")) == TETHERED_OK);
  CHECK(tethered_reply(hub, at(5), check.id, TETHERED_REPLY_NIL, 0, NULL, 0) == TETHERED_OK);
  CHECK(expect(hub, TETHERED_LEFT).flags == TETHERED_CAUSE_DELETED);
  tethered_action close = expect(hub, TETHERED_CLOSE);
  CHECK(close.socket == socket && close.token == 3 && close.flags == 1008);
  expect_nothing(hub);
  join(hub, "lost", &client);
  load = expect(hub, TETHERED_SESSION);
  CHECK(tethered_reply(hub, at(6), load.id, TETHERED_REPLY_LOST, 0, NULL, 0) == TETHERED_OK);
  CHECK(expect(hub, TETHERED_CLOSE).flags == 1013);
  CHECK(tethered_session_notice(hub, at(7), text("abc"), TETHERED_FATE_EXPIRED, text("")) == TETHERED_OK);
  CHECK(tethered_session_notice(hub, at(7), text("abc"), TETHERED_FATE_RENAMED, text("abd")) == TETHERED_OK);
  CHECK(tethered_notices(hub, at(7), 0) == TETHERED_OK);
  tethered_hub_free(hub);
}

static void a_redis(void) {
  tethered_hub *hub = hub_of(REDIS);
  tethered_action action;
  int commands = 0, notices = 0;
  expect_nothing(hub);
  CHECK(tethered_connected(hub, at(1), TETHERED_NOTICES) == TETHERED_OK);
  CHECK(tethered_connected(hub, at(1), TETHERED_COMMANDS) == TETHERED_OK);
  while (tethered_poll(hub, &action, sizeof action, 1, NULL) == 1) {
    CHECK(action.kind == TETHERED_REDIS && action.argc > 0 && action.argv != NULL && action.argvlen != NULL);
    if (action.flags == TETHERED_COMMANDS) commands++;
    if (action.flags == TETHERED_NOTICES) {
      CHECK(argument_is(action, 0, "SUBSCRIBE") || argument_is(action, 0, "PSUBSCRIBE"));
      notices++;
    }
    /* It knows no scripts, refuses all else, and says nothing that makes sense. */
    tethered_item error = bulk("NOPERM this is a test");
    if (action.id) CHECK(tethered_reply(hub, at(2), action.id, TETHERED_REPLY_ERROR, 0, &error, 1) == TETHERED_OK);
  }
  CHECK(commands > 0 && notices > 0);
  expect_log(hub, "");
  uint64_t client = 0;
  join(hub, "abc", &client);
  action = expect(hub, TETHERED_REDIS);
  CHECK(action.flags == TETHERED_COMMANDS && action.id != 0);
  CHECK(tethered_notice(hub, at(2), 0, text("__keyevent@0__:del"), text("chat:sessions:abc")) == TETHERED_OK);
  CHECK(tethered_notice(hub, at(2), 7, text(""), text("")) == TETHERED_OK);
  CHECK(tethered_disconnected(hub, at(3), TETHERED_COMMANDS) == TETHERED_OK);
  CHECK(tethered_disconnected(hub, at(3), TETHERED_TRANSACTIONS) == TETHERED_OK);
  tethered_action close;
  do close = next(hub);
  while (close.kind != TETHERED_CLOSE);
  CHECK(close.flags == 1013); /* a lost store is no logout */
  const tethered_item odd[] = {{.kind = TETHERED_REPLY_NIL}, {.kind = TETHERED_REPLY_INT, .value = -1}, bulk("x"),
                               {.kind = TETHERED_REPLY_ERROR, .bytes = text("WRONGTYPE")}};
  CHECK(tethered_reply(hub, at(4), 1, TETHERED_REPLY_LIST, 0, odd, 4) == TETHERED_OK);
  CHECK(tethered_reply(hub, at(4), 1, TETHERED_REPLY_INT, -9, NULL, 0) == TETHERED_OK);
  CHECK(tethered_reply(hub, at(4), 1, TETHERED_REPLY_BULK, 0, odd + 2, 1) == TETHERED_OK);
  tethered_hub_free(hub);
}

static void hubs_tell_each_other(void) {
  tethered_hub *one = hub_of("relay = true"), *two = NULL;
  const uint8_t seed[16] = {9, 9};
  tethered_config config = {.flags = TETHERED_CONFIG_RELAY};
  CHECK(tethered_hub_new(&config, sizeof config, seed, at(0), &two) == TETHERED_OK);
  CHECK(tethered_announce(one, at(1), text("hello there")) == TETHERED_OK);
  CHECK(tethered_publish(one, at(1), text(""), text("/topic/a"), NULL, 0, text("news"), NULL) == TETHERED_OK);
  tethered_action relay[2];
  CHECK(tethered_poll(one, relay, sizeof relay[0], 2, NULL) == 2);
  for (int i = 0; i < 2; i++) {
    CHECK(relay[i].kind == TETHERED_RELAY && relay[i].data.len > 0);
    CHECK(tethered_relayed(two, at(1), relay[i].data) == TETHERED_OK);
    CHECK(tethered_relayed(one, at(1), relay[i].data) == TETHERED_OK); /* its own: ignored */
  }
  tethered_action announced = expect(two, TETHERED_ANNOUNCED);
  CHECK(is(announced.data, "hello there") && announced.name.len > 0);
  expect_nothing(two);
  expect_nothing(one);
  CHECK(tethered_relayed(two, at(1), text("nonsense")) == TETHERED_OK);
  tethered_hub_free(one);
  tethered_hub_free(two);
}

static void what_cannot_be(void) {
  tethered_hub *hub = hub_of(EXTERNAL);
  const tethered_slice wrong = {NULL, 1};
  tethered_item items[2] = {bulk("a"), {.kind = TETHERED_REPLY_LIST}};
  CHECK(tethered_reply(NULL, at(1), 1, TETHERED_REPLY_NIL, 0, NULL, 0) == TETHERED_E_ARGUMENT);
  CHECK(tethered_reply(hub, at(1), 1, 6, 0, NULL, 0) == TETHERED_E_ARGUMENT);
  CHECK(tethered_reply(hub, at(1), 1, TETHERED_REPLY_LIST, 0, NULL, 2) == TETHERED_E_ARGUMENT);
  CHECK(tethered_reply(hub, at(1), 1, TETHERED_REPLY_LIST, 0, items, 2) == TETHERED_E_ARGUMENT);
  CHECK(tethered_reply(hub, at(1), 1, TETHERED_REPLY_LIST, 0, items, SIZE_MAX) == TETHERED_E_ARGUMENT);
  CHECK(tethered_reply(hub, at(1), 1, TETHERED_REPLY_LIST, 0, (tethered_item *)(void *)((char *)items + 1), 1) == TETHERED_E_ARGUMENT);
  CHECK(tethered_notice(NULL, at(1), 0, text("c"), text("p")) == TETHERED_E_ARGUMENT);
  CHECK(tethered_notice(hub, at(1), 0, wrong, text("p")) == TETHERED_E_ARGUMENT);
  CHECK(tethered_connected(NULL, at(1), TETHERED_COMMANDS) == TETHERED_E_ARGUMENT);
  CHECK(tethered_connected(hub, at(1), 3) == TETHERED_E_ARGUMENT);
  CHECK(tethered_disconnected(NULL, at(1), TETHERED_COMMANDS) == TETHERED_E_ARGUMENT);
  CHECK(tethered_disconnected(hub, at(1), UINT32_MAX) == TETHERED_E_ARGUMENT);
  CHECK(tethered_session_notice(NULL, at(1), text("a"), TETHERED_FATE_EXPIRED, text("")) == TETHERED_E_ARGUMENT);
  CHECK(tethered_session_notice(hub, at(1), text("a"), 0, text("")) == TETHERED_E_ARGUMENT);
  CHECK(tethered_session_notice(hub, at(1), text("a"), TETHERED_FATE_RENAMED, text("")) == TETHERED_E_ARGUMENT);
  CHECK(tethered_session_notice(hub, at(1), text("\xff"), TETHERED_FATE_EXPIRED, text("")) == TETHERED_E_ARGUMENT);
  CHECK(tethered_notices(NULL, at(1), 1) == TETHERED_E_ARGUMENT);
  CHECK(tethered_notices(hub, at(1), 2) == TETHERED_E_ARGUMENT);
  CHECK(tethered_relayed(NULL, at(1), text("x")) == TETHERED_E_ARGUMENT);
  CHECK(tethered_relayed(hub, at(1), wrong) == TETHERED_E_ARGUMENT);
  CHECK(tethered_announce(NULL, at(1), text("x")) == TETHERED_E_ARGUMENT);
  CHECK(tethered_announce(hub, at(1), wrong) == TETHERED_E_ARGUMENT);
  expect_nothing(hub);
  tethered_hub_free(hub);
}

int main(void) {
  errno = 77;
  a_store_of_the_host_s_own();
  a_redis();
  hubs_tell_each_other();
  what_cannot_be();
  CHECK(errno == 77);
  puts("ok");
  return 0;
}
