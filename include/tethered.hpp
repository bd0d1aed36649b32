/*
 * tethered.hpp: tethered.h for C++17 and later. Header only, and nothing of it crosses the ABI: link the C library.
 *
 * No exceptions are needed (it compiles with -fno-exceptions -fno-rtti) and none are thrown: what can fail returns a
 * std::error_code, whose message() is tethered_strerror's. Handles move and do not copy; destroyed is freed. Text and bytes
 * are std::string_view, with C++20 also std::span. What the library lends lives as long as tethered.h says: views do not
 * make it live longer.
 *
 *   tethered::hub hub;
 *   tethered::config config;
 *   if (auto e = config.parse("[[endpoint]]\npath = '/echo'\nprotocol = 'raw'\n")) return fail(config.why());
 *   if (auto e = hub.open(config, seed, now())) return fail(e.message());
 *   ...
 *   hub.poll([&](const tethered_action &a) {          // until nothing is left; hub.deadline() is fresh then
 *     switch (a.kind) {
 *     case TETHERED_WRITE:   hub.flush(now(), a.socket, [&](auto *v, auto n) { return write(a.token, v, n); }); break;
 *     case TETHERED_DELIVER: hub.send(now(), a.id, a.flags, tethered::view(a.data)); break;
 *     case TETHERED_CLOSE:   close(a.token); break;
 *     }
 *   });
 */
#ifndef TETHERED_HPP
#define TETHERED_HPP

#include "tethered.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#if defined(__cpp_lib_span) || (defined(__has_include) && __cplusplus >= 202002L)
#include <span>
#endif

namespace tethered {

/* Statuses as error codes: e.message() is tethered_strerror's sentence. */
inline const std::error_category &category() noexcept {
  struct statuses final : std::error_category {
    const char *name() const noexcept override { return "tethered"; }
    std::string message(int status) const override { return tethered_strerror(status); }
  };
  static const statuses one;
  return one;
}

/* The error of a status; none for success, with a remark or not. */
inline std::error_code code(std::int32_t status) noexcept {
  return status < 0 ? std::error_code{status, category()} : std::error_code{};
}

/* What is lent, to be looked at. */
inline std::string_view view(tethered_slice slice) noexcept {
  return slice.len == 0 ? std::string_view{} : std::string_view{reinterpret_cast<const char *>(slice.ptr), slice.len};
}

/* What is to be passed on. */
inline tethered_slice slice(std::string_view bytes) noexcept {
  return tethered_slice{reinterpret_cast<const std::uint8_t *>(bytes.data()), bytes.size()};
}

inline tethered_slice nothing() noexcept { return tethered_slice{nullptr, 0}; }

inline tethered_header header(std::string_view name, std::string_view value) noexcept {
  return tethered_header{slice(name), slice(value)};
}

#ifdef __cpp_lib_span
inline tethered_slice slice(std::span<const std::byte> bytes) noexcept {
  return tethered_slice{reinterpret_cast<const std::uint8_t *>(bytes.data()), bytes.size()};
}

inline tethered_slice slice(std::span<const std::uint8_t> bytes) noexcept {
  return tethered_slice{bytes.data(), bytes.size()};
}

inline std::span<const std::uint8_t> bytes(tethered_slice slice) noexcept { return {slice.ptr, slice.len}; }

inline std::span<const tethered_header> headers(const tethered_request &request) noexcept {
  return {request.headers, request.n_headers};
}
#endif

/* The value of an attribute of a request's session; NULL if it has none of this name. */
inline const tethered_slice *find_attribute(const tethered_request &request, std::string_view name) noexcept {
  for (std::size_t i = 0; i < request.n_attributes; i++)
    if (view(request.attributes[i].name) == name) return &request.attributes[i].value;
  return nullptr;
}

/* A session's CSRF token, masked by as many fresh random bytes as it has; empty where these are not as many. */
inline std::string csrf_mask(std::string_view token, std::string_view random) {
  std::size_t len = 0;
  if (token.size() != random.size()) return {};
  const auto *bytes = reinterpret_cast<const std::uint8_t *>(random.data());
  static_cast<void>(tethered_csrf_mask(slice(token), bytes, nullptr, 0, &len));
  std::string masked;
  masked.resize(len);
  if (tethered_csrf_mask(slice(token), bytes, masked.data(), len, &len) != TETHERED_OK) return {};
  return masked;
}

/* Whether what a form or a header carried is this token, masked. */
inline bool csrf_matches(std::string_view masked, std::string_view token) noexcept {
  return tethered_csrf_matches(slice(masked), slice(token)) == TETHERED_OK;
}

/* The value of the first header of this name, ignoring case in ASCII; NULL if there is none. */
inline const tethered_slice *find_header(const tethered_request &request, std::string_view name) noexcept {
  const auto low = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; };
  for (std::size_t i = 0; i < request.n_headers; i++) {
    const std::string_view own = view(request.headers[i].name);
    bool same = own.size() == name.size();
    for (std::size_t at = 0; same && at < own.size(); at++) same = low(own[at]) == low(name[at]);
    if (same) return &request.headers[i].value;
  }
  return nullptr;
}

