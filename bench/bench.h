// SPDX-License-Identifier: MIT
// What the benchmarks share.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "blt/config/program.h"

namespace blt::bench {

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

// Options that all benchmarks have. dtypes, compat: where their values go.
inline void add_common_fields(config::Fields& fields, std::int64_t* rounds, std::vector<std::string>* dtypes, std::string* compat,
                              bool* json) {
  fields.add("rounds", "--rounds", rounds, "N", "times that each is measured; medians are told").min = 1;
  fields.add("dtypes", "--dtype", dtypes, "TYPE", "of matrix products; repeat it for more, measured in turns");
  fields.add("compat", "--compat", compat, "NAME", "whose attention semantics").choices = {"auto", "meta", "hf"};
  fields.add("json", "--json", json, "", "report as JSON");
}

inline int run_program(const std::string& name, const std::string& brief, config::Command command, int argc, char** argv) {
  for (auto& field : command.fields.all()) field.common = true;
  config::Program program;
  program.name = name;
  program.brief = brief;
  program.commands.push_back(std::move(command));
  return config::run_program(program, argc, argv);
}

}  // namespace blt::bench
