// SPDX-License-Identifier: MIT
// A small seeded generator (xoshiro256**) with the same sequence on every machine.
#pragma once

#include <array>
#include <cstdint>

namespace blt {

class Random {
 public:
  explicit Random(std::uint64_t seed);

  std::uint64_t next();
  double uniform();                         // [0, 1)
  std::uint64_t below(std::uint64_t n);     // [0, n), without bias
  double normal();                          // mean 0, deviation 1

  using State = std::array<std::uint64_t, 4>;
  const State& state() const { return state_; }
  void set_state(const State& state) { state_ = state; }

 private:
  State state_;
};

// A well-mixed 64-bit value of two: for seeds that belong to (seed, epoch), (seed, rank), ...
std::uint64_t mix_seed(std::uint64_t a, std::uint64_t b);

}  // namespace blt
