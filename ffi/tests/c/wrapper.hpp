// What the tests of tethered.hpp share.
#ifndef WRAPPER_HPP
#define WRAPPER_HPP

#include "tethered.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

using namespace std::string_literals;
using namespace std::string_view_literals;
using tethered::header;
using tethered::hub;
using tethered::slice;
using tethered::view;

constexpr hub::seed SEED{1, 2, 3};

inline tethered_now at(std::uint64_t ms) { return {ms, 1700000000000 + ms}; }

inline testing::AssertionResult fine(const tethered::status &status) {
  if (status.ok()) return testing::AssertionSuccess();
  return testing::AssertionFailure() << status.value() << ": " << status.message();
}

inline bool begins(std::string_view text, std::string_view with) { return text.substr(0, with.size()) == with; }

#endif
