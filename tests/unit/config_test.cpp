// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/config/program.h"

using namespace blt;
using namespace blt::config;

namespace {

struct Sample {
  std::string name = "tiny";
  std::int64_t steps = 100;
  std::optional<double> threshold;
  std::vector<double> sizes;
  bool force = false;
  std::vector<std::string> inputs, more;
};

Fields describe(Sample& c) {
  Fields f;
  f.positional("INPUT", &c.inputs, "files").required = true;
  f.add("name", "--name", &c.name, "NAME", "a preset").choices = {"tiny", "small"};
  Field& steps = f.add("steps", "-s,--steps", &c.steps, "N", "steps");
  steps.min = 1;
  steps.sized = true;
  f.add("threshold", "--threshold", &c.threshold, "T", "nats").environment = "BLT_TEST_THRESHOLD";
  f.add("sizes", "--sizes", &c.sizes, "P,...", "patch sizes");
  f.add("more", "--more", &c.more, "FILE", "more files").many = true;
  f.add("force", "-f,--force", &c.force, "", "replace").same_run = false;
  return f;
}

struct Ran {
  int code;
  Sample sample;
};

Ran run(std::vector<std::string> arguments) {
  Sample sample;
  Program program{"blt-test", "Test", "", {}};
  Command command;
  command.fields = describe(sample);
  command.run = [](Invocation&) { return 0; };
  program.commands.push_back(std::move(command));
  arguments.insert(arguments.begin(), "blt-test");
  std::vector<char*> argv;
  for (auto& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const int code = run_program(std::move(program), static_cast<int>(arguments.size()), argv.data());
  return {code, sample};
}

}  // namespace

TEST_CASE("flags set typed values") {
  const auto [code, s] = run({"a", "-b", "--", "b"});
  CHECK(code == 2);
  const auto ok = run({"a", "--steps", "10k", "--sizes", "4.5,6", "--sizes", "8", "b", "--force", "--threshold=-1.5"});
  CHECK(ok.code == 0);
  CHECK(ok.sample.inputs == std::vector<std::string>{"a", "b"});
  CHECK(ok.sample.steps == 10'000);
  CHECK(ok.sample.sizes == std::vector<double>{4.5, 6, 8});
  CHECK(ok.sample.force);
  CHECK(ok.sample.threshold == -1.5);
  const auto many = run({"a", "--more", "x", "y", "--force", "--more", "z"});
  CHECK(many.sample.more == std::vector<std::string>{"x", "y", "z"});
  CHECK(many.sample.inputs == std::vector<std::string>{"a"});
}

TEST_CASE("wrong values are usage errors") {
  for (const std::vector<std::string>& bad :
       {std::vector<std::string>{}, {"a", "--steps", "0"}, {"a", "--steps", "1.5"}, {"a", "--name", "huge"},
        {"a", "--threshold", "nan"}, {"a", "--nonsense"}, {"a", "--steps"}, {"a", "-j", "-1"}}) {
    CHECK(run(bad).code == 2);
  }
}

TEST_CASE("priority: flag over environment over file over default") {
  const std::string path = (std::filesystem::temp_directory_path() / cat("blt-config-", ::getpid(), ".toml")).string();
  write_file(path, "steps = 7\nthreshold = 1.0\nsizes = [1.5, 2]\nname = \"small\"\n");
  ::setenv("BLT_TEST_THRESHOLD", "2.0", 1);
  auto ran = run({"a", "-c", path, "--steps", "9"});
  CHECK(ran.code == 0);
  CHECK(ran.sample.steps == 9);
  CHECK(ran.sample.threshold == 2.0);
  CHECK(ran.sample.name == "small");
  CHECK(ran.sample.sizes == std::vector<double>{1.5, 2});
  CHECK(run({"a", "-c", path, "--threshold", "3"}).sample.threshold == 3.0);
  ::unsetenv("BLT_TEST_THRESHOLD");
  write_file(path, "step = 7\n");
  CHECK(run({"a", "-c", path}).code == 2);
  write_file(path, "steps = = 7\n");
  CHECK(run({"a", "-c", path}).code == 3);
  std::filesystem::remove(path);
}

TEST_CASE("a run compares with an earlier one") {
  Sample sample;
  Fields fields = describe(sample);
  const Json earlier = to_json(fields);
  CHECK(differences(fields, earlier).empty());
  sample.steps = 200;
  sample.force = true;  // not part of what makes a run the same
  CHECK(differences(fields, earlier) == std::vector<std::string>{"steps: 100 -> 200"});
}
