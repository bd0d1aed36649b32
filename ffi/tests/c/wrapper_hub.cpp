// What tethered.hpp promises of a hub: each of its members, and that it is moved and freed.
#include "wrapper.hpp"

#include <algorithm>

namespace {

constexpr auto UPGRADE =
    "GET /echo HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"sv;
constexpr auto ECHO_TOML = "[[endpoint]]\npath = '/echo'\nprotocol = 'raw'\n"sv;
constexpr auto HOUSE_TOML =
    "requests = true\nrelay = true\n[[endpoint]]\npath = '/stomp'\n[[endpoint]]\npath = '/echo'\nprotocol = 'raw'\n"sv;

hub make(std::string_view toml) {
  hub made;
  tethered::config config;
  EXPECT_TRUE(fine(config.parse(toml))) << config.why();
  EXPECT_TRUE(fine(made.open(config, SEED, at(0))));
  return made;
}

std::uint64_t accept(hub &hub, std::uint64_t token = 7) {
  tethered_peer peer{};
  peer.token = token;
  std::uint64_t socket = 0;
  EXPECT_TRUE(fine(hub.accept(at(1), peer, socket)));
  EXPECT_NE(socket, 0U);
  return socket;
}

void receive(hub &hub, std::uint64_t socket, std::string bytes) {
  EXPECT_TRUE(fine(hub.received(at(1), socket, bytes.data(), bytes.size())));
}

std::uint64_t websocket(hub &hub) {
  const std::uint64_t socket = accept(hub);
  receive(hub, socket, std::string(UPGRADE));
  return socket;
}

// Actions own nothing, so that what is looked at later is copied: kinds, and the text in data.
std::vector<std::uint32_t> kinds(hub &hub) {
  std::vector<std::uint32_t> all;
  EXPECT_TRUE(fine(hub.poll([&](const tethered_action &action) { all.push_back(action.kind); })));
  return all;
}

std::size_t count(const std::vector<std::uint32_t> &all, std::uint32_t kind) {
  std::size_t found = 0;
  for (const std::uint32_t one : all) found += one == kind;
  return found;
}

std::string data_of(hub &hub, std::uint32_t kind) {
  std::string data;
  EXPECT_TRUE(fine(hub.poll([&](const tethered_action &action) {
    if (action.kind == kind) data += view(action.data);
  })));
  return data;
}

std::string written(hub &hub, std::uint64_t socket) {
  std::string bytes;
  EXPECT_TRUE(fine(hub.flush(at(1), socket, [&](const tethered_slice *slices, std::size_t n) {
    const std::size_t before = bytes.size();
    for (std::size_t i = 0; i < n; i++) bytes += view(slices[i]);
    return bytes.size() - before;
  })));
  return bytes;
}

// The cookie of a session that rob has logged in to, by a request of one's own.
std::string log_in(hub &hub) {
  const tethered_header host = header("Host", "h");
  tethered_request request{};
  request.method = slice("GET");
  request.target = slice("/login");
  request.headers = &host;
  request.n_headers = 1;
  std::uint64_t socket = 0;
  EXPECT_TRUE(fine(hub.ask(at(1), request, socket)));
  std::string cookie;
  EXPECT_TRUE(fine(hub.poll([&](const tethered_action &action) {
    if (action.kind == TETHERED_REQUEST) {
      tethered_response response{};
      response.status = 200;
      response.change = TETHERED_CHANGE_LOGIN;
      response.principal = slice("rob");
      EXPECT_TRUE(fine(hub.respond(at(1), action.socket, response)));
    }
    tethered_request answer{};
    if (action.kind == TETHERED_RESPONSE && hub.details(action, answer).ok())
      if (const tethered_slice *set = tethered::find_header(answer, "set-cookie"))
        cookie = view(*set).substr(0, view(*set).find(';'));
  })));
  EXPECT_TRUE(begins(cookie, "SESSION=")) << cookie;
  return cookie;
}

struct joined {
  std::uint64_t socket = 0, client = 0;
};

joined join(hub &hub, std::string_view path, std::string_view cookie = {}) {
  const tethered_header with = header("Cookie", cookie);
  tethered_request request{};
  request.token = 9;
  request.target = slice(path);
  request.headers = &with;
  request.n_headers = cookie.empty() ? 0 : 1;
  joined both;
  EXPECT_TRUE(fine(hub.join(at(1), request, both.socket, both.client)));
  return both;
}

joined join_stomp(hub &hub, std::string_view cookie) {
  const joined both = join(hub, "/stomp", cookie);
  const tethered_header version = header("accept-version", "1.2");
  const std::string connect = tethered::stomp_encode(10, TETHERED_STOMP_CONNECT, &version, 1, "");
  EXPECT_TRUE(fine(hub.message(at(1), both.client, TETHERED_TEXT, connect)));
  EXPECT_TRUE(begins(data_of(hub, TETHERED_MESSAGE), "CONNECTED\n"));
  return both;
}

void subscribe(hub &hub, std::uint64_t client, std::string_view destination) {
  const tethered_header headers[] = {header("id", "q"), header("destination", destination)};
  const std::string frame = tethered::stomp_encode(12, TETHERED_STOMP_SUBSCRIBE, headers, 2, "");
  EXPECT_TRUE(fine(hub.message(at(1), client, TETHERED_TEXT, frame)));
}

} // namespace

