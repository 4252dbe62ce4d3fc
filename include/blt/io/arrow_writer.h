// SPDX-License-Identifier: MIT
// Documents with entropies as an Arrow IPC file, in the schema of Meta's preprocess_entropies.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace blt::io {

// Columns sample_id: string, text: string, entropies: list<float16>, none null; record batches of
// 1000 rows.
class ArrowWriter {
 public:
  explicit ArrowWriter(const std::string& path, bool force);  // errors: output
  ~ArrowWriter();
  // Precondition: id and text are valid UTF-8. Errors: input (too long for a batch), output.
  void add(std::string_view id, std::string_view text, std::span<const float> entropies);
  // The file appears under its name. Returns its size.
  std::uint64_t finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace blt::io
