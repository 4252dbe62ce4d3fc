// SPDX-License-Identifier: MIT
// The progress of one rank, and of all of them as their records tell it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "blt/base/reporter.h"
#include "partial_folder.h"
#include "plan.h"
#include "stages.h"

namespace blt::patch {

class RankProgress {
 public:
  using Records = std::vector<std::optional<PartRecord>>;

  // `records` of the parts that are done; those of other ranks are read when they appear. add()
  // looks at theirs alone, since this rank's may be written meanwhile.
  RankProgress(const Plan& plan, const Ranks& ranks, Records& records, const PartialFolder& folder,
               Reporter& reporter);

  void add(const BatchCounts& batch);
  void tell(bool finished);

 private:
  using Clock = std::chrono::steady_clock;
  struct Sums {
    std::uint64_t corpus_bytes = 0, documents = 0, bytes = 0, patches = 0;
  };
  bool mine(std::size_t part) const { return part % ranks_.size == ranks_.rank; }
  Sums done_parts(bool of_this_rank) const;
  void look_at_others();
  std::string all_ranks() const;

  const Plan& plan_;
  const Ranks ranks_;
  Records& records_;
  const PartialFolder& folder_;
  Reporter& reporter_;
  std::uint64_t share_ = 0,
                total_ = 0;  // corpus bytes of this rank's parts and of all; 0: not known
  Sums mine_, others_;
  std::uint64_t mine_before_ = 0, all_before_ = 0;  // corpus bytes done when it began
  Clock::time_point start_ = Clock::now(), looked_ = start_;
};

}  // namespace blt::patch
