/* A C++ server with a WebSocket stack of its own, Boost.Beast, that leaves its logins to tethered: a room at /room where each
 * hears what all say, for those who are logged in. When a login ends, its WebSockets are closed with 1008.
 *
 *   c++ -std=c++17 -O2 beast_session.cpp $(pkg-config --cflags --libs tethered) -lpthread -o room
 *   room [PORT [SESSION_TIMEOUT]], then http://127.0.0.1:PORT/
 *
 * The hub sees no WebSocket frame. It is asked what to answer to HTTP requests (ask), told who opened a WebSocket (join) and
 * that somebody spoke (activity), and says who is there (JOINED, LEFT) and whose WebSocket has to be closed (CLOSE). */
#include "tethered.hpp"

#include <boost/asio.hpp>
#include <boost/beast.hpp>

#include <chrono>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using boost::beast::error_code;

static constexpr std::size_t most_waiting = 256; /* messages for one who does not read */
static constexpr std::chrono::seconds patience{5};

static tethered_now now() {
  using namespace std::chrono;
  const auto ms = [](auto since) { return static_cast<std::uint64_t>(duration_cast<milliseconds>(since).count()); };
  return {ms(steady_clock::now().time_since_epoch()), ms(system_clock::now().time_since_epoch())};
}

static std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

class connection;

/* The hub, and whom its tokens mean. */
class room {
  net::io_context &io_;
  net::steady_timer timer_{io_};
  tethered::hub hub_;
  std::unordered_map<std::uint64_t, std::shared_ptr<connection>> connections_; /* by token, until TETHERED_CLOSE */
  std::uint64_t tokens_ = 0;
  std::vector<std::string> said_;
  bool due_ = false;

  void act();
  void do_it(const tethered_action &action);
  void request(const tethered_action &action);

public:
  room(net::io_context &io, std::string_view timeout);
  bool ask(const std::shared_ptr<connection> &from, const http::request<http::string_body> &request);
  std::int32_t join(const std::shared_ptr<connection> &who, const http::request<http::string_body> &request);
  void heard(std::uint64_t client, std::string text);
  void closed(std::uint64_t socket);
  void too_slow(std::uint64_t client);
  void drain();
  /* What is there to do is done once, behind all that happens in this turn of the loop. */
  void later() {
    if (!std::exchange(due_, true)) net::post(io_, [this] { act(); });
  }
};

/* A connection of a browser: HTTP first, then perhaps a WebSocket. */
class connection : public std::enable_shared_from_this<connection> {
  room &room_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
  std::optional<websocket::stream<beast::tcp_stream>> ws_;
  std::deque<std::string> waiting_; /* the first is being written */
  net::steady_timer timer_;
  bool closing_ = false;

public:
  std::uint64_t socket = 0, client = 0; /* the hub's ids, behind join */
  std::string name;                     /* who it is, while it is in the room */

  connection(room &room, net::ip::tcp::socket socket) : room_{room}, stream_{std::move(socket)}, timer_{stream_.get_executor()} {}

  tethered_slice address(std::array<std::uint8_t, 4> &bytes) {
    error_code error;
    bytes = beast::get_lowest_layer(ws_ ? ws_->next_layer() : stream_).socket().remote_endpoint(error).address().to_v4().to_bytes();
    return {bytes.data(), error ? 0 : bytes.size()};
  }

  void read_request() {
    parser_.emplace();
    parser_->body_limit(65536);
    stream_.expires_after(std::chrono::seconds{60});
    http::async_read(stream_, buffer_, *parser_, [self = shared_from_this()](error_code error, std::size_t) {
      if (error) return;
      const auto &request = self->parser_->get();
      if (websocket::is_upgrade(request)) self->upgrade();
      else if (!self->room_.ask(self, request)) self->answer(503, "", {});
    });
  }

  void answer(unsigned status, std::string_view body, const tethered_request &details) {
    response_ = {};
    response_.result(status);
    for (std::size_t i = 0; i < details.n_headers; i++) {
      const std::string_view header = tethered::view(details.headers[i].name), value = tethered::view(details.headers[i].value);
      response_.insert({header.data(), header.size()}, {value.data(), value.size()});
    }
    response_.keep_alive(parser_->get().keep_alive());
    response_.body() = body;
    response_.prepare_payload();
    http::async_write(stream_, response_, [self = shared_from_this()](error_code error, std::size_t) {
      if (!error && self->response_.keep_alive()) self->read_request();
    });
  }

  void upgrade() {
    stream_.expires_never(); /* a WebSocket has times of its own */
    ws_.emplace(std::move(stream_));
    ws_->set_option(websocket::stream_base::timeout::suggested(beast::role_type::server));
    ws_->read_message_max(65536);
    ws_->auto_fragment(false);
    ws_->text(true);
    ws_->async_accept(parser_->get(), [self = shared_from_this()](error_code error) {
      if (error) return;
      const std::int32_t status = self->room_.join(self, self->parser_->get());
      if (status == TETHERED_OK) self->read_message();
      else if (status == TETHERED_REFUSED) self->close(1008, "A login is needed first.");
      else self->close(1013, "Try again later.");
    });
  }

