// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <limits>
#include <numeric>

#include "blt/base/error.h"
#include "blt/patch/rules.h"

using namespace blt;
using namespace blt::patch;
using Lengths = std::vector<std::uint32_t>;

namespace {

// The ten entropies of the published rules' reference vectors.
const std::vector<float> h10 = {3, 2, 1, 1.5f, 1.4f, 2.9f, .2f, 3, 3.1f, .1f};
const std::vector<TokenId> ten(10, 'x' + byte_offset);

Rules entropy_rules(double threshold, bool next = true) {
  Rules rules;
  rules.threshold = threshold;
  rules.include_next_token = next;
  return rules;
}

Lengths cut_text(std::string_view text, Rules rules, bool eos = false) {
  return cut(encode(text, true, eos), {}, rules);
}

Rules of(Scheme scheme, bool next = true) {
  Rules rules;
  rules.scheme = scheme;
  rules.include_next_token = next;
  return rules;
}

}  // namespace

TEST_CASE("entropy threshold: reference vectors") {
  CHECK(cut(ten, h10, entropy_rules(1.4)) == Lengths{1, 1, 2, 2, 2, 1, 2});
  CHECK(cut(ten, h10, entropy_rules(1.4, false)) == Lengths{1, 1, 2, 2, 2, 1, 1});
}

TEST_CASE("monotonic and combined: reference vectors") {
  Rules rules = entropy_rules(.3);
  rules.scheme = Scheme::monotonic;
  CHECK(cut(ten, h10, rules) == Lengths{1, 1, 2, 2, 2, 3});
  rules.scheme = Scheme::combined;
  rules.threshold = 1.4;
  rules.threshold_add = .2;
  CHECK(cut(ten, h10, rules) == Lengths{1, 1, 2, 2, 2, 3});
}

TEST_CASE("the threshold is strict and compared in float32") {
  const double released = 1.335442066192627;
  std::vector<float> h(4, static_cast<float>(released));
  const std::vector<TokenId> tokens(4, 'a' + byte_offset);
  CHECK(cut(tokens, h, entropy_rules(released)) == Lengths{1, 4});
  h[2] = std::nextafter(h[2], 9.0f);
  CHECK(cut(tokens, h, entropy_rules(released)) == Lengths{1, 2, 2});
  // The nearest float of this double is above it, so an entropy equal to that float does not exceed
  // it.
  const double between = 0.1;
  h.assign(4, 0.1f);
  CHECK(static_cast<double>(0.1f) > between);
  CHECK(cut(tokens, h, entropy_rules(between)) == Lengths{1, 4});
}

TEST_CASE("the entropy of the last byte decides about the next one") {
  const std::vector<TokenId> tokens = encode("ab", true, false);
  CHECK(cut(tokens, std::vector<float>{0, 0, 9}, entropy_rules(1)) == Lengths{1, 2, 1});
  CHECK(cut(tokens, std::vector<float>{0, 0, 0}, entropy_rules(1)) == Lengths{1, 3});
  CHECK(cut(tokens, std::vector<float>{9, 0, 9}, entropy_rules(1, false)) == Lengths{1, 2});
}

TEST_CASE("combined: byte 2 always starts a patch, byte 3 never") {
  Rules rules = entropy_rules(0);
  rules.scheme = Scheme::combined;
  const std::vector<TokenId> tokens(6, 'a' + byte_offset);
  CHECK(cut(tokens, std::vector<float>{5, 4, 8, 9, 10, 11}, rules) == Lengths{1, 1, 2, 1, 1, 1});
  CHECK(cut(tokens, std::vector<float>(6, 0.0f), rules) == Lengths{1, 1, 5});
}

TEST_CASE("short rows") {
  const std::vector<TokenId> bos = {bos_id};
  const std::vector<float> h = {3};
  for (const auto name : scheme_names) {
    INFO(name);
    Rules rules = of(parse_scheme(name));
    const Lengths expected = rules.scheme == Scheme::strided ? Lengths{2} : Lengths{1, 1};
    CHECK(cut(bos, h, rules) == expected);
    rules.include_next_token = false;
    CHECK(cut(bos, h, rules) == Lengths{1});
    CHECK(cut({}, {}, rules).empty());
  }
}

TEST_CASE("space: the reference vector and runs of several kinds") {
  CHECK(cut_text("Hello, world! \xC3\xA9t\xC3\xA9 \xE4\xBD\xA0\xE5\xA5\xBD a1-b2\nz",
                 of(Scheme::space)) == Lengths{1, 6, 7, 5, 2, 4, 3, 3, 3, 2});
  CHECK(cut_text("abc", of(Scheme::space)) == Lengths{1, 4});
  CHECK(cut_text("a  b", of(Scheme::space, false)) == Lengths{1, 2, 2});
  // EOS ends a patch of its own even behind a space; the patch after it would be empty.
  CHECK(cut_text("a ", of(Scheme::space, false), true) == Lengths{1, 2, 1});
  CHECK(cut_text("a ", of(Scheme::space, true), true) == Lengths{1, 2, 1, 1});
}

