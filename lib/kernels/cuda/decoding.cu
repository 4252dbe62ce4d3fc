// SPDX-License-Identifier: MIT
// What decoding needs beside the operations of training.
#include "functions.h"
#include "launch.cuh"

namespace blt::kernels::cuda {

using gpu::Cuda;

void matvec(const MatVec& p) {
  Cuda::matvec(p);
}
void residual(const Residual& p) {
  Cuda::residual(p);
}
void cast(const Cast& p) {
  Cuda::cast(p);
}
void put_rows(const PutRows& p) {
  Cuda::put_rows(p);
}

}  // namespace blt::kernels::cuda