/* A call's status with all of its remarks: is(TETHERED_STALE), pressure and the like; false as long as it did not fail. */
class status {
  std::int32_t status_;

public:
  status(std::int32_t given) noexcept : status_{given} {}
  std::int32_t value() const noexcept { return status_; }
  bool is(std::int32_t other) const noexcept { return status_ == other; }
  bool ok() const noexcept { return status_ >= 0; }
  std::string_view message() const noexcept { return tethered_strerror(status_); }
  operator std::error_code() const noexcept { return code(status_); }
  explicit operator bool() const noexcept { return status_ < 0; }
};

/* How a hub is set up: the C struct, and text that outlives it. */
class config {
  tethered_config config_;
  std::unique_ptr<std::string> toml_; /* boxed, so that it stays where it is when this moves */
  std::string why_;

  void trade(config &other) noexcept {
    std::swap(config_, other.config_);
    toml_.swap(other.toml_);
    why_.swap(other.why_);
  }

public:
  config() noexcept { tethered_config_init(&config_, sizeof config_); }
  /* What is moved from is the default of everything again. */
  config(config &&other) noexcept : config() { trade(other); }
  config &operator=(config &&other) noexcept {
    config taken(std::move(other));
    trade(taken);
    return *this;
  }

  /* Reads TOML, as tethered_config_parse has it; why() is what is wrong with it. */
  status parse(std::string_view toml) {
    auto text = std::make_unique<std::string>(toml);
    why_.assign(512, '\0');
    const status read = tethered_config_parse(&config_, sizeof config_, slice(*text), why_.data(), why_.size());
    if (read.ok()) toml_ = std::move(text);
    why_.resize(std::char_traits<char>::length(why_.c_str()));
    return read;
  }

  /* Whether a hub would take it; why() is what is wrong with it. */
  status check() {
    why_.assign(512, '\0');
    const status checked = tethered_config_check(&config_, sizeof config_, why_.data(), why_.size());
    why_.resize(std::char_traits<char>::length(why_.c_str()));
    return checked;
  }

  std::string_view why() const noexcept { return why_; }
  tethered_config *operator->() noexcept { return &config_; }
  const tethered_config *get() const noexcept { return &config_; }
};

/* A hub. Everything that tethered.h has for one is here under its own name, without the prefix. */
class hub {
  struct free {
    void operator()(tethered_hub *hub) const noexcept { tethered_hub_free(hub); }
  };
  std::unique_ptr<tethered_hub, free> hub_;
  std::uint64_t deadline_ = UINT64_MAX;

public:
  using seed = std::array<std::uint8_t, 16>;

  hub() noexcept = default;
  hub(hub &&other) noexcept : hub_(std::move(other.hub_)), deadline_(std::exchange(other.deadline_, UINT64_MAX)) {}
  hub &operator=(hub &&other) noexcept {
    hub_ = std::move(other.hub_);
    deadline_ = std::exchange(other.deadline_, UINT64_MAX);
    return *this;
  }

