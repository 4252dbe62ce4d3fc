// SPDX-License-Identifier: MIT
// How small general compressors make a stream of bytes, without keeping what they write.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace blt::stats {

class CompressedSize {
 public:
  virtual ~CompressedSize() = default;
  virtual std::string name() const = 0;
  virtual void add(std::string_view bytes) = 0;
  virtual std::uint64_t finish() = 0;  // bytes written in all
};

std::unique_ptr<CompressedSize> gzip_size();  // as gzip -9
std::unique_ptr<CompressedSize> xz_size();    // as xz -9; null when built without liblzma

}  // namespace blt::stats
