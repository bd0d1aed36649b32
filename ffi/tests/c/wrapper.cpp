// Everything of tethered.hpp, used.
#include "tethered.hpp"

#include <cstdio>
#include <cstdlib>
#include <type_traits>
#include <vector>

#define CHECK(condition) ((condition) ? (void)0 : failed(__LINE__, #condition))

static void failed(int line, const char *condition) {
  std::fprintf(stderr, "%s:%d: %s\n", __FILE__, line, condition);
  std::exit(1);
}

static tethered_now at(std::uint64_t ms) { return {ms, 1700000000000 + ms}; }

static_assert(std::is_nothrow_move_constructible<tethered::hub>::value && !std::is_copy_constructible<tethered::hub>::value);
static_assert(std::is_nothrow_move_assignable<tethered::ws_decoder>::value && !std::is_copy_assignable<tethered::ws_decoder>::value);
static_assert(!std::is_copy_constructible<tethered::stomp_decoder>::value);

static const tethered::hub::seed SEED{1, 2, 3};
static const char UPGRADE[] =
    "GET /echo HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

static tethered::hub make(std::string_view toml) {
  tethered::hub hub;
  tethered::config config;
  CHECK(!config.parse(toml));
  CHECK(!config.check());
  CHECK(!hub.open(config, SEED, at(0)));
  return hub;
}

static void an_echo() {
  tethered::hub first = make("[[endpoint]]\npath = '/echo'\nprotocol = 'raw'\n");
  tethered::hub hub = std::move(first);
  CHECK(hub && !first && first.tick(at(0)).is(TETHERED_E_ARGUMENT));
  std::uint64_t socket = 0;
  tethered_peer peer{};
  peer.token = 7;
  CHECK(!hub.accept(at(1), peer, socket) && socket != 0);
  std::string bytes(UPGRADE), written;
  CHECK(!hub.received(at(1), socket, bytes.data(), bytes.size()));
  std::string hello("\x81\x82\0\0\0\0hi", 8);
  CHECK(!hub.received(at(1), socket, hello.data(), hello.size()));
  int delivered = 0;
  const auto act = [&](const tethered_action &a) {
    if (a.kind == TETHERED_WRITE)
      CHECK(!hub.flush(at(1), a.socket, [&](const tethered_slice *v, std::size_t n) {
        std::size_t taken = 0;
        for (std::size_t i = 0; i < n; i++) {
          written += tethered::view(v[i]);
          taken += v[i].len;
        }
        return taken;
      }));
    if (a.kind == TETHERED_DELIVER) {
      delivered++;
      CHECK(!hub.send(at(1), a.id, a.flags, tethered::view(a.data)));
    }
    CHECK(a.token == 7);
  };
  CHECK(!hub.poll(act));
  CHECK(delivered == 1 && written.find("101 Switching Protocols") != std::string::npos);
  CHECK(written.substr(written.size() - 4) == std::string("\x81\x02hi"));
  CHECK(hub.deadline() != UINT64_MAX && hub.stats().sockets == 1);
  const std::error_code error = hub.received(at(1), socket, nullptr, 1);
  CHECK(error && error.category() == tethered::category() && !error.message().empty());
  std::string said;
  hub.log([&](std::uint32_t level, std::string_view line) {
    CHECK(level == TETHERED_LEVEL_WARN);
    said += line;
  });
  CHECK(said == "tethered_received: bytes is NULL and has a length");
  CHECK(!hub.closed(at(2), socket) && hub.sent(at(2), socket, 1).ok());
  CHECK(!hub.poll([](const tethered_action &) {}));
  CHECK(hub.closed(at(2), socket).is(TETHERED_STALE) && hub.stats().sockets == 0);
}

