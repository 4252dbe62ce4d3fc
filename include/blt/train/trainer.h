// SPDX-License-Identifier: MIT
// The training loop of blt-train.
#pragma once

#include "blt/base/reporter.h"
#include "blt/config/train_config.h"

namespace blt::train {

// Trains by the options; returns 0, or 128 + n when signal n stopped it after saving.
// Errors: usage, input, output; resource when the loss is no longer finite.
int run(const TrainConfig& config, Reporter& reporter);

}  // namespace blt::train
