// SPDX-License-Identifier: MIT
#include "blt/base/hash.h"

#include <xxhash.h>

#include <cstdio>
#include <new>

#include "blt/base/files.h"

namespace blt {

struct Digest::State {
  XXH3_state_t* state = XXH3_createState();
  State() {
    if (!state) throw std::bad_alloc();
    XXH3_128bits_reset(state);
  }
  ~State() { XXH3_freeState(state); }
};

std::uint64_t xxh3_64(std::span<const std::byte> data) { return XXH3_64bits(data.data(), data.size()); }
std::uint64_t xxh3_64(std::string_view text) { return xxh3_64(as_bytes(text)); }

Digest::Digest() : state_(std::make_unique<State>()) {}
Digest::~Digest() = default;
void Digest::update(std::span<const std::byte> data) {
  XXH3_128bits_update(state_->state, data.data(), data.size());
}
void Digest::update(std::string_view text) { update(as_bytes(text)); }

std::string Digest::hex() const {
  const XXH128_hash_t sum = XXH3_128bits_digest(state_->state);
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(sum.high64),
                static_cast<unsigned long long>(sum.low64));
  return text;
}

}  // namespace blt
