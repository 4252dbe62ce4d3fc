// SPDX-License-Identifier: MIT
// The one exception type of the library. Programs turn it into one line and an exit code.
#pragma once

#include <exception>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

namespace blt {

// The value is the program's exit code.
enum class ErrorKind {
  usage = 2,      // wrong options or option values
  input = 3,      // a file, model or record is not what it claims
  output = 4,     // output refused: exists, no space, not writable
  resource = 5,   // device, memory, a lost process
  internal = 70,  // a defect of this software
};

// Joins its arguments' text: cat("line ", 3).
template <class... Args>
std::string cat(const Args&... args) {
  std::ostringstream out;
  (out << ... << args);
  return std::move(out).str();
}

class Error : public std::exception {
 public:
  Error(ErrorKind kind, std::string message, std::string hint = {})
      : kind_(kind), message_(std::move(message)), hint_(std::move(hint)) {}

  ErrorKind kind() const noexcept { return kind_; }
  // "context: message", the outermost context first.
  const char* what() const noexcept override { return message_.c_str(); }
  // A suggestion for the reader, or empty.
  const std::string& hint() const noexcept { return hint_; }

  // Puts "context: " before the message.
  Error& add_context(std::string_view context) {
    message_ = cat(context, ": ", message_);
    return *this;
  }

 private:
  ErrorKind kind_;
  std::string message_;
  std::string hint_;
};

inline Error usage_error(std::string message, std::string hint = {}) {
  return {ErrorKind::usage, std::move(message), std::move(hint)};
}
inline Error input_error(std::string message, std::string hint = {}) {
  return {ErrorKind::input, std::move(message), std::move(hint)};
}
inline Error output_error(std::string message, std::string hint = {}) {
  return {ErrorKind::output, std::move(message), std::move(hint)};
}
inline Error resource_error(std::string message, std::string hint = {}) {
  return {ErrorKind::resource, std::move(message), std::move(hint)};
}
inline Error internal_error(std::string message) {
  return {ErrorKind::internal, std::move(message)};
}

// Runs f and puts "context: " before the message of an Error that leaves it.
template <class F>
decltype(auto) with_context(std::string_view context, F&& f) {
  try {
    return std::forward<F>(f)();
  } catch (Error& error) {
    error.add_context(context);
    throw;
  }
}

}  // namespace blt
