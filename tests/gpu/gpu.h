// SPDX-License-Identifier: MIT
// The device of the GPU tests.
#pragma once

#include <catch2/catch.hpp>
#include <filesystem>
#include <optional>

#include "blt/base/error.h"
#include "blt/nn/functional.h"

// None: the test is skipped. With a driver's device file there, failing to open it is a failure.
inline std::optional<at::Device> gpu() {
  try {
    return blt::nn::open_device("cuda");
  } catch (const blt::Error& error) {
    if (std::filesystem::exists("/dev/nvidiactl")) FAIL(error.what());
    WARN("skipped, no GPU here: " << error.what());
    return std::nullopt;
  }
}