// What a hub owns.

TEST(Hub, IsEmptyUntilItIsOpened) {
  hub none;
  EXPECT_FALSE(none);
  EXPECT_EQ(none.get(), nullptr);
  EXPECT_EQ(none.deadline(), UINT64_MAX);
  EXPECT_TRUE(none.tick(at(0)).is(TETHERED_E_ARGUMENT));
  EXPECT_TRUE(none.poll([](const tethered_action &) { FAIL(); }).is(TETHERED_E_ARGUMENT));
  EXPECT_TRUE(fine(none.flush(at(0), 1, [](const tethered_slice *, std::size_t) { return std::size_t{1}; })));
  EXPECT_EQ(none.stats().opened, 0U);
  none.log([](std::uint32_t, std::string_view) { FAIL(); });
}

TEST(Hub, OpensWithTheDefaultOfEverything) {
  hub opened;
  ASSERT_TRUE(fine(opened.open(nullptr, SEED, at(0))));
  EXPECT_TRUE(opened);
  EXPECT_NE(opened.get(), nullptr);
  EXPECT_TRUE(fine(opened.tick(at(1))));
}

TEST(Hub, OpenedAnewFreesTheOneBefore) {
  hub opened = make(ECHO_TOML);
  accept(opened);
  ASSERT_TRUE(fine(opened.open(nullptr, SEED, at(0))));
  EXPECT_EQ(opened.stats().opened, 0U);
}

TEST(Hub, ThatCannotBeOpenedStaysAsItWas) {
  tethered::config wrong;
  wrong->store = 9;
  hub none, opened = make(ECHO_TOML);
  accept(opened);
  EXPECT_TRUE(none.open(wrong, SEED, at(0)).is(TETHERED_E_ARGUMENT));
  EXPECT_FALSE(none);
  EXPECT_TRUE(opened.open(wrong, SEED, at(0)).is(TETHERED_E_ARGUMENT));
  EXPECT_EQ(opened.stats().sockets, 1U);
}

TEST(Hub, MovesAndLeavesNothingBehind) {
  static_assert(std::is_nothrow_move_constructible_v<hub> && !std::is_copy_constructible_v<hub>);
  static_assert(std::is_nothrow_move_assignable_v<hub> && !std::is_copy_assignable_v<hub>);
  hub first = make(ECHO_TOML);
  accept(first);
  tethered_hub *const handle = first.get();
  ASSERT_TRUE(fine(first.poll([](const tethered_action &) {})));
  const auto deadline = first.deadline();
  ASSERT_NE(deadline, UINT64_MAX);
  hub second = std::move(first);
  EXPECT_FALSE(first);
  EXPECT_EQ(first.deadline(), UINT64_MAX);
  EXPECT_EQ(second.deadline(), deadline);
  EXPECT_EQ(second.get(), handle);
  hub third = make(ECHO_TOML); // which is freed
  third = std::move(second);
  EXPECT_FALSE(second);
  EXPECT_EQ(second.get(), nullptr);
  EXPECT_EQ(second.deadline(), UINT64_MAX);
  EXPECT_EQ(third.deadline(), deadline);
  EXPECT_EQ(third.stats().sockets, 1U);
}

