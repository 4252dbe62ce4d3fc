// SPDX-License-Identifier: MIT
#include "blt/nn/memory.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <cstdlib>

#include "blt/base/error.h"
#include "blt/base/memory.h"

namespace blt::nn {

at::Tensor empty_in_huge_pages(at::IntArrayRef sizes, const at::TensorOptions& options) {
  const auto bytes = static_cast<std::size_t>(c10::multiply_integers(sizes)) * options.dtype().itemsize();
  if (!options.device().is_cpu() || bytes < huge_page) return at::empty(sizes, options);
  const std::size_t whole = (bytes + huge_page - 1) / huge_page * huge_page;
  void* data = std::aligned_alloc(huge_page, whole);
  if (!data) throw resource_error(cat("no memory for ", bytes, " bytes"));
  prefer_huge_pages(data, whole);
  return at::from_blob(data, sizes, std::free, options);
}

}  // namespace blt::nn
