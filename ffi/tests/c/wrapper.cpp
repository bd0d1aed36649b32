// What tethered.hpp promises of all but a hub: statuses, slices, configurations, codecs.
#include "wrapper.hpp"

// Statuses.

TEST(Status, SuccessIsNoErrorWithARemarkOrWithout) {
  for (const std::int32_t value : {TETHERED_OK, TETHERED_STALE, TETHERED_MORE, TETHERED_PRESSURE, TETHERED_REFUSED}) {
    const tethered::status status = value;
    EXPECT_TRUE(status.ok());
    EXPECT_FALSE(status);
    EXPECT_FALSE(std::error_code(status));
    EXPECT_EQ(tethered::code(value), std::error_code());
  }
}

TEST(Status, AFailureIsAnErrorCodeWithTheSentenceOfTheLibrary) {
  const tethered::status status = TETHERED_E_BUSY;
  EXPECT_FALSE(status.ok());
  EXPECT_TRUE(status);
  const std::error_code error = status;
  EXPECT_TRUE(error);
  EXPECT_EQ(error, tethered::code(TETHERED_E_BUSY));
  EXPECT_EQ(error.value(), TETHERED_E_BUSY);
  EXPECT_EQ(&error.category(), &tethered::category());
  EXPECT_EQ(error.message(), tethered_strerror(TETHERED_E_BUSY));
}

TEST(Status, TellsItsValueAndWhichOneItIs) {
  const tethered::status status = TETHERED_STALE;
  EXPECT_EQ(status.value(), TETHERED_STALE);
  EXPECT_TRUE(status.is(TETHERED_STALE));
  EXPECT_FALSE(status.is(TETHERED_OK));
  EXPECT_EQ(status.message(), tethered_strerror(TETHERED_STALE));
}

TEST(Status, TheCategoryHasANameAndASentenceForAnyNumber) {
  EXPECT_STREQ(tethered::category().name(), "tethered");
  EXPECT_FALSE(tethered::category().message(-12345).empty());
  EXPECT_EQ(&tethered::category(), &tethered::category());
}

// Bytes that are passed on, and such as are lent.

TEST(Slices, ASliceIsTheBytesThatItWasGiven) {
  const std::string text = "a\0b"s;
  const tethered_slice made = slice(text);
  EXPECT_EQ(static_cast<const void *>(made.ptr), static_cast<const void *>(text.data()));
  EXPECT_EQ(made.len, 3U);
  EXPECT_EQ(view(made), text);
}

TEST(Slices, NothingIsNullAndAnEmptyView) {
  EXPECT_EQ(tethered::nothing().ptr, nullptr);
  EXPECT_EQ(tethered::nothing().len, 0U);
  EXPECT_TRUE(view(tethered::nothing()).empty());
}

TEST(Slices, AHeaderHasItsNameAndItsValue) {
  const tethered_header made = header("Host", "h");
  EXPECT_EQ(view(made.name), "Host");
  EXPECT_EQ(view(made.value), "h");
}

TEST(FindHeader, IgnoresCaseAndGivesTheFirst) {
  const tethered_header headers[] = {header("X-A", "1"), header("x-a", "2"), header("X-AB", "3"), header("@", "4")};
  tethered_request request{};
  request.headers = headers;
  request.n_headers = 4;
  ASSERT_NE(tethered::find_header(request, "x-A"), nullptr);
  EXPECT_EQ(view(*tethered::find_header(request, "x-A")), "1");
  ASSERT_NE(tethered::find_header(request, "x-ab"), nullptr);
  EXPECT_EQ(view(*tethered::find_header(request, "x-ab")), "3");
}

TEST(FindHeader, IsNullForAPartOfANameAndForAnotherCharacter) {
  const tethered_header headers[] = {header("X-A", "1"), header("@", "4")};
  tethered_request request{};
  EXPECT_EQ(tethered::find_header(request, "x-a"), nullptr);
  request.headers = headers;
  request.n_headers = 2;
  EXPECT_EQ(tethered::find_header(request, "x-"), nullptr);
  EXPECT_EQ(tethered::find_header(request, "x-ab"), nullptr);
  EXPECT_EQ(tethered::find_header(request, "`"), nullptr); // as far from @ as a is from A
}

