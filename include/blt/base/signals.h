// SPDX-License-Identifier: MIT
// SIGTERM, SIGINT and SIGUSR1 ask for an orderly stop: finish the step, save, exit 128+n. A second one stops at once.
#pragma once

namespace blt {

void install_stop_signals();
// The signal that asked for a stop, or 0.
int stop_signal();

}  // namespace blt
