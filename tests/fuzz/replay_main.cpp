// SPDX-License-Identifier: MIT
// Runs a fuzz target without libFuzzer: its seeds, every truncation of them, and a fixed series of mutations. With
// file arguments it runs those instead (a finding of the fuzzer); with --write-seeds DIR it writes the seeds.
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>

#include "target.h"

namespace {

constexpr int mutations = 800;
constexpr std::size_t truncations = 80;

std::size_t runs = 0;

void run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
  ++runs;
}

std::string read(const char* path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::cerr << path << ": cannot be read\n";
    std::exit(3);
  }
  return {std::istreambuf_iterator<char>(file), {}};
}

// One to four small damages: a changed byte, a run set to 0xff, a piece cut out, doubled, or a digit run grown.
std::string mutate(std::string text, std::mt19937_64& random) {
  const auto below = [&random](std::size_t n) { return n == 0 ? 0 : random() % n; };
  for (std::size_t n = 1 + below(4); n > 0 && !text.empty(); --n) {
    const std::size_t at = below(text.size());
    const std::size_t length = 1 + below(8);
    switch (below(5)) {
      case 0: text[at] = static_cast<char>(random()); break;
      case 1: text.replace(at, length, std::min(length, text.size() - at), '\xff'); break;
      case 2: text.erase(at, length); break;
      case 3: text.insert(at, text.substr(at, length)); break;
      default: text.insert(at, "99999999999999999999", length); break;
    }
  }
  return text;
}

void run_all(const std::vector<std::string>& seeds) {
  std::mt19937_64 random(20250101);
  for (const auto& seed : seeds) {
    run(seed);
    const std::size_t step = 1 + seed.size() / truncations;
    for (std::size_t size = 0; size < seed.size(); size += step) run(seed.substr(0, size));
  }
  for (int i = 0; i < mutations; ++i) run(mutate(seeds[i % seeds.size()], random));
}

}  // namespace

int main(int argc, char** argv) {
  const auto seeds = blt::fuzz::seeds();
  if (argc == 3 && std::string_view(argv[1]) == "--write-seeds") {
    for (std::size_t i = 0; i < seeds.size(); ++i) {
      std::ofstream(std::string(argv[2]) + "/seed-" + std::to_string(i), std::ios::binary) << seeds[i];
    }
    return 0;
  }
  if (argc > 1) {
    for (int i = 1; i < argc; ++i) run(read(argv[i]));
  } else {
    run_all(seeds);
  }
  std::cout << runs << " inputs\n";
  return 0;
}
