// SPDX-License-Identifier: MIT
// Which of several processes this one is, as launchers tell it.
#pragma once

#include <cstddef>
#include <optional>

namespace blt {

struct Ranks {
  std::size_t rank = 0, size = 1;  // rank < size
};

// From the variables of torchrun (RANK, WORLD_SIZE), else of Open MPI (OMPI_COMM_WORLD_RANK,
// ..._SIZE), MPICH and others with PMI (PMI_RANK, PMI_SIZE), srun (SLURM_PROCID, SLURM_NTASKS);
// none without both of a pair. A launcher that starts another's processes is asked last. Errors:
// usage, naming the variable.
std::optional<Ranks> ranks_of_environment();

}  // namespace blt
