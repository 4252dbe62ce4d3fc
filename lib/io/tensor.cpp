// SPDX-License-Identifier: MIT
#include "blt/io/tensor.h"

#include <algorithm>
#include <array>

#include "blt/base/error.h"

namespace blt::io {
namespace {

struct DTypeFacts {
  DType dtype;
  std::string_view name;
  std::size_t size;
};
constexpr std::array<DTypeFacts, 13> dtypes{{{DType::f64, "F64", 8},
                                             {DType::f32, "F32", 4},
                                             {DType::f16, "F16", 2},
                                             {DType::bf16, "BF16", 2},
                                             {DType::i64, "I64", 8},
                                             {DType::i32, "I32", 4},
                                             {DType::i16, "I16", 2},
                                             {DType::i8, "I8", 1},
                                             {DType::u64, "U64", 8},
                                             {DType::u32, "U32", 4},
                                             {DType::u16, "U16", 2},
                                             {DType::u8, "U8", 1},
                                             {DType::boolean, "BOOL", 1}}};

const DTypeFacts& facts(DType dtype) {
  const auto found =
      std::find_if(dtypes.begin(), dtypes.end(), [&](auto& f) { return f.dtype == dtype; });
  if (found == dtypes.end()) throw internal_error("a dtype that is not in the table");
  return *found;
}

}  // namespace

std::size_t dtype_size(DType dtype) {
  return facts(dtype).size;
}
std::string_view dtype_name(DType dtype) {
  return facts(dtype).name;
}

DType dtype_from_name(std::string_view name) {
  const auto found =
      std::find_if(dtypes.begin(), dtypes.end(), [&](auto& f) { return f.name == name; });
  if (found == dtypes.end()) throw input_error(cat("dtype \"", name, "\" is not supported"));
  return found->dtype;
}

std::uint64_t tensor_bytes(DType dtype, std::span<const std::int64_t> shape) {
  std::uint64_t bytes = dtype_size(dtype);
  // An extent of 0 makes any other extent harmless, so it is looked for first.
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) bytes = 0;
  for (const std::int64_t extent : shape) {
    if (extent < 0) throw input_error("a negative extent in the shape");
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(extent), &bytes)) {
      throw input_error("the shape has more elements than can be counted");
    }
  }
  return bytes;
}

}  // namespace blt::io