static void doors_and_the_application() {
  tethered::hub hub = make("requests = true\nrelay = true\n[[endpoint]]\npath = '/stomp'\n[[endpoint]]\npath = '/echo'\nprotocol = 'raw'\n");
  const std::vector<tethered_header> headers{tethered::header("Host", "h"), tethered::header("X-A", "1")};
  tethered_request request{};
  request.method = tethered::slice("GET");
  request.target = tethered::slice("/page");
  request.headers = headers.data();
  request.n_headers = headers.size();
  std::uint64_t socket = 0, client = 0;
  CHECK(!hub.ask(at(1), request, socket));
  std::string cookie;
  int closed = 0;
  const auto serve = [&](const tethered_action &a) {
    tethered_request more{};
    if (a.kind == TETHERED_REQUEST) {
      CHECK(!hub.details(a, more) && tethered::view(*tethered::find_header(more, "x-a")) == "1");
      CHECK(tethered::find_header(more, "x-b") == nullptr);
#ifdef __cpp_lib_span
      CHECK(tethered::headers(more).size() == 2 && tethered::bytes(a.data).empty());
#endif
      tethered_response response{};
      response.status = 200;
      response.change = TETHERED_CHANGE_LOGIN;
      response.principal = tethered::slice("rob");
      CHECK(!hub.respond(at(1), a.socket, response));
    }
    if (a.kind == TETHERED_RESPONSE) {
      CHECK(!hub.details(a, more) && more.status == 200);
      const std::string_view set = tethered::view(*tethered::find_header(more, "set-cookie"));
      cookie = set.substr(0, set.find(';'));
    }
    closed += a.kind == TETHERED_CLOSE;
  };
  CHECK(!hub.poll(serve));
  CHECK(closed == 1 && cookie.rfind("SESSION=", 0) == 0);
  const tethered_header with_cookie = tethered::header("Cookie", cookie);
  request = tethered_request{};
  request.target = tethered::slice("/stomp");
  request.headers = &with_cookie;
  request.n_headers = 1;
  CHECK(!hub.join(at(1), request, socket, client));
  const tethered_header version = tethered::header("accept-version", "1.2"), a = tethered::header("destination", "/topic/a");
  const tethered_header app = tethered::header("destination", "/app/x"), id = tethered::header("id", "q");
  const tethered_header subscribe[] = {id, app};
  std::string frame = tethered::stomp_encode(10, TETHERED_STOMP_CONNECT, &version, 1, "");
  CHECK(!hub.message(at(1), client, TETHERED_TEXT, frame) && !hub.activity(at(1), client));
  frame = tethered::stomp_encode(12, TETHERED_STOMP_SUBSCRIBE, subscribe, 2, "");
  CHECK(!hub.message(at(1), client, TETHERED_TEXT, frame));
  CHECK(tethered::stomp_encode(99, TETHERED_STOMP_SEND, &a, 1, "").empty());
  std::vector<std::string> got;
  const auto act = [&](const tethered_action &action) {
    if (action.kind == TETHERED_DELIVER) CHECK(!hub.answer(at(1), action, "here"));
    if (action.kind == TETHERED_MESSAGE) got.emplace_back(tethered::view(action.data));
  };
  CHECK(!hub.poll(act));
  CHECK(got.size() == 2 && got[0].rfind("CONNECTED", 0) == 0 && got[1].find("\n\nhere") != std::string::npos);
  std::uint64_t receivers = 7;
  CHECK(!hub.publish(at(1), "/topic/a", "x", nullptr, 0, &receivers) && receivers == 0);
  CHECK(!hub.publish_to_user(at(1), "rob", "/queue/a", "x"));
  std::string relayed;
  CHECK(!hub.announce(at(1), "hello"));
  CHECK(!hub.poll([&](const tethered_action &action) {
    if (action.kind == TETHERED_RELAY) relayed = tethered::view(action.data);
  }));
  CHECK(!relayed.empty() && !hub.relayed(at(1), relayed));
  std::uint64_t ended = 0;
  CHECK(!hub.end_user(at(1), "rob", "another", &ended) && ended == 1);
  CHECK(!hub.end_session(at(1), "nobody") && !hub.end_client(at(1), client) && hub.close_client(at(1), client, 4000, "x").is(TETHERED_STALE) && hub.decide(at(1), client, TETHERED_ENTER).is(TETHERED_STALE));
  CHECK(!hub.reply(at(1), 1, TETHERED_REPLY_NIL) && !hub.notice(at(1), "c", "p") && !hub.notices(at(1), true));
  CHECK(!hub.session_notice(at(1), "s", TETHERED_FATE_DELETED) && !hub.connected(at(1), TETHERED_COMMANDS));
  CHECK(!hub.disconnected(at(1), TETHERED_COMMANDS) && !hub.drain(at(1)));
  CHECK(!hub.poll(act));
}

static void codecs() {
  tethered::ws_decoder ws;
  CHECK(ws.open(9).is(TETHERED_E_ARGUMENT) && !ws.open(TETHERED_SERVER));
  std::string bytes("\x81\x82\0\0\0\0hi\x89\x80\0\0\0\0", 14), heard;
  CHECK(!ws.feed(bytes.data(), bytes.size(), [&](const tethered_ws_message &m) {
    heard += std::to_string(m.kind) + std::string(tethered::view(m.data));
  }));
  CHECK(heard == "1hi9");
  std::string bad("\xff\xff", 2);
  unsigned code = 0;
  CHECK(ws.feed(bad.data(), bad.size(), [&](const tethered_ws_message &m) { code = m.code; }).is(TETHERED_E_PROTOCOL));
  CHECK(code == 1002);
  tethered::stomp_decoder stomp;
  CHECK(!stomp.open(TETHERED_SERVER));
  heard.clear();
  CHECK(!stomp.feed(std::string_view("SEND\ndestination:/a\n\nx\0\n", 24), [&](const tethered_stomp_frame &f) {
    heard += std::to_string(f.command) + std::string(tethered::view(f.body));
  }));
  CHECK(heard == "3x0");
#ifdef __cpp_lib_span
  const std::array<std::byte, 2> two{std::byte{1}, std::byte{2}};
  CHECK(tethered::slice(std::span<const std::byte>{two}).len == 2);
#endif
}

static void what_is_wrong_is_said() {
  tethered::config config;
  static_assert(std::is_move_constructible<tethered::config>::value && !std::is_copy_constructible<tethered::config>::value);
  tethered::config moved;
  CHECK(!moved.parse("cookie = 'ID'"));
  const tethered::config kept = std::move(moved);
  CHECK(tethered::view(kept.get()->toml) == "cookie = 'ID'");
  const tethered::status parsed = config.parse("coookie = 'x'");
  CHECK(parsed && !parsed.ok() && config.why() == "line 1: there is no setting \"coookie\"; did you mean cookie?");
  config->store = 9;
  CHECK(config.check().is(TETHERED_E_ARGUMENT) && config.why() == "config.store is none of tethered_store");
  tethered::hub hub;
  CHECK(hub.open(config, SEED, at(0)).value() == TETHERED_E_ARGUMENT && !hub);
  CHECK(!hub.open(nullptr, SEED, at(0)) && hub);
  CHECK(tethered::status(TETHERED_STALE).message() == tethered_strerror(TETHERED_STALE));
}

int main() {
  an_echo();
  doors_and_the_application();
  codecs();
  what_is_wrong_is_said();
  std::puts("ok");
}
