// SPDX-License-Identifier: MIT
// The boundary rules over any bytes, entropies and settings: the patches tile the input.
#include <algorithm>
#include <cstring>

#include "blt/base/error.h"
#include "blt/patch/rules.h"
#include "target.h"

namespace {

// Settings from the first bytes, so that mutation reaches all of them.
blt::patch::Rules rules_from(const std::uint8_t* data) {
  blt::patch::Rules rules;
  rules.scheme = static_cast<blt::patch::Scheme>(data[0] % 8);
  rules.threshold = data[1] / 64.0;
  rules.threshold_add = data[2] / 256.0;
  rules.patch_size = 1 + data[3] % 16;
  if (data[4] % 2 == 1) rules.max_patch_length = 1 + data[4] / 2 % 12;
  rules.include_next_token = data[5] % 2 == 1;
  rules.newline_reset = data[5] / 2 % 2 == 1;
  return rules;
}

}  // namespace

std::vector<std::string> blt::fuzz::seeds() {
  const std::string text = "Bytes are the truth,\nany input\tis legal: \xc3\xa4\xff\xf0\x9f\x98\x80 1234  end.";
  std::vector<std::string> out;
  for (char scheme = 0; scheme < 8; ++scheme) {
    out.push_back(std::string{scheme, 'U', 40, 3, 9, 1} + text);
    out.push_back(std::string{scheme, 'x', 0, 7, 4, 2} + text);
  }
  return out;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t settings = 6;
  if (size < settings) return 0;
  const auto rules = rules_from(data);
  const auto tokens = blt::patch::encode(blt::fuzz::view(data + settings, size - settings), true, false);
  std::vector<float> entropies;
  for (const auto token : tokens) entropies.push_back(static_cast<float>(token * 37 % 89) / 16.0F);
  try {
    const auto lengths = blt::patch::cut(tokens, entropies, rules);
    std::uint64_t sum = 0;
    for (const auto length : lengths) {
      blt::fuzz::require(length >= 1);
      if (rules.max_patch_length) blt::fuzz::require(length <= static_cast<std::uint64_t>(*rules.max_patch_length));
      sum += length;
    }
    blt::fuzz::require(sum == tokens.size() + (rules.include_next_token ? 1 : 0));
  } catch (const blt::Error& error) {
    blt::fuzz::require(error.kind() == blt::ErrorKind::usage || error.kind() == blt::ErrorKind::input);
  }
  return 0;
}
