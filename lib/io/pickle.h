// SPDX-License-Identifier: MIT
// A pickle reader that executes nothing: it knows tensors, dicts, lists, tuples, numbers and strings, and refuses a
// pickle that names any other class or function.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "blt/io/tensor.h"

namespace blt::io {

struct PickleValue {
  enum class Kind { none, boolean, integer, real, text, tuple, list, dict, global, storage, tensor, mark };
  Kind kind = Kind::none;
  std::int64_t integer = 0;  // also a boolean; storage: its number of elements; tensor: its first element in the storage
  double real = 0;
  std::string text;  // text; global: "module name"; storage: its key
  DType dtype = DType::f32;                                        // storage, tensor
  std::vector<std::int64_t> shape, stride;                         // tensor
  const PickleValue* storage = nullptr;                            // tensor
  std::vector<const PickleValue*> items;                           // tuple, list
  std::vector<std::pair<const PickleValue*, const PickleValue*>> entries;  // dict
};

// Owns every value, so that values may share and even contain each other without harm.
class Pickle {
 public:
  // Errors: input: another class or function, an opcode that makes anything else, a broken stream.
  explicit Pickle(std::span<const std::byte> bytes);
  const PickleValue& root() const { return *root_; }

 private:
  friend class PickleMachine;
  std::deque<PickleValue> values_;
  const PickleValue* root_ = nullptr;
};

}  // namespace blt::io