#ifdef __cpp_lib_span
TEST(Spans, AreSlicesAndSlicesAreSpans) {
  const std::array<std::byte, 2> two{std::byte{1}, std::byte{2}};
  const std::array<std::uint8_t, 3> three{3, 4, 5};
  EXPECT_EQ(slice(std::span<const std::byte>{two}).len, 2U);
  const tethered_slice made = slice(std::span<const std::uint8_t>{three});
  ASSERT_EQ(tethered::bytes(made).size(), 3U);
  EXPECT_EQ(tethered::bytes(made).data(), three.data());
  EXPECT_TRUE(tethered::bytes(tethered::nothing()).empty());
}

TEST(Spans, TheHeadersOfARequestAreOne) {
  const tethered_header headers[] = {header("a", "1"), header("b", "2")};
  tethered_request request{};
  EXPECT_TRUE(tethered::headers(request).empty());
  request.headers = headers;
  request.n_headers = 2;
  ASSERT_EQ(tethered::headers(request).size(), 2U);
  EXPECT_EQ(view(tethered::headers(request)[1].name), "b");
}
#else
// Without it this file would say nothing of them, and pass.
static_assert(__cplusplus < 202002L, "C++20 has std::span");
#endif

// Configurations.

TEST(FindAttribute, IsExactAndNullWhereThereIsNone) {
  const std::vector<tethered_header> attributes{header("csrf", "1"), header("csrf", "2"), header("Csrf", "3")};
  tethered_request request{};
  EXPECT_EQ(tethered::find_attribute(request, "csrf"), nullptr);
  request.attributes = attributes.data();
  request.n_attributes = attributes.size();
  ASSERT_NE(tethered::find_attribute(request, "Csrf"), nullptr);
  EXPECT_EQ(view(*tethered::find_attribute(request, "csrf")), "1");
  EXPECT_EQ(view(*tethered::find_attribute(request, "Csrf")), "3");
  EXPECT_EQ(tethered::find_attribute(request, "csr"), nullptr);
}

TEST(Csrf, AMaskedTokenIsKnownAgainAndABareOneIsNot) {
  const auto masked = tethered::csrf_mask("secret", "abcdef");
  EXPECT_EQ(masked.size(), 16U);
  EXPECT_NE(masked, tethered::csrf_mask("secret", "ghijkl"));
  EXPECT_TRUE(tethered::csrf_matches(masked, "secret"));
  EXPECT_FALSE(tethered::csrf_matches(masked, "Secret"));
  EXPECT_FALSE(tethered::csrf_matches("secret", "secret"));
  EXPECT_FALSE(tethered::csrf_matches("", ""));
}

TEST(Csrf, NeedsAsManyRandomBytesAsTheTokenHas) {
  EXPECT_EQ(tethered::csrf_mask("secret", "abcde"), "");
  EXPECT_EQ(tethered::csrf_mask("secret", "abcdefg"), "");
}

TEST(Config, IsTheDefaultOfEverythingUntilItIsTold) {
  tethered::config config;
  EXPECT_TRUE(fine(config.check()));
  EXPECT_TRUE(config.why().empty());
  tethered_config zero{};
  EXPECT_EQ(std::memcmp(config.get(), &zero, sizeof zero), 0);
}

TEST(Config, KeepsTheTextThatItHasRead) {
  tethered::config config;
  {
    std::string text = "cookie = 'ID'";
    ASSERT_TRUE(fine(config.parse(text)));
    text.assign(text.size(), '#');
  }
  EXPECT_EQ(view(config.get()->toml), "cookie = 'ID'");
  EXPECT_TRUE(fine(config.check()));
}

TEST(Config, SaysWhatIsWrongWithATextAndKeepsTheOneBefore) {
  tethered::config config;
  ASSERT_TRUE(fine(config.parse("cookie = 'ID'")));
  EXPECT_TRUE(config.parse("coookie = 'x'").is(TETHERED_E_ARGUMENT));
  EXPECT_EQ(config.why(), "line 1: there is no setting \"coookie\"; did you mean cookie?");
  EXPECT_EQ(view(config.get()->toml), "cookie = 'ID'");
  ASSERT_TRUE(fine(config.parse("")));
  EXPECT_TRUE(config.why().empty());
}

TEST(Config, SaysWhatIsWrongWithAMember) {
  tethered::config config;
  config->store = 9;
  EXPECT_TRUE(config.check().is(TETHERED_E_ARGUMENT));
  EXPECT_EQ(config.why(), "config.store is none of tethered_store");
}

