// SPDX-License-Identifier: MIT
// Stop strings over a stream of bytes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace blt::generate {

// Holds back what may turn out to be the beginning of a stop string.
class StopMatcher {
 public:
  explicit StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  // The bytes that are free to be shown after this one. When a stop string is complete (stopped()),
  // it is dropped with all that follows; of several that end at the same byte the longest.
  std::string push(char byte);
  // The rest, when generation ends for another reason.
  std::string finish();
  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;  // the longest end of the stream that begins a stop string
  bool stopped_ = false;
};

}  // namespace blt::generate