  /* Makes the hub; one that was there before is freed. */
  status open(const tethered_config *how, const seed &random, tethered_now now) noexcept {
    tethered_hub *made = nullptr;
    const std::int32_t opened = tethered_hub_new(how, how == nullptr ? 0 : sizeof *how, random.data(), now, &made);
    if (opened >= 0) {
      hub_.reset(made);
      deadline_ = UINT64_MAX;
    }
    return opened;
  }
  status open(const config &how, const seed &random, tethered_now now) noexcept { return open(how.get(), random, now); }

  /* The C handle: nothing is out of reach. */
  tethered_hub *get() const noexcept { return hub_.get(); }
  explicit operator bool() const noexcept { return hub_ != nullptr; }

  /* When tick is due, as of the last poll; UINT64_MAX: never. */
  std::uint64_t deadline() const noexcept { return deadline_; }

  /* Calls f(const tethered_action &) for everything that is to be done, until nothing is left. */
  template <class F> status poll(F &&f) {
    std::array<tethered_action, 64> actions;
    std::int32_t count;
    while ((count = tethered_poll(get(), actions.data(), sizeof actions[0], actions.size(), &deadline_)) > 0)
      for (std::int32_t i = 0; i < count; i++) f(static_cast<const tethered_action &>(actions[static_cast<std::size_t>(i)]));
    return count;
  }

  /* Has w(const tethered_slice *, std::size_t) write what waits, until it takes nothing more: it returns how many bytes it
   * took, 0 if the socket is full. */
  template <class W> status flush(tethered_now now, std::uint64_t socket, W &&w) {
    std::array<tethered_slice, 16> slices;
    while (const std::size_t count = tethered_output(get(), socket, slices.data(), slices.size())) {
      const std::size_t taken = w(static_cast<const tethered_slice *>(slices.data()), count);
      if (taken == 0) break;
      if (const status told = tethered_sent(get(), now, socket, taken)) return told;
    }
    return TETHERED_OK;
  }

  status accept(tethered_now now, const tethered_peer &peer, std::uint64_t &socket) noexcept {
    return tethered_open(get(), now, &peer, sizeof peer, &socket);
  }
  status ask(tethered_now now, const tethered_request &request, std::uint64_t &socket) noexcept {
    return tethered_ask(get(), now, &request, sizeof request, &socket);
  }
  status join(tethered_now now, const tethered_request &request, std::uint64_t &socket, std::uint64_t &client) noexcept {
    return tethered_join(get(), now, &request, sizeof request, &socket, &client);
  }
  status received(tethered_now now, std::uint64_t socket, void *bytes, std::size_t len) noexcept {
    return tethered_received(get(), now, socket, static_cast<std::uint8_t *>(bytes), len);
  }
#ifdef __cpp_lib_span
  status received(tethered_now now, std::uint64_t socket, std::span<std::byte> bytes) noexcept {
    return received(now, socket, bytes.data(), bytes.size());
  }
#endif
  status sent(tethered_now now, std::uint64_t socket, std::size_t len) noexcept {
    return tethered_sent(get(), now, socket, len);
  }
  status sent(tethered_now now, const tethered_taken *taken, std::size_t count) noexcept {
    return tethered_sent_many(get(), now, taken, count);
  }
  status closed(tethered_now now, std::uint64_t socket) noexcept { return tethered_closed(get(), now, socket); }
  status message(tethered_now now, std::uint64_t client, std::uint32_t kind, std::string_view data) noexcept {
    return tethered_message(get(), now, client, kind, slice(data));
  }
  status activity(tethered_now now, std::uint64_t client) noexcept { return tethered_activity(get(), now, client, 0); }
  status tick(tethered_now now) noexcept { return tethered_tick(get(), now); }

  status respond(tethered_now now, std::uint64_t socket, const tethered_response &response) noexcept {
    return tethered_respond(get(), now, socket, &response, sizeof response);
  }
  status decide(tethered_now now, std::uint64_t client, std::uint32_t verdict, std::string_view principal = {}) noexcept {
    return tethered_decide(get(), now, client, verdict, slice(principal));
  }
  /* What is known of an action besides; lent as long as the action. */
  status details(const tethered_action &action, tethered_request &out) const noexcept {
    return tethered_details(get(), action.details, &out, sizeof out);
  }