  void read_message() {
    ws_->async_read(buffer_, [self = shared_from_this()](error_code error, std::size_t) {
      if (error) return self->room_.closed(self->socket);
      self->room_.heard(self->client, beast::buffers_to_string(self->buffer_.data()));
      self->buffer_.clear();
      self->read_message();
    });
  }

  void say(const std::string &text) {
    if (closing_) return;
    if (waiting_.size() == most_waiting) return room_.too_slow(client);
    waiting_.push_back(text);
    if (waiting_.size() == 1) write_message();
  }

  void write_message() {
    ws_->async_write(net::buffer(waiting_.front()), [self = shared_from_this()](error_code error, std::size_t) {
      if (error || self->closing_) return; /* reading says so too */
      self->waiting_.pop_front();
      if (!self->waiting_.empty()) self->write_message();
    });
  }

  /* What waits is not sent any more. Who does not read its Close either is cut off. */
  void close(std::uint32_t code, std::string_view reason) {
    if (!ws_ || !ws_->is_open() || std::exchange(closing_, true)) return;
    const websocket::close_reason why{static_cast<websocket::close_code>(code ? code : 1000), {reason.data(), reason.size()}};
    ws_->async_close(why, [self = shared_from_this()](error_code) { self->timer_.cancel(); });
    timer_.expires_after(patience);
    timer_.async_wait([self = shared_from_this()](error_code error) {
      if (!error) beast::get_lowest_layer(*self->ws_).close();
    });
  }
};

/* What was asked, as the hub takes it. */
struct asked {
  std::vector<tethered_header> headers;
  std::array<std::uint8_t, 4> address;
  tethered_request request{};

  asked(const http::request<http::string_body> &from, connection &peer, std::uint64_t token) {
    for (const auto &field : from) headers.push_back(tethered::header(view(field.name_string()), view(field.value())));
    request.token = token;
    request.method = tethered::slice(view(from.method_string()));
    request.target = tethered::slice(view(from.target()));
    request.body = tethered::slice(from.body());
    request.address = peer.address(address);
    request.headers = headers.data();
    request.n_headers = headers.size();
  }
};

room::room(net::io_context &io, std::string_view timeout) : io_{io} {
  tethered::config config;
  tethered::hub::seed seed;
  std::random_device random;
  for (auto &byte : seed) byte = static_cast<std::uint8_t>(random());
  const std::string toml = "requests = true\nsession-timeout = '" + std::string{timeout} +
                           "'\n[[endpoint]]\npath = '/room'\nprotocol = 'raw'\nlogin = true\n";
  if (config.parse(toml)) std::cerr << config.why() << '\n', std::exit(2);
  if (const auto opened = hub_.open(config, seed, now())) std::cerr << opened.message() << '\n', std::exit(2);
}

bool room::ask(const std::shared_ptr<connection> &from, const http::request<http::string_body> &request) {
  std::uint64_t socket = 0;
  const asked it{request, *from, ++tokens_};
  if (hub_.ask(now(), it.request, socket)) return false;
  connections_.emplace(tokens_, from);
  later();
  return true;
}

std::int32_t room::join(const std::shared_ptr<connection> &who, const http::request<http::string_body> &request) {
  asked it{request, *who, ++tokens_};
  it.request.method = it.request.body = tethered::nothing();
  const auto joined = hub_.join(now(), it.request, who->socket, who->client);
  if (joined.is(TETHERED_OK)) connections_.emplace(tokens_, who);
  later();
  return joined.value();
}

/* Who speaks renews its login. If it has none any more, it is not heard. */
void room::heard(std::uint64_t client, std::string text) {
  if (hub_.activity(now(), client).is(TETHERED_OK)) said_.push_back(std::move(text));
  later();
}

void room::closed(std::uint64_t socket) {
  static_cast<void>(hub_.closed(now(), socket));
  later();
}

void room::too_slow(std::uint64_t client) {
  static_cast<void>(hub_.close_client(now(), client, 1013, "You do not read what you are sent."));
  later();
}

void room::drain() {
  static_cast<void>(hub_.drain(now()));
  later();
}

/* First whose login has ended leaves, then who is still there hears what was said. */
void room::act() {
  due_ = false;
  static_cast<void>(hub_.tick(now()));
  const auto polled = hub_.poll([this](const tethered_action &action) { do_it(action); });
  if (polled) std::cerr << polled.message() << '\n', std::exit(1);
  for (const auto &text : std::exchange(said_, {}))
    for (const auto &[token, who] : connections_)
      if (!who->name.empty()) who->say(text);
  hub_.log([](std::uint32_t, std::string_view line) { std::cerr << line << '\n'; });
  if (hub_.deadline() == UINT64_MAX) return;
  timer_.expires_at(std::chrono::steady_clock::time_point{std::chrono::milliseconds{hub_.deadline()}});
  timer_.async_wait([this](error_code error) {
    if (!error) act();
  });
}

