// SPDX-License-Identifier: MIT
#include "blt/base/ranks.h"

#include <charconv>
#include <cstdlib>
#include <cstring>

#include "blt/base/error.h"

namespace blt {
namespace {

struct Variables {
  const char* rank;
  const char* size;
};

constexpr Variables launchers[] = {{"RANK", "WORLD_SIZE"},
                                   {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
                                   {"PMI_RANK", "PMI_SIZE"},
                                   {"SLURM_PROCID", "SLURM_NTASKS"}};

std::size_t number_of(const char* name, const char* value) {
  std::size_t number = 0;
  const char* end = value + std::strlen(value);
  const auto [stop, error] = std::from_chars(value, end, number);
  if (error != std::errc() || stop != end || value == end)
    throw usage_error(cat("environment variable ", name, ": '", value, "' is not a count"));
  return number;
}

// A batch script sees SLURM_PROCID=0 and SLURM_NTASKS too, but is one process; srun's tasks have a
// step.
bool only_a_batch_script() {
  return std::getenv("SLURM_JOB_ID") && !std::getenv("SLURM_STEP_ID");
}

}  // namespace

std::optional<Ranks> ranks_of_environment() {
  for (const auto& names : launchers) {
    const char* rank = std::getenv(names.rank);
    const char* size = std::getenv(names.size);
    if (!rank || !size) continue;
    if (std::strcmp(names.rank, "SLURM_PROCID") == 0 && only_a_batch_script()) continue;
    const Ranks ranks{number_of(names.rank, rank), number_of(names.size, size)};
    if (ranks.rank >= ranks.size)
      throw usage_error(cat("environment variables ", names.rank, "=", rank, " and ", names.size,
                            "=", size, ": the rank is not below the number of ranks"));
    return ranks;
  }
  return std::nullopt;
}

}  // namespace blt
