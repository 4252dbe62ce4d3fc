// SPDX-License-Identifier: MIT
// Uses the installed library as a stranger would: cuts a text, and catches the library's error type.
#include <blt/base/error.h>
#include <blt/base/json.h>
#include <blt/patch/rules.h>

#include <iostream>
#include <numeric>

int main() {
  const auto tokens = blt::patch::encode("patches, not tokens", true, false);
  blt::patch::Rules rules;
  rules.scheme = blt::patch::parse_scheme("space");
  const auto lengths = blt::patch::cut(tokens, {}, rules);
  if (std::accumulate(lengths.begin(), lengths.end(), std::size_t{0}) != tokens.size()) {
    std::cerr << "the patches do not cover the tokens\n";
    return 1;
  }
  std::cout << blt::Json{{"patches", lengths}}.dump() << '\n';
  try {
    blt::patch::parse_scheme("no-such-scheme");
  } catch (const blt::Error& error) {
    return error.kind() == blt::ErrorKind::usage ? 0 : 1;
  }
  std::cerr << "an unknown scheme was accepted\n";
  return 1;
}
