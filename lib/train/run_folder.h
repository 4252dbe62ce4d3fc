// SPDX-License-Identifier: MIT
// The folder of a run: checkpoint-N folders that appear by rename, `latest` naming the newest, links to its model files so
// that the run's folder is itself a model folder, and metrics.jsonl.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "blt/base/json.h"

namespace blt::train {

class RunFolder {
 public:
  // Creates the folder; with resume opens it. Errors: output (exists), input (nothing to resume).
  RunFolder(std::string path, bool force, bool resume);

  // The newest checkpoint's folder, when there is one.
  std::optional<std::string> latest() const;
  // Calls write(folder) on a staged folder, then publishes it; the two newest checkpoints stay.
  void save(std::int64_t step, const std::function<void(const std::string& folder)>& write);
  void add_metrics(const Json& line);
  // Drops lines of metrics.jsonl after this step: a resumed run writes them again.
  void trim_metrics(std::int64_t step);

 private:
  std::string path_;
};

}  // namespace blt::train