// Sockets.

TEST(Sockets, AWebSocketIsAnsweredAndEchoed) {
  hub echo = make(ECHO_TOML);
  const std::uint64_t socket = websocket(echo);
  receive(echo, socket, "\x81\x82\0\0\0\0hi"s);
  std::string bytes;
  EXPECT_TRUE(fine(echo.poll([&](const tethered_action &action) {
    EXPECT_EQ(action.token, 7U) << action.kind;
    if (action.kind == TETHERED_WRITE) bytes += written(echo, action.socket);
    if (action.kind == TETHERED_DELIVER) {
      EXPECT_TRUE(fine(echo.send(at(1), action.id, action.flags, view(action.data))));
    }
  })));
  EXPECT_TRUE(begins(bytes, "HTTP/1.1 101 Switching Protocols\r\n")) << bytes;
  EXPECT_EQ(bytes.substr(bytes.size() - 4), "\x81\x02hi");
}

TEST(Sockets, FlushGoesOnUntilTheSocketIsFullAndKeepsTheRest) {
  hub echo = make(ECHO_TOML);
  const std::uint64_t socket = websocket(echo);
  EXPECT_EQ(count(kinds(echo), TETHERED_WRITE), 1U);
  std::size_t room = 10, calls = 0;
  const auto three_at_a_time = [&](const tethered_slice *slices, std::size_t n) {
    EXPECT_GT(n, 0U);
    calls++;
    const std::size_t taken = std::min({std::size_t{3}, room, slices[0].len});
    room -= taken;
    return taken;
  };
  EXPECT_TRUE(fine(echo.flush(at(1), socket, three_at_a_time)));
  EXPECT_EQ(calls, 5U); // 3 + 3 + 3 + 1, and one to see that it is full
  EXPECT_EQ(echo.stats().sent_bytes, 10U);
  EXPECT_TRUE(begins(written(echo, socket), "01 Switching")); // behind HTTP/1.1 1
  EXPECT_TRUE(written(echo, socket).empty());
}

TEST(Sockets, WhatWasTakenIsToldOfOneOrOfSeveral) {
  hub echo = make(ECHO_TOML);
  const std::uint64_t one = websocket(echo), other = websocket(echo);
  kinds(echo);
  EXPECT_TRUE(fine(echo.sent(at(1), one, 4)));
  const tethered_taken both[] = {{one, 5}, {other, 9}};
  EXPECT_TRUE(fine(echo.sent(at(1), both, 2)));
  EXPECT_TRUE(begins(written(echo, one), "101 Switching")); // behind "HTTP/1.1 "
  EXPECT_TRUE(begins(written(echo, other), "101 Switching"));
}

#ifdef __cpp_lib_span
TEST(Sockets, BytesMayComeInAsASpan) {
  hub echo = make(ECHO_TOML);
  const std::uint64_t socket = accept(echo);
  std::string text(UPGRADE);
  EXPECT_TRUE(fine(echo.received(at(1), socket, std::as_writable_bytes(std::span{text}))));
  EXPECT_EQ(count(kinds(echo), TETHERED_JOINED), 1U);
}
#endif

TEST(Sockets, ClosedTwiceDoesNoHarmAndIsFollowedByOneClose) {
  hub echo = make(ECHO_TOML);
  const std::uint64_t socket = websocket(echo);
  EXPECT_TRUE(fine(echo.closed(at(1), socket)));
  EXPECT_TRUE(fine(echo.closed(at(1), socket)));
  const std::vector<std::uint32_t> all = kinds(echo);
  EXPECT_EQ(count(all, TETHERED_CLOSE), 1U);
  EXPECT_TRUE(echo.closed(at(1), socket).is(TETHERED_STALE));
  EXPECT_TRUE(echo.sent(at(1), socket, 1).is(TETHERED_STALE));
  EXPECT_TRUE(kinds(echo).empty());
  EXPECT_EQ(echo.stats().sockets, 0U);
}