void room::do_it(const tethered_action &action) {
  const auto found = connections_.find(action.token);
  tethered_request details{};
  switch (action.kind) {
  case TETHERED_REQUEST: request(action); break;
  case TETHERED_RESPONSE:
    if (!hub_.details(action, details))
      found->second->answer(static_cast<unsigned>(action.id), tethered::view(action.data), details);
    break;
  case TETHERED_JOINED: found->second->name = tethered::view(action.name); break;
  case TETHERED_LEFT: found->second->name.clear(); break;
  case TETHERED_CLOSE: /* of a request: it has been answered */
    found->second->close(action.flags, tethered::view(action.data));
    connections_.erase(found);
    break;
  default: break;
  }
}

static const char page[] =
    "<!doctype html><meta charset=utf-8><title>Room</title><form method=post action=/logout><button>Log out</button></form>"
    "<form id=say><input id=text><button>Say</button></form><pre id=log></pre><script>\n"
    "const ws = new WebSocket(location.origin.replace('http', 'ws') + '/room'), log = document.getElementById('log');\n"
    "ws.onmessage = (event) => log.append(event.data + '\\n');\n"
    "ws.onclose = (event) => log.append(event.code + ' ' + event.reason + '\\n');\n"
    "say.onsubmit = () => { ws.send(text.value); return false; };\n</script>";
static const char login_page[] =
    "<!doctype html><meta charset=utf-8><title>Log in</title><form method=post action=/login>"
    "<input name=user placeholder=rob><input name=password type=password><button>Log in</button></form>";

/* Pages, a login and a logout. A form that a page of another server sent is refused. */
void room::request(const tethered_action &action) {
  tethered_request asked{};
  if (hub_.details(action, asked)) return;
  const std::string_view method = tethered::view(asked.method), path = tethered::view(asked.target);
  const std::string_view principal = tethered::view(asked.principal), form = tethered::view(asked.body);
  const tethered_slice *origin = tethered::find_header(asked, "origin"), *host = tethered::find_header(asked, "host");
  const bool ours = origin == nullptr || (host != nullptr && tethered::view(*origin) == "http://" + std::string{tethered::view(*host)});
  tethered_header header = tethered::header("Content-Type", "text/html; charset=utf-8");
  tethered_response response{};
  response.status = 200, response.headers = &header, response.n_headers = 1;
  const auto go = [&](std::string_view to) { response.status = 302, header = tethered::header("Location", to); };
  if (method == "POST" && !ours) {
    response.status = 403;
  } else if (method == "POST" && path == "/login") {
    go(form == "user=rob&password=password" || form == "user=luke&password=password" ? "/" : "/login");
    if (tethered::view(header.value) == "/") {
      response.change = TETHERED_CHANGE_LOGIN;
      response.principal = tethered::slice(form.substr(5, form.find('&') - 5));
    }
  } else if (method == "POST" && path == "/logout") {
    go("/login");
    if (!principal.empty()) response.change = TETHERED_CHANGE_LOGOUT;
  } else if (method == "GET" && path == "/login") {
    response.body = tethered::slice(login_page);
  } else if (method == "GET" && path == "/") {
    if (principal.empty()) go("/login");
    else response.body = tethered::slice(page);
  } else {
    response.status = 404;
  }
  static_cast<void>(hub_.respond(now(), action.socket, response));
}

static void accept(net::ip::tcp::acceptor &acceptor, room &room) {
  acceptor.async_accept([&](error_code error, net::ip::tcp::socket socket) {
    if (error == net::error::operation_aborted) return;
    if (!error) std::make_shared<connection>(room, std::move(socket))->read_request();
    accept(acceptor, room);
  });
}

int main(int argc, char **argv) {
  net::io_context io{1};
  room room{io, argc > 2 ? argv[2] : "30m"};
  const auto port = static_cast<unsigned short>(argc > 1 ? std::atoi(argv[1]) : 8080);
  net::ip::tcp::acceptor acceptor{io, {net::ip::address_v4::loopback(), port}};
  std::cout << "http://" << acceptor.local_endpoint() << '/' << std::endl;
  accept(acceptor, room);
  net::signal_set signals{io, SIGINT, SIGTERM};
  net::steady_timer goodbye{io};
  signals.async_wait([&](error_code, int) { /* each WebSocket gets its Close, and has a second to take it */
    acceptor.close();
    room.drain();
    goodbye.expires_after(std::chrono::seconds{1});
    goodbye.async_wait([&](error_code) { io.stop(); });
  });
  io.run();
}
