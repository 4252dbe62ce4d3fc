// SPDX-License-Identifier: MIT
// What holds of every row, scheme and option.
#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <numeric>

#include "blt/patch/json_lines.h"
#include "blt/patch/rules.h"

using namespace blt::patch;
using Lengths = std::vector<std::uint32_t>;

namespace {

struct Case {
  std::vector<TokenId> tokens;
  std::vector<float> entropies;
  Rules rules;
};

Case any_case() {
  Case c;
  c.tokens = *rc::gen::container<std::vector<TokenId>>(rc::gen::inRange<TokenId>(0, vocab_size));
  for (std::size_t i = 0; i < c.tokens.size(); ++i) {
    // Few distinct values, so that ties and equality with the threshold come up.
    c.entropies.push_back(static_cast<float>(*rc::gen::inRange(0, 9)) / 2);
  }
  c.rules.scheme =
      static_cast<Scheme>(*rc::gen::inRange(0, static_cast<int>(std::size(scheme_names))));
  c.rules.threshold = *rc::gen::inRange(-4, 9) / 2.0;
  c.rules.threshold_add = *rc::gen::inRange(-4, 5) / 2.0;
  c.rules.patch_size = *rc::gen::inRange(1, 9);
  c.rules.include_next_token = *rc::gen::arbitrary<bool>();
  c.rules.newline_reset = *rc::gen::arbitrary<bool>();
  if (*rc::gen::arbitrary<bool>()) c.rules.max_patch_length = *rc::gen::inRange<std::int64_t>(1, 8);
  return c;
}

void check(bool passed) {
  CHECK(passed);
}

}  // namespace

TEST_CASE("patches tile the row, none is empty, none is too long") {
  check(rc::check([] {
    const Case c = any_case();
    const Lengths lengths = cut(c.tokens, c.entropies, c.rules);
    const auto sum = std::accumulate(lengths.begin(), lengths.end(), std::uint64_t{0});
    RC_ASSERT(sum == c.tokens.size() + c.rules.include_next_token);
    for (const auto length : lengths) {
      RC_ASSERT(length >= 1u);
      if (c.rules.max_patch_length) RC_ASSERT(length <= *c.rules.max_patch_length);
    }
  }));
}

TEST_CASE("a prefix's borders stay when the row goes on") {
  check(rc::check([] {
    Case c = any_case();
    RC_PRE(c.rules.scheme != Scheme::topk && c.tokens.size() > 1);  // topk looks ahead
    c.rules.include_next_token = true;
    const std::size_t size = *rc::gen::inRange<std::size_t>(1, c.tokens.size());
    const auto borders = [](const Lengths& lengths) {
      std::vector<std::uint32_t> starts(lengths.size());
      std::exclusive_scan(lengths.begin(), lengths.end(), starts.begin(), 0u);
      return starts;
    };
    auto whole = borders(cut(c.tokens, c.entropies, c.rules));
    const auto part =
        borders(cut(std::span(c.tokens).first(size), std::span(c.entropies).first(size), c.rules));
    std::erase_if(whole, [&](std::uint32_t start) { return start > size; });
    // The delimiter rule does not look at the last token: only that border may be new.
    if (c.rules.scheme == Scheme::delimiter && !c.rules.max_patch_length &&
        whole.size() > part.size())
      whole.pop_back();
    if (c.rules.scheme != Scheme::delimiter || !c.rules.max_patch_length) RC_ASSERT(part == whole);
  }));
}

TEST_CASE("a higher threshold never gives more patches") {
  check(rc::check([] {
    Case c = any_case();
    c.rules.scheme = static_cast<Scheme>(*rc::gen::inRange(0, 3));
    const auto before = cut(c.tokens, c.entropies, c.rules).size();
    c.rules.threshold += *rc::gen::inRange(0, 8) / 4.0;
    RC_ASSERT(cut(c.tokens, c.entropies, c.rules).size() <= before);
  }));
}

TEST_CASE("any bytes can be cut, and a document is cut like its ids") {
  check(rc::check([](const std::string& text) {
    Case c = any_case();
    c.rules.include_next_token = false;
    const std::vector<TokenId> ids = encode(text);
    std::vector<float> entropies(ids.size());
    for (auto& h : entropies) h = static_cast<float>(*rc::gen::inRange(0, 9)) / 2;
    RC_ASSERT(cut_document(text, entropies, c.rules) ==
              training_form(cut(ids, entropies, c.rules)));
  }));
}

TEST_CASE("splitting is idempotent and keeps sums") {
  check(rc::check([] {
    const auto lengths = *rc::gen::container<Lengths>(rc::gen::inRange<std::uint32_t>(1, 100));
    const auto most = *rc::gen::inRange<std::int64_t>(1, 50);
    const Lengths split = split_long(lengths, most);
    RC_ASSERT(split_long(split, most) == split);
    RC_ASSERT(std::accumulate(split.begin(), split.end(), 0u) ==
              std::accumulate(lengths.begin(), lengths.end(), 0u));
  }));
}

TEST_CASE("base64 gives any bytes back") {
  check(rc::check(
      [](const std::string& bytes) { RC_ASSERT(decode_base64(encode_base64(bytes)) == bytes); }));
}