TEST(Sockets, PollHandsOutMoreThanFitIntoOneBatch) {
  hub echo = make(ECHO_TOML);
  for (std::uint64_t token = 1; token <= 200; token++) EXPECT_TRUE(fine(echo.closed(at(1), accept(echo, token))));
  std::uint64_t expected = 0;
  EXPECT_TRUE(fine(echo.poll([&](const tethered_action &action) {
    EXPECT_EQ(action.kind, static_cast<std::uint32_t>(TETHERED_CLOSE));
    EXPECT_EQ(action.token, ++expected);
  })));
  EXPECT_EQ(expected, 200U);
}

TEST(Sockets, TheDeadlineIsThatOfTheLastPollAndTickMeetsIt) {
  hub echo = make(ECHO_TOML);
  accept(echo); // who never says anything
  EXPECT_EQ(echo.deadline(), UINT64_MAX);
  EXPECT_TRUE(kinds(echo).empty());
  ASSERT_NE(echo.deadline(), UINT64_MAX);
  EXPECT_GT(echo.deadline(), 1U);
  for (int rounds = 0; rounds < 10 && echo.stats().sockets == 1; rounds++) {
    EXPECT_TRUE(fine(echo.tick(at(echo.deadline()))));
    kinds(echo);
  }
  EXPECT_EQ(echo.stats().sockets, 0U);
}

TEST(Sockets, AWrongArgumentIsSaidInTheLog) {
  hub echo = make(ECHO_TOML);
  const std::error_code error = echo.received(at(1), accept(echo), nullptr, 1);
  EXPECT_EQ(error, tethered::code(TETHERED_E_ARGUMENT));
  std::string said;
  echo.log([&](std::uint32_t level, std::string_view line) {
    EXPECT_EQ(level, static_cast<std::uint32_t>(TETHERED_LEVEL_WARN));
    said += line;
  });
  EXPECT_EQ(said, "tethered_received: bytes is NULL and has a length");
  echo.log([](std::uint32_t, std::string_view) { FAIL() << "a line is taken once"; });
}

TEST(Sockets, NoMoreAreTakenOnceTheHubDrains) {
  hub echo = make(ECHO_TOML);
  websocket(echo);
  kinds(echo);
  EXPECT_TRUE(fine(echo.drain(at(1))));
  std::uint64_t socket = 0, client = 0;
  EXPECT_TRUE(echo.accept(at(1), tethered_peer{}, socket).is(TETHERED_E_LIMIT));
  EXPECT_TRUE(echo.ask(at(1), tethered_request{}, socket).is(TETHERED_E_LIMIT));
  tethered_request request{};
  request.target = slice("/echo");
  EXPECT_TRUE(echo.join(at(1), request, socket, client).is(TETHERED_E_LIMIT));
  EXPECT_EQ(socket, 0U);
  EXPECT_EQ(count(kinds(echo), TETHERED_LEFT), 1U);
}

// The other doors, and the application.

TEST(Doors, ARequestComesWithItsHeadersAndIsAnswered) {
  hub house = make(HOUSE_TOML);
  const tethered_header headers[] = {header("Host", "h"), header("X-A", "1")};
  tethered_request request{};
  request.method = slice("GET");
  request.target = slice("/page");
  request.headers = headers;
  request.n_headers = 2;
  std::uint64_t socket = 0;
  ASSERT_TRUE(fine(house.ask(at(1), request, socket)));
  std::vector<std::uint32_t> all;
  EXPECT_TRUE(fine(house.poll([&](const tethered_action &action) {
    all.push_back(action.kind);
    EXPECT_EQ(action.socket, socket);
    tethered_request more{};
    if (action.kind == TETHERED_REQUEST) {
      ASSERT_TRUE(fine(house.details(action, more)));
      EXPECT_EQ(view(more.method), "GET");
      ASSERT_NE(tethered::find_header(more, "x-a"), nullptr);
      EXPECT_EQ(view(*tethered::find_header(more, "x-a")), "1");
      tethered_response response{};
      response.status = 404;
      response.body = slice("no");
      EXPECT_TRUE(fine(house.respond(at(1), action.socket, response)));
    }
    if (action.kind == TETHERED_RESPONSE) {
      ASSERT_TRUE(fine(house.details(action, more)));
      EXPECT_EQ(more.status, 404U);
      EXPECT_EQ(view(action.data), "no");
    }
  })));
  EXPECT_EQ(all, (std::vector<std::uint32_t>{TETHERED_REQUEST, TETHERED_RESPONSE, TETHERED_CLOSE}));
}

