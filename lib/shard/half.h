// SPDX-License-Identifier: MIT
// IEEE 754 binary16, in integer arithmetic: the same on every machine.
#pragma once

#include <cstdint>

namespace blt::shard {

std::uint16_t half_from_float(
    float value);  // to the nearest, ties to even; too large becomes infinity
float float_from_half(std::uint16_t half);  // exact

}  // namespace blt::shard
