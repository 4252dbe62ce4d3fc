// SPDX-License-Identifier: MIT
#include "blt/generate/stop.h"

#include <algorithm>
#include <utility>

namespace blt::generate {

std::string StopMatcher::push(char byte) {
  if (stopped_) return {};
  held_ += byte;
  const std::string_view text = held_;
  std::size_t complete = 0, partial = 0;
  for (const std::string_view stop : stops_) {
    if (text.size() >= stop.size() && text.substr(text.size() - stop.size()) == stop)
      complete = std::max(complete, stop.size());
    for (std::size_t n = std::min(stop.size() - 1, text.size()); n > partial; --n) {
      if (text.substr(text.size() - n) == stop.substr(0, n)) partial = n;
    }
  }
  stopped_ = complete > 0;
  std::string free = held_.substr(0, held_.size() - (stopped_ ? complete : partial));
  if (stopped_)
    held_.clear();
  else
    held_.erase(0, free.size());
  return free;
}

std::string StopMatcher::finish() {
  return std::exchange(held_, {});
}

}  // namespace blt::generate