TEST(Doors, DetailsAreThoseOfTheLastPoll) {
  hub house = make(HOUSE_TOML);
  tethered_request request{};
  EXPECT_TRUE(house.details(tethered_action{}, request).is(TETHERED_STALE));
}

TEST(Doors, WhoseSessionIsAliveJoinsAndWhoHasNoneIsRefused) {
  hub house = make(HOUSE_TOML);
  tethered_request request{};
  request.target = slice("/stomp");
  std::uint64_t socket = 0, client = 0;
  EXPECT_TRUE(house.join(at(1), request, socket, client).is(TETHERED_REFUSED));
  const joined both = join_stomp(house, log_in(house));
  EXPECT_TRUE(fine(house.activity(at(2), both.client)));
  EXPECT_EQ(house.stats().sessions, 1U);
}

TEST(Doors, TheHostDecidesWhoGetsIn) {
  hub house = make("decide = true\n[[endpoint]]\npath = '/echo'\nprotocol = 'raw'\n");
  const joined in = join(house, "/echo"), out = join(house, "/echo");
  EXPECT_EQ(count(kinds(house), TETHERED_DECIDE), 2U);
  EXPECT_TRUE(fine(house.decide(at(1), in.client, TETHERED_ENTER, "rob")));
  EXPECT_TRUE(fine(house.decide(at(1), out.client, TETHERED_REFUSE)));
  EXPECT_EQ(kinds(house), (std::vector<std::uint32_t>{TETHERED_JOINED, TETHERED_CLOSE}));
  EXPECT_TRUE(house.decide(at(1), out.client, TETHERED_ENTER).is(TETHERED_STALE));
}

TEST(Doors, WholeMessagesGoInAndOut) {
  hub house = make(HOUSE_TOML);
  const joined both = join(house, "/echo");
  kinds(house);
  EXPECT_TRUE(fine(house.message(at(1), both.client, TETHERED_TEXT, "in")));
  EXPECT_EQ(data_of(house, TETHERED_DELIVER), "in");
  EXPECT_TRUE(fine(house.send(at(1), both.client, TETHERED_BINARY, "out\0"sv)));
  EXPECT_EQ(data_of(house, TETHERED_MESSAGE), "out\0"s);
}

TEST(Application, WhatIsPublishedComesToWhoSubscribed) {
  hub house = make(HOUSE_TOML);
  const joined both = join_stomp(house, log_in(house));
  subscribe(house, both.client, "/topic/a");
  const tethered_header extra = header("x", "y");
  std::uint64_t receivers = 7;
  EXPECT_TRUE(fine(house.publish(at(1), "/topic/a", "news", &extra, 1, &receivers)));
  EXPECT_EQ(receivers, 1U);
  const std::string frame = data_of(house, TETHERED_MESSAGE);
  EXPECT_TRUE(begins(frame, "MESSAGE\n")) << frame;
  EXPECT_NE(frame.find("\nx:y\n"), std::string::npos) << frame;
  EXPECT_NE(frame.find("\n\nnews\0"s), std::string::npos) << frame;
  EXPECT_TRUE(fine(house.publish(at(1), "/topic/b", "news", nullptr, 0, &receivers)));
  EXPECT_EQ(receivers, 0U);
}

TEST(Application, WhatIsPublishedToAUserComesToThatUserOnly) {
  hub house = make(HOUSE_TOML);
  const joined both = join_stomp(house, log_in(house));
  subscribe(house, both.client, "/user/queue/a");
  std::uint64_t receivers = 7;
  EXPECT_TRUE(fine(house.publish_to_user(at(1), "bob", "/queue/a", "x", nullptr, 0, &receivers)));
  EXPECT_EQ(receivers, 0U);
  EXPECT_TRUE(fine(house.publish_to_user(at(1), "rob", "/queue/a", "x", nullptr, 0, &receivers)));
  EXPECT_EQ(receivers, 1U);
  EXPECT_NE(data_of(house, TETHERED_MESSAGE).find("\n\nx\0"s), std::string::npos);
}

