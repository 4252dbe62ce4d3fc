// SPDX-License-Identifier: MIT
// How a model is opened: the same options in every program.
#pragma once

#include <cstdint>
#include <string>

namespace blt {

struct ModelOptions {
  std::string device = "cpu";          // cpu, cuda, cuda:N
  std::string dtype = "auto";          // auto, float32, bfloat16; blt-generate, blt-patch: int8
  std::string entropy_dtype = "same";  // blt-generate: of a BLT's entropy model: same as dtype, float32, bfloat16, int8
  std::string compat = "auto";         // auto, meta, hf: attention semantics (spec section 11); blt-patch: meta-chunk
  std::string hash_tables = "memory";  // memory, mapped
  std::string entropy_model = {};      // the folder of a BLT's entropy model, where it is not its own
  std::int64_t threads = 0;            // set from the common option
};

}  // namespace blt