TEST(Config, MovesWithItsTextAndDoesNotCopy) {
  static_assert(!std::is_copy_constructible_v<tethered::config> && !std::is_copy_assignable_v<tethered::config>);
  tethered::config config;
  ASSERT_TRUE(fine(config.parse("cookie = 'ID'"))); // short, so that a string would keep it in itself
  const tethered::config moved = std::move(config);
  EXPECT_EQ(view(moved.get()->toml), "cookie = 'ID'");
  hub opened;
  EXPECT_TRUE(fine(opened.open(moved, SEED, at(0))));
}

TEST(Config, IsTheDefaultOfEverythingAgainOnceMovedFrom) {
  tethered::config config;
  {
    ASSERT_TRUE(fine(config.parse("cookie = 'ID'")));
    config->touch_ms = 7;
    tethered::config other;
    other = std::move(config);
    EXPECT_EQ(view(other.get()->toml), "cookie = 'ID'");
    EXPECT_EQ(other->touch_ms, 7U);
  }
  // Of the other, which is gone, it has nothing.
  EXPECT_EQ(view(config.get()->toml), "");
  EXPECT_NE(config->touch_ms, 7U);
  EXPECT_TRUE(fine(config.check()));
  hub opened;
  EXPECT_TRUE(fine(opened.open(config, SEED, at(0))));
}

// The codecs.

namespace {
// What a decoder heard, in words.
std::string heard(tethered::ws_decoder &decoder, std::string bytes, std::int32_t expected = TETHERED_OK) {
  std::string all;
  const tethered::status status = decoder.feed(bytes.data(), bytes.size(), [&](const tethered_ws_message &message) {
    all += std::to_string(message.kind) + ":" + std::to_string(message.code) + ":" + std::string(view(message.data)) + ";";
  });
  EXPECT_EQ(status.value(), expected);
  return all;
}

std::string heard(tethered::stomp_decoder &decoder, std::string_view bytes, std::int32_t expected = TETHERED_OK) {
  std::string all;
  const tethered::status status = decoder.feed(bytes, [&](const tethered_stomp_frame &frame) {
    all += std::to_string(frame.command) + ":";
    for (std::size_t i = 0; i < frame.n_headers; i++)
      all += std::string(view(frame.headers[i].name)) + "=" + std::string(view(frame.headers[i].value)) + ",";
    all += std::string(view(frame.body)) + ";";
  });
  EXPECT_EQ(status.value(), expected);
  return all;
}
} // namespace

TEST(WsDecoder, HearsWhatBytesComplete) {
  tethered::ws_decoder decoder;
  ASSERT_TRUE(fine(decoder.open(TETHERED_SERVER)));
  EXPECT_NE(decoder.get(), nullptr);
  EXPECT_EQ(heard(decoder, "\x81\x82\0\0\0\0hi\x89\x80\0\0\0\0\x81\x83\0"s), "1:0:hi;9:0:;");
  EXPECT_EQ(heard(decoder, "\0\0\0yo"s), "");
  EXPECT_EQ(heard(decoder, "u"), "1:0:you;");
}

TEST(WsDecoder, TellsHowToCloseAfterAnErrorAndForEver) {
  tethered::ws_decoder decoder;
  ASSERT_TRUE(fine(decoder.open(TETHERED_SERVER)));
  for (int again = 0; again < 2; again++)
    EXPECT_TRUE(begins(heard(decoder, "\xff\xff", TETHERED_E_PROTOCOL), "8:1002:"));
}

TEST(WsDecoder, HasALimit) {
  tethered::ws_decoder decoder;
  ASSERT_TRUE(fine(decoder.open(TETHERED_CLIENT, 4)));
  EXPECT_EQ(heard(decoder, "\x81\x04" "four"), "1:0:four;");
  EXPECT_TRUE(begins(heard(decoder, "\x81\x05", TETHERED_E_PROTOCOL), "8:1009:"));
}

TEST(WsDecoder, IsEmptyUntilOpenedAndStaysAsItWasIfThatFails) {
  tethered::ws_decoder decoder;
  EXPECT_EQ(decoder.get(), nullptr);
  heard(decoder, "x", TETHERED_E_ARGUMENT);
  EXPECT_TRUE(decoder.open(9).is(TETHERED_E_ARGUMENT));
  EXPECT_EQ(decoder.get(), nullptr);
  ASSERT_TRUE(fine(decoder.open(TETHERED_CLIENT)));
  EXPECT_TRUE(decoder.open(9).is(TETHERED_E_ARGUMENT));
  EXPECT_EQ(heard(decoder, "\x81\x02hi"), "1:0:hi;");
}