TEST(Application, ASubscribeIsAnsweredWithOneMessage) {
  hub house = make(HOUSE_TOML);
  const joined both = join_stomp(house, log_in(house));
  subscribe(house, both.client, "/app/x");
  std::string got;
  EXPECT_TRUE(fine(house.poll([&](const tethered_action &action) {
    if (action.kind == TETHERED_DELIVER && action.flags == TETHERED_SUBSCRIBE) {
      EXPECT_TRUE(fine(house.answer(at(1), action, "here")));
    }
    if (action.kind == TETHERED_MESSAGE) got += view(action.data);
  })));
  EXPECT_NE(got.find("\nsubscription:q\n"), std::string::npos) << got;
  EXPECT_NE(got.find("\n\nhere\0"s), std::string::npos) << got;
}

// What ends clients.

TEST(Ends, AClientByItsId) {
  hub house = make(HOUSE_TOML);
  const joined both = join(house, "/echo");
  kinds(house);
  EXPECT_TRUE(fine(house.end_client(at(1), both.client)));
  EXPECT_EQ(data_of(house, TETHERED_LEFT), "revoked");
  EXPECT_TRUE(house.activity(at(1), both.client).is(TETHERED_STALE));
}

TEST(Ends, ASessionWithAllItsClients) {
  hub house = make(HOUSE_TOML);
  const std::string cookie = log_in(house);
  join_stomp(house, cookie);
  join_stomp(house, cookie);
  std::string session;
  const joined third = join_stomp(house, cookie);
  subscribe(house, third.client, "/app/x");
  EXPECT_TRUE(fine(house.poll([&](const tethered_action &action) {
    tethered_request more{};
    if (action.kind == TETHERED_DELIVER && house.details(action, more).ok()) session = view(more.session);
  })));
  std::uint64_t ended = 7;
  EXPECT_TRUE(fine(house.end_session(at(1), "nobody's", &ended)));
  EXPECT_EQ(ended, 0U);
  EXPECT_TRUE(fine(house.end_session(at(1), session, &ended)));
  EXPECT_EQ(ended, 3U);
}

TEST(Ends, AUserButForOneSession) {
  hub house = make(HOUSE_TOML);
  const joined both = join_stomp(house, log_in(house));
  subscribe(house, both.client, "/app/x");
  std::string session;
  EXPECT_TRUE(fine(house.poll([&](const tethered_action &action) {
    tethered_request more{};
    if (action.kind == TETHERED_DELIVER && house.details(action, more).ok()) session = view(more.session);
  })));
  std::uint64_t ended = 7;
  EXPECT_TRUE(fine(house.end_user(at(1), "rob", session, &ended)));
  EXPECT_EQ(ended, 0U);
  EXPECT_TRUE(fine(house.end_user(at(1), "rob", {}, &ended, TETHERED_CAUSE_LOGGED_OUT)));
  EXPECT_EQ(ended, 1U);
}

TEST(Ends, CloseClientTellsTheCodeAndTheReason) {
  hub house = make(HOUSE_TOML);
  const joined both = join(house, "/echo");
  kinds(house);
  EXPECT_TRUE(fine(house.close_client(at(1), both.client, 4000, "enough")));
  EXPECT_TRUE(fine(house.poll([&](const tethered_action &action) {
    if (action.kind != TETHERED_CLOSE) return;
    EXPECT_EQ(action.flags, 4000U);
    EXPECT_EQ(view(action.data), "enough");
  })));
  EXPECT_TRUE(house.close_client(at(1), both.client, 4000).is(TETHERED_STALE));
}

// Stores, and other hubs.