TEST_CASE("topk takes the highest entropies, the earlier of equals") {
  Rules rules = of(Scheme::topk, false);
  rules.patch_size = 2;
  CHECK(cut(ten, h10, rules) == Lengths{1, 5, 2, 1, 1});  // 10 / 2 - 2 = 3: positions 5, 7, 8
  rules.patch_size = 5;
  CHECK(cut(ten, h10, rules) == Lengths{1, 9});
  rules.patch_size = 2;
  CHECK(cut(ten, std::vector<float>(10, 1.0f), rules) == Lengths{1, 1, 1, 1, 6});
  rules.patch_size = 1;  // more wanted than there are
  CHECK(cut(encode("ab"), std::vector<float>(4, 1.0f), rules) == Lengths{1, 1, 1, 1});
}

TEST_CASE("strided: plain and in the form for training") {
  Rules rules = of(Scheme::strided, false);
  rules.patch_size = 4;
  CHECK(cut_text("0123456789", rules) == Lengths{4, 4, 3});
  CHECK(cut_document("0123456789", {}, rules) == Lengths{1, 3, 4, 4});
  CHECK(training_form({4, 4}) == Lengths{1, 3, 4});
  CHECK(training_form({1, 4}) == Lengths{1, 4});
  CHECK(training_form({}).empty());
  rules.patch_size = 100;
  CHECK(cut_document("", {}, rules) == Lengths{1, 1});
}

TEST_CASE("delimiter: a patch starts behind each id 3 but the last token") {
  const std::vector<TokenId> tokens = {1, 70, 3, 71, 72, 3, 73, 3};
  CHECK(cut(tokens, {}, of(Scheme::delimiter)) == Lengths{1, 2, 3, 3});
  CHECK(cut(tokens, {}, of(Scheme::delimiter, false)) == Lengths{1, 2, 3, 2});
}

TEST_CASE("a maximum length splits greedily, the next byte included") {
  CHECK(split_long(Lengths{7, 1, 6, 3}, 3) == Lengths{3, 3, 1, 1, 3, 3, 3});
  Rules rules = entropy_rules(100);
  rules.max_patch_length = 4;
  CHECK(cut(ten, h10, rules) == Lengths{1, 4, 4, 2});
  CHECK_THROWS_AS(split_long(Lengths{1}, 0), Error);
}

TEST_CASE("newline reset: no rise is taken across a newline, its condition holds") {
  Rules rules = of(Scheme::monotonic, false);
  rules.threshold = 0.5;
  const std::string text = "ab\ncd";
  //                           BOS a  b  \n c  d  EOS
  const std::vector<float> h = {0, 1, 1, 1, 2, 2, 2};
  CHECK(cut(encode(text), h, rules) == Lengths{1, 1, 3, 2});
  rules.newline_reset = true;
  CHECK(cut(encode(text), h, rules) == Lengths{1, 1, 2, 1, 2});
  rules.scheme = Scheme::combined;
  rules.threshold = 1.5;
  rules.threshold_add = 0.5;
  CHECK(cut(encode(text), h, rules) ==
        Lengths{1, 1, 3, 2});  // the newline's entropy is below the threshold
  rules.threshold = 0.9;
  CHECK(cut(encode(text), h, rules) == Lengths{1, 1, 2, 1, 2});
}

TEST_CASE("documents are cut like their ids") {
  const std::string text = "One two\n\nthree, \xE2\x82\xAC 4. \xFF\x80 end ";
  std::vector<float> h(text.size() + 2);
  for (std::size_t i = 0; i < h.size(); ++i) h[i] = static_cast<float>((i * 7919) % 13);
  for (const auto name : scheme_names) {
    for (const bool reset : {false, true}) {
      INFO(name << reset);
      Rules rules = of(parse_scheme(name), false);
      rules.threshold = 3;
      rules.newline_reset = reset;
      CHECK(cut_document(text, h, rules) == training_form(cut(encode(text), h, rules)));
    }
  }
}

TEST_CASE("wrong rows and rules are refused") {
  const auto kind_of = [](auto&& f) {
    try {
      f();
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::internal;
  };
  CHECK(kind_of([] { cut(ten, std::vector<float>(9), entropy_rules(1)); }) == ErrorKind::input);
  CHECK(kind_of([] { cut(ten, {}, entropy_rules(1)); }) == ErrorKind::input);
  std::vector<float> bad = h10;
  bad[4] = std::numeric_limits<float>::quiet_NaN();
  CHECK(kind_of([&] { cut(ten, bad, entropy_rules(1)); }) == ErrorKind::input);
  Rules rules = of(Scheme::strided);
  rules.patch_size = 4.5;
  CHECK(kind_of([&] { cut(ten, {}, rules); }) == ErrorKind::usage);
  rules.patch_size = 0;
  CHECK(kind_of([&] { cut(ten, {}, rules); }) == ErrorKind::usage);
  rules.patch_size = 4;
  rules.max_patch_length = 0;
  CHECK(kind_of([&] { cut(ten, {}, rules); }) == ErrorKind::usage);
  CHECK(kind_of([] { parse_scheme("entropie"); }) == ErrorKind::usage);
}
