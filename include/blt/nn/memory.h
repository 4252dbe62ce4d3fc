// SPDX-License-Identifier: MIT
#pragma once

#include <ATen/core/Tensor.h>

namespace blt::nn {

// As at::empty. On the CPU, what fills a page of 2 MiB lies in such pages: for what is read from end to end for each byte of text.
// Errors: resource.
at::Tensor empty_in_huge_pages(at::IntArrayRef sizes, const at::TensorOptions& options);

}  // namespace blt::nn
