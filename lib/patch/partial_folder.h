// SPDX-License-Identifier: MIT
// DIR.partial: a run of blt-patch that is not complete. plan.json, a record of each part that is
// done, and shards/, which becomes DIR when all are. Several processes, on several machines, work
// in it at once.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "blt/base/json.h"
#include "blt/shard/shard.h"

namespace blt::patch {

struct PartRecord {
  std::vector<shard::Manifest::Shard> shards;
  std::uint64_t skipped = 0;                 // records and files left out by on_error = skip
  std::vector<std::string> skipped_records;  // the first of them
  std::uint64_t left_out = 0;                // documents of the corpus' other half
};

class PartialFolder {
 public:
  explicit PartialFolder(const std::string& output);
  ~PartialFolder();
  PartialFolder(const PartialFolder&) = delete;
  PartialFolder& operator=(const PartialFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string shards() const { return path_ + "/shards"; }

  // Makes the folder where it is missing. `alone`: no other process may be at work in it (as far as
  // the file system locks); `anew`: what an earlier run left is removed. Errors: output (a folder
  // of something else, in use).
  void open(bool alone, bool anew);
  // The plan that lies there. Errors: input.
  std::optional<Json> plan() const;
  // False when another process was first: then its plan holds.
  bool publish(const Json& plan) const;

  // The record of a part whose shards are there. A damaged one counts as none.
  std::optional<PartRecord> record(std::size_t part) const;
  void write_record(std::size_t part, const PartRecord& record) const;
  // Removes half-written files of these parts.
  void clean(const std::function<bool(std::size_t)>& mine) const;

  // Writes the manifest; shards/ becomes `output`. Errors: output (also where another process did
  // it).
  void finish(const shard::Manifest& manifest, const std::string& output, bool replace);
  void remove();       // with all that is in it
  void remove_rest();  // what a process left that was cut off in remove() behind finish()

 private:
  std::string record_path(std::size_t part) const;

  std::string path_;
  int lock_ = -1;
};

}  // namespace blt::patch
