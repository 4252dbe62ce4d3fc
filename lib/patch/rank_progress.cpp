// SPDX-License-Identifier: MIT
#include "rank_progress.h"

#include "blt/base/error.h"
#include "blt/base/units.h"

namespace blt::patch {
namespace {

constexpr std::chrono::seconds look_interval{5};

std::string count_text(std::uint64_t n) {
  return format_count(static_cast<double>(n));
}

std::string mean_text(std::uint64_t bytes, std::uint64_t patches) {
  return format_fixed(patches ? static_cast<double>(bytes) / static_cast<double>(patches) : 0, 2);
}

}  // namespace

RankProgress::RankProgress(const Plan& plan, const Ranks& ranks, Records& records,
                           const PartialFolder& folder, Reporter& reporter)
    : plan_(plan), ranks_(ranks), records_(records), folder_(folder), reporter_(reporter) {
  for (std::size_t part = 0; part < plan_.parts.size(); ++part) {
    total_ += plan_.file_bytes(part);
    if (mine(part)) share_ += plan_.file_bytes(part);
  }
  mine_ = done_parts(true);
  others_ = done_parts(false);
  mine_before_ = mine_.corpus_bytes;
  all_before_ = mine_.corpus_bytes + others_.corpus_bytes;
}

RankProgress::Sums RankProgress::done_parts(bool of_this_rank) const {
  Sums sums;
  for (std::size_t part = 0; part < records_.size(); ++part) {
    if (mine(part) != of_this_rank || !records_[part]) continue;
    sums.corpus_bytes += plan_.file_bytes(part);
    for (const auto& shard : records_[part]->shards) {
      sums.documents += shard.documents;
      sums.bytes += shard.bytes;
      sums.patches += shard.patches;
    }
  }
  return sums;
}

void RankProgress::look_at_others() {
  if (ranks_.size == 1 || Clock::now() - looked_ < look_interval) return;
  looked_ = Clock::now();
  for (std::size_t part = 0; part < records_.size(); ++part)
    if (!mine(part) && !records_[part]) records_[part] = folder_.record(part);
  others_ = done_parts(false);
}

void RankProgress::add(const BatchCounts& batch) {
  mine_.corpus_bytes = mine_before_ + batch.corpus_bytes;
  mine_.documents += batch.documents;
  mine_.bytes += batch.bytes;
  mine_.patches += batch.patches;
  look_at_others();
  tell(false);
}

void RankProgress::tell(bool finished) {
  if (finished) others_ = done_parts(false);
  Progress progress{"patch", mine_.corpus_bytes, share_, "B", {}, finished};
  progress.fields = {{"documents", count_text(mine_.documents)},
                     {"patches", count_text(mine_.patches)},
                     {"bytes/patch", mean_text(mine_.bytes, mine_.patches)}};
  if (ranks_.size > 1) {
    progress.fields.emplace_back("rank", cat(ranks_.rank, " of ", ranks_.size));
    progress.fields.emplace_back("all ranks", all_ranks());
  }
  reporter_.progress(progress);
}

// Other ranks count with the parts that they have completed.
std::string RankProgress::all_ranks() const {
  const std::uint64_t done = mine_.corpus_bytes + others_.corpus_bytes;
  const std::uint64_t bytes = mine_.bytes + others_.bytes,
                      patches = mine_.patches + others_.patches;
  const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  const double rate = seconds > 0 ? static_cast<double>(done - all_before_) / seconds : 0;
  std::string text = cat(
      format_bytes(static_cast<double>(done)), " of ", format_bytes(static_cast<double>(total_)),
      ", ", count_text(mine_.documents + others_.documents), " documents, ", count_text(patches),
      " patches, ", mean_text(bytes, patches), " bytes/patch, ", format_bytes(rate), "/s");
  if (rate > 0 && done < total_)
    text += cat(", ", format_seconds(static_cast<double>(total_ - done) / rate), " left");
  return text;
}

}  // namespace blt::patch
