// SPDX-License-Identifier: MIT
#include "blt/base/signals.h"

#include <csignal>
#include <initializer_list>
#include <unistd.h>

namespace blt {
namespace {

volatile std::sig_atomic_t pending = 0;

void on_stop_signal(int signal) {
  if (pending) ::_exit(128 + signal);  // the second one: stop now
  pending = signal;
}

}  // namespace

void install_stop_signals() {
  struct sigaction action {};
  action.sa_handler = on_stop_signal;
  action.sa_flags = SA_RESTART;
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1}) ::sigaction(signal, &action, nullptr);
  // A reader that closes the pipe is told by write()'s EPIPE.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // EFBIG
}

int stop_signal() { return pending; }

}  // namespace blt