  status send(tethered_now now, std::uint64_t client, std::uint32_t kind, std::string_view data) noexcept {
    return tethered_send(get(), now, client, kind, slice(data));
  }
  status publish(tethered_now now, std::string_view destination, std::string_view body,
                 const tethered_header *headers = nullptr, std::size_t n_headers = 0,
                 std::uint64_t *receivers = nullptr) noexcept {
    return tethered_publish(get(), now, nothing(), slice(destination), headers, n_headers, slice(body), receivers);
  }
  status publish_to_user(tethered_now now, std::string_view user, std::string_view destination, std::string_view body,
                         const tethered_header *headers = nullptr, std::size_t n_headers = 0,
                         std::uint64_t *receivers = nullptr) noexcept {
    return tethered_publish(get(), now, slice(user), slice(destination), headers, n_headers, slice(body), receivers);
  }
  status answer(tethered_now now, const tethered_action &subscribe, std::string_view body,
                const tethered_header *headers = nullptr, std::size_t n_headers = 0) noexcept {
    return tethered_answer(get(), now, subscribe.id, subscribe.data, subscribe.name, headers, n_headers, slice(body));
  }
  status end_client(tethered_now now, std::uint64_t client, std::uint32_t cause = TETHERED_CAUSE_REVOKED) noexcept {
    const tethered_slice who{reinterpret_cast<const std::uint8_t *>(&client), sizeof client};
    return tethered_end(get(), now, TETHERED_WHO_CLIENT, who, nothing(), cause, nullptr);
  }
  status end_session(tethered_now now, std::string_view session, std::uint64_t *ended = nullptr,
                     std::uint32_t cause = TETHERED_CAUSE_REVOKED) noexcept {
    return tethered_end(get(), now, TETHERED_WHO_SESSION, slice(session), nothing(), cause, ended);
  }
  status end_user(tethered_now now, std::string_view user, std::string_view except_session = {},
                  std::uint64_t *ended = nullptr, std::uint32_t cause = TETHERED_CAUSE_REVOKED) noexcept {
    return tethered_end(get(), now, TETHERED_WHO_USER, slice(user), slice(except_session), cause, ended);
  }
  status close_client(tethered_now now, std::uint64_t client, std::uint32_t close_code, std::string_view reason = {}) noexcept {
    return tethered_close_client(get(), now, client, close_code, slice(reason));
  }
  status drain(tethered_now now) noexcept { return tethered_drain(get(), now); }

  status reply(tethered_now now, std::uint64_t call, std::uint32_t kind, std::int64_t value = 0,
               const tethered_item *items = nullptr, std::size_t count = 0) noexcept {
    return tethered_reply(get(), now, call, kind, value, items, count);
  }
  status notice(tethered_now now, std::string_view channel, std::string_view payload, std::uint32_t node = 0) noexcept {
    return tethered_notice(get(), now, node, slice(channel), slice(payload));
  }
  status connected(tethered_now now, std::uint32_t connection) noexcept {
    return tethered_connected(get(), now, connection);
  }
  status disconnected(tethered_now now, std::uint32_t connection) noexcept {
    return tethered_disconnected(get(), now, connection);
  }
  status session_notice(tethered_now now, std::string_view session, std::uint32_t fate, std::string_view to = {}) noexcept {
    return tethered_session_notice(get(), now, slice(session), fate, slice(to));
  }
  status notices(tethered_now now, bool on) noexcept { return tethered_notices(get(), now, on ? 1U : 0U); }
  status relayed(tethered_now now, std::string_view data) noexcept { return tethered_relayed(get(), now, slice(data)); }
  status announce(tethered_now now, std::string_view data) noexcept { return tethered_announce(get(), now, slice(data)); }

  tethered_stats stats() const noexcept {
    tethered_stats now{};
    static_cast<void>(tethered_stats_get(get(), &now, sizeof now));
    return now;
  }

