// SPDX-License-Identifier: MIT
// XXH3 sums, for files, configs and splits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace blt {

std::uint64_t xxh3_64(std::span<const std::byte> data);
std::uint64_t xxh3_64(std::string_view text);

// XXH3-128 of a stream, as 32 hex digits.
class Digest {
 public:
  Digest();
  ~Digest();
  void update(std::span<const std::byte> data);
  void update(std::string_view text);
  std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace blt