TEST(WsDecoder, MovesAndLeavesNothingBehind) {
  static_assert(std::is_nothrow_move_assignable_v<tethered::ws_decoder> && !std::is_copy_assignable_v<tethered::ws_decoder>);
  static_assert(!std::is_copy_constructible_v<tethered::ws_decoder>);
  tethered::ws_decoder first;
  ASSERT_TRUE(fine(first.open(TETHERED_CLIENT)));
  heard(first, "\x81\x02h");
  tethered::ws_decoder second = std::move(first);
  EXPECT_EQ(first.get(), nullptr);
  EXPECT_EQ(heard(second, "i"), "1:0:hi;");
}

TEST(StompDecoder, HearsFramesAndHeartBeatsAsTheVersionHasThem) {
  tethered::stomp_decoder decoder;
  ASSERT_TRUE(fine(decoder.open(TETHERED_SERVER)));
  EXPECT_NE(decoder.get(), nullptr);
  EXPECT_EQ(decoder.version, 10U);
  EXPECT_EQ(heard(decoder, "SEND\ndestination:/a\nx:\\c\n\nx\0\nSE"sv), "3:destination=/a,x=\\c,x;0:;");
  EXPECT_EQ(heard(decoder, "ND\ndestination:/a\n\ny\0"sv), "3:destination=/a,y;");
  decoder.version = 12;
  EXPECT_EQ(heard(decoder, "SEND\ndestination:/a\nx:\\c\n\nx\0"sv), "3:destination=/a,x=:,x;");
}

TEST(StompDecoder, TellsWhatWasWrongAndForEver) {
  tethered::stomp_decoder decoder;
  ASSERT_TRUE(fine(decoder.open(TETHERED_SERVER)));
  const std::string said = heard(decoder, "NONSENSE\n\n\0"sv, TETHERED_E_PROTOCOL);
  EXPECT_TRUE(begins(said, "15:")) << said;
  EXPECT_GT(said.size(), std::strlen("15:;"));
  EXPECT_EQ(heard(decoder, "\n", TETHERED_E_PROTOCOL), said);
}

TEST(StompDecoder, HasALimitAndIsEmptyUntilOpened) {
  tethered::stomp_decoder decoder;
  EXPECT_EQ(decoder.get(), nullptr);
  heard(decoder, "x", TETHERED_E_ARGUMENT);
  EXPECT_TRUE(decoder.open(9).is(TETHERED_E_ARGUMENT));
  EXPECT_EQ(decoder.get(), nullptr);
  ASSERT_TRUE(fine(decoder.open(TETHERED_SERVER, 10)));
  EXPECT_TRUE(begins(heard(decoder, "SEND\ndestination:/a\n\n\0"sv, TETHERED_E_PROTOCOL), "15:"));
}

TEST(StompDecoder, MovesWithItsVersionAndLeavesNothingBehind) {
  static_assert(!std::is_copy_constructible_v<tethered::stomp_decoder> && !std::is_copy_assignable_v<tethered::stomp_decoder>);
  tethered::stomp_decoder first;
  ASSERT_TRUE(fine(first.open(TETHERED_CLIENT)));
  first.version = 12;
  heard(first, "RECEIPT\nreceipt-id:\\");
  tethered::stomp_decoder second = std::move(first);
  EXPECT_EQ(first.get(), nullptr);
  EXPECT_EQ(heard(second, "c\n\n\0"sv), "14:receipt-id=:,;");
}

TEST(StompEncode, WritesWhatADecoderReads) {
  const tethered_header headers[] = {header("destination", "/a"), header("x:y", "1\n2")};
  const std::string frame = tethered::stomp_encode(12, TETHERED_STOMP_SEND, headers, 2, "he\0lo"sv);
  EXPECT_EQ(frame, "SEND\ndestination:/a\nx\\cy:1\\n2\ncontent-length:5\n\nhe\0lo\0"s);
  tethered::stomp_decoder decoder;
  ASSERT_TRUE(fine(decoder.open(TETHERED_SERVER)));
  decoder.version = 12;
  EXPECT_EQ(heard(decoder, frame), "3:destination=/a,x:y=1\n2,content-length=5,he\0lo;"s);
}

TEST(StompEncode, IsEmptyIfAnArgumentCannotBe) {
  EXPECT_EQ(tethered::stomp_encode(99, TETHERED_STOMP_SEND, nullptr, 0, ""), "");
  EXPECT_EQ(tethered::stomp_encode(12, TETHERED_STOMP_HEART_BEAT, nullptr, 0, ""), "");
}
