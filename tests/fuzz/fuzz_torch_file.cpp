// SPDX-License-Identifier: MIT
// A .pth file of any bytes: every tensor that is accepted lies inside the file.
#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/io/torch_file.h"
#include "target.h"

std::vector<std::string> blt::fuzz::seeds() {
  const std::string path = cat("/tmp/blt-fuzz-torch-", getpid());
  io::TorchWriter writer(path, "model");
  writer.declare("a.weight", io::DType::f32, {2, 3});
  writer.declare("b", io::DType::bf16, {4});
  writer.write("a.weight", as_bytes(std::string(24, '\x11')));
  writer.write("b", as_bytes(std::string(8, '\x22')));
  writer.commit();
  std::string file = read_file(path);
  unlink(path.c_str());
  return {std::move(file)};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const blt::fuzz::MemoryFile memory(blt::fuzz::view(data, size));
  try {
    const blt::io::TorchFile file(memory.path());
    for (const auto& [name, tensor] : file.tensors()) {
      blt::fuzz::require(blt::io::tensor_bytes(tensor.dtype, tensor.shape) == tensor.data.size());
      unsigned sum = 0;  // touches every byte
      for (const auto byte : tensor.data) sum += std::to_integer<unsigned>(byte);
      blt::fuzz::require(sum <= 255 * tensor.data.size());
    }
  } catch (const blt::Error& error) {
    blt::fuzz::require(error.kind() == blt::ErrorKind::input);
  }
  return 0;
}