  /* Calls f(std::uint32_t level, std::string_view line) for each line of the log that waits. */
  template <class F> void log(F &&f) {
    tethered_log line;
    while (tethered_log_next(get(), &line, sizeof line) == 1) f(line.level, view(line.text));
  }
};

/* Reads the WebSocket frames of one side of one connection: whole messages, control frames. */
class ws_decoder {
  struct free {
    void operator()(tethered_ws_decoder *decoder) const noexcept { tethered_ws_decoder_free(decoder); }
  };
  std::unique_ptr<tethered_ws_decoder, free> decoder_;

public:
  status open(std::uint32_t role, std::uint64_t max_message = 0) noexcept {
    tethered_ws_decoder *made = nullptr;
    const std::int32_t opened = tethered_ws_decoder_new(role, max_message, &made);
    if (opened >= 0) decoder_.reset(made);
    return opened;
  }

  tethered_ws_decoder *get() const noexcept { return decoder_.get(); }

  /* Calls f(const tethered_ws_message &) for each message that these bytes complete. They are changed in place. After
   * TETHERED_E_PROTOCOL, f gets the code and the reason to close with. */
  template <class F> status feed(void *bytes, std::size_t len, F &&f) {
    auto *at = static_cast<std::uint8_t *>(bytes);
    for (;;) {
      tethered_ws_message message{};
      std::size_t used = 0;
      const std::int32_t decoded = tethered_ws_decode(get(), at, len, &used, &message, sizeof message);
      if (decoded == TETHERED_MORE) return TETHERED_OK;
      if (decoded == TETHERED_OK || decoded == TETHERED_E_PROTOCOL) f(static_cast<const tethered_ws_message &>(message));
      if (decoded != TETHERED_OK) return decoded;
      at += used;
      len -= used;
    }
  }
};

/* Reads the STOMP frames of one side of one connection. */
class stomp_decoder {
  struct free {
    void operator()(tethered_stomp_decoder *decoder) const noexcept { tethered_stomp_decoder_free(decoder); }
  };
  std::unique_ptr<tethered_stomp_decoder, free> decoder_;

public:
  /* What was agreed upon: 10, 11 or 12. */
  std::uint32_t version = 10;

  status open(std::uint32_t role, std::uint64_t max_frame = 0) noexcept {
    tethered_stomp_decoder *made = nullptr;
    const std::int32_t opened = tethered_stomp_decoder_new(role, max_frame, &made);
    if (opened >= 0) decoder_.reset(made);
    return opened;
  }

  tethered_stomp_decoder *get() const noexcept { return decoder_.get(); }

  /* Calls f(const tethered_stomp_frame &) for each frame and heart-beat that these bytes complete. After
   * TETHERED_E_PROTOCOL, f gets the message of an ERROR. */
  template <class F> status feed(std::string_view bytes, F &&f) {
    for (;;) {
      tethered_stomp_frame frame{};
      std::size_t used = 0;
      const auto *at = reinterpret_cast<const std::uint8_t *>(bytes.data());
      const std::int32_t decoded = tethered_stomp_decode(get(), version, at, bytes.size(), &used, &frame, sizeof frame);
      if (decoded == TETHERED_MORE) return TETHERED_OK;
      if (decoded == TETHERED_OK || decoded == TETHERED_E_PROTOCOL) f(static_cast<const tethered_stomp_frame &>(frame));
      if (decoded != TETHERED_OK) return decoded;
      bytes.remove_prefix(used);
    }
  }
};

/* A STOMP frame in bytes; empty if an argument cannot be. */
inline std::string stomp_encode(std::uint32_t version, std::uint32_t command, const tethered_header *headers,
                                std::size_t n_headers, std::string_view body) {
  std::string out;
  std::size_t len = 0;
  if (tethered_stomp_encode(version, command, headers, n_headers, slice(body), nullptr, 0, &len) == TETHERED_MORE) {
    out.resize(len);
    auto *at = reinterpret_cast<std::uint8_t *>(out.data());
    if (tethered_stomp_encode(version, command, headers, n_headers, slice(body), at, len, &len) != TETHERED_OK) out.clear();
  }
  return out;
}

} // namespace tethered

#endif