TEST(Stores, OneOutsideIsAskedAndSaysWhatBecameOfASession) {
  hub house = make("store = 'external'\n[[endpoint]]\npath = '/own'\nprotocol = 'raw'\nlogin = true\n");
  EXPECT_TRUE(fine(house.notices(at(1), true)));
  join(house, "/own", "SESSION=YWJj");
  bool alive = true;
  std::vector<std::string> asked;
  const auto store = [&](const tethered_action &action) {
    if (action.kind != TETHERED_SESSION) return;
    asked.emplace_back(action.argv[0], action.argvlen[0]);
    tethered_item items[2]{};
    items[0].kind = items[1].kind = TETHERED_REPLY_BULK;
    items[0].bytes = slice("abc");
    items[1].bytes = slice("rob");
    if (!alive) EXPECT_TRUE(fine(house.reply(at(1), action.id, TETHERED_REPLY_NIL)));
    else if (asked.back() == "LOAD") EXPECT_TRUE(fine(house.reply(at(1), action.id, TETHERED_REPLY_LIST, 60000, items, 2)));
    else EXPECT_TRUE(fine(house.reply(at(1), action.id, TETHERED_REPLY_INT, 60000)));
  };
  EXPECT_TRUE(fine(house.poll(store)));
  EXPECT_EQ(house.stats().sessions, 1U);
  EXPECT_EQ(asked, (std::vector<std::string>{"LOAD", "TOUCH"}));
  EXPECT_TRUE(fine(house.tick(at(1000)))); // it lives for longer
  EXPECT_TRUE(fine(house.poll(store)));
  EXPECT_EQ(house.stats().sessions, 1U);
  EXPECT_EQ(asked.size(), 2U);
  alive = false;
  EXPECT_TRUE(fine(house.session_notice(at(1), "abc", TETHERED_FATE_DELETED)));
  EXPECT_TRUE(fine(house.poll(store)));
  EXPECT_EQ(house.stats().sessions, 0U);
  EXPECT_TRUE(house.session_notice(at(1), "abc", TETHERED_FATE_RENAMED).is(TETHERED_E_ARGUMENT));
  EXPECT_TRUE(fine(house.session_notice(at(1), "abc", TETHERED_FATE_RENAMED, "def")));
  EXPECT_TRUE(fine(house.notices(at(1), false)));
}

TEST(Stores, ARedisIsTalkedToOnceItIsConnected) {
  hub house = make("store = 'redis'");
  EXPECT_EQ(count(kinds(house), TETHERED_REDIS), 0U);
  EXPECT_TRUE(fine(house.connected(at(1), TETHERED_NOTICES)));
  EXPECT_GT(count(kinds(house), TETHERED_REDIS), 0U);
  EXPECT_TRUE(fine(house.notice(at(1), "__keyevent@0__:del", "spring:session:sessions:abc")));
  EXPECT_TRUE(fine(house.notice(at(1), "__keyevent@0__:del", "spring:session:sessions:abc", 1)));
  EXPECT_TRUE(fine(house.disconnected(at(1), TETHERED_NOTICES)));
  EXPECT_TRUE(house.connected(at(1), 77).is(TETHERED_E_ARGUMENT));
}

TEST(Hubs, TellEachOtherWhatTheirApplicationsAnnounce) {
  hub one = make(HOUSE_TOML), other;
  tethered::config config;
  ASSERT_TRUE(fine(config.parse(HOUSE_TOML)));
  ASSERT_TRUE(fine(other.open(config, hub::seed{9}, at(0))));
  EXPECT_TRUE(fine(one.announce(at(1), "hello")));
  const std::string relayed = data_of(one, TETHERED_RELAY);
  ASSERT_FALSE(relayed.empty());
  EXPECT_TRUE(fine(one.relayed(at(1), relayed))); // its own: ignored
  EXPECT_TRUE(kinds(one).empty());
  EXPECT_TRUE(fine(other.relayed(at(1), relayed)));
  EXPECT_EQ(data_of(other, TETHERED_ANNOUNCED), "hello");
}

TEST(Hubs, CountWhatTheyHaveAndHaveDone) {
  hub echo = make(ECHO_TOML);
  const std::uint64_t socket = websocket(echo);
  kinds(echo);
  EXPECT_EQ(echo.stats().sockets, 1U);
  EXPECT_EQ(echo.stats().clients, 1U);
  EXPECT_EQ(echo.stats().received_bytes, UPGRADE.size());
  EXPECT_TRUE(fine(echo.closed(at(1), socket)));
  kinds(echo);
  EXPECT_EQ(echo.stats().sockets, 0U);
  EXPECT_EQ(echo.stats().closed, 1U);
}
