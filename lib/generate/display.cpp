// SPDX-License-Identifier: MIT
#include "display.h"

#include <utility>

namespace blt::generate {

std::string Display::push(char byte, bool border) {
  if (raw_) return std::string(1, byte);
  if (!patches_) return stream_.push({&byte, 1});
  std::string out;
  if (border && begun_) out = text::escape(std::exchange(patch_, {}), {.newlines = false}) + "|";
  begun_ = true;
  patch_ += byte;
  return out;
}

std::string Display::finish() {
  if (raw_) return {};
  return (patches_ ? text::escape(std::exchange(patch_, {}), {.newlines = false})
                   : stream_.finish()) +
         "\n";
}

}  // namespace blt::generate
