// SPDX-License-Identifier: MIT
// A safetensors header of any bytes: every tensor that is accepted lies inside the file.
#include "blt/base/error.h"
#include "blt/io/safetensors.h"
#include "target.h"

namespace {

std::string file_with(const std::string& header, std::size_t data_bytes) {
  std::string out;
  for (int i = 0; i < 8; ++i) out += static_cast<char>(header.size() >> (8 * i));
  return out + header + std::string(data_bytes, '\x11');
}

}  // namespace

std::vector<std::string> blt::fuzz::seeds() {
  return {file_with(R"({"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}})", 24),
          file_with(R"({"__metadata__":{"format":"pt"},"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]},)"
                    R"("b":{"dtype":"U8","shape":[],"data_offsets":[4,5]}})", 5),
          file_with(R"({"empty":{"dtype":"I64","shape":[0,9],"data_offsets":[0,0]}})", 0)};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const blt::fuzz::MemoryFile memory(blt::fuzz::view(data, size));
  try {
    const blt::io::SafetensorsFile file(memory.path());
    for (const auto& [name, tensor] : file.tensors()) {
      std::size_t bytes = blt::io::dtype_size(tensor.dtype);
      for (const auto extent : tensor.shape) bytes *= static_cast<std::size_t>(extent);
      blt::fuzz::require(bytes == tensor.data.size());
      unsigned sum = 0;  // touches every byte
      for (const auto byte : tensor.data) sum += std::to_integer<unsigned>(byte);
      blt::fuzz::require(sum <= 255 * tensor.data.size());
    }
  } catch (const blt::Error& error) {
    blt::fuzz::require(error.kind() == blt::ErrorKind::input);
  }
  return 0;
}
