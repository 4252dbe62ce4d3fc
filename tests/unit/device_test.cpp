// SPDX-License-Identifier: MIT
#include <ATen/core/Tensor.h>
#undef CHECK
#include <catch2/catch.hpp>
#include <memory>

#include "blt/base/error.h"
#include "blt/nn/functional.h"

using namespace blt;

namespace {

// The error of opening a device, or null.
std::unique_ptr<Error> refusal(const std::string& name) {
  try {
    nn::open_device(name);
  } catch (const Error& error) {
    return std::make_unique<Error>(error);
  }
  return nullptr;
}

}  // namespace

TEST_CASE("the CPU is always there") {
  CHECK(nn::open_device("cpu") == at::Device(at::kCPU));
}

TEST_CASE("other names are wrong usage") {
  for (const char* name : {"", "gpu", "CPU", "cuda:", "cuda:x", "cuda:1x", "cuda:-1", "cuda: 1",
                           "cuda:999", "cpu:0"}) {
    INFO(name);
    const auto error = refusal(name);
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(error->hint() == "devices are cpu, cuda and cuda:N");
  }
}

TEST_CASE("a device that is not there is told in one line") {
  const auto error = refusal("cuda:127");
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::resource);
  CHECK(std::string(error->what()).find('\n') == std::string::npos);
  const auto again = refusal("cuda:127");  // as before: nothing is left half loaded
  REQUIRE(again);
  CHECK(std::string(again->what()) == error->what());
}
