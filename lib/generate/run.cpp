// SPDX-License-Identifier: MIT
// The program: prompts, model, output.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <memory>
#include <random>

#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/base/random.h"
#include "blt/base/signals.h"
#include "blt/base/threads.h"
#include "blt/base/units.h"
#include "blt/generate/generate.h"
#include "blt/patch/json_lines.h"
#include "blt/text/utf8.h"
#include "prompts.h"

namespace blt::generate {
namespace {

// Text, or what keeps every byte.
void put_text(Json& json, const char* name, const char* base64_name, std::string_view bytes) {
  if (text::is_valid_utf8(bytes))
    json[name] = bytes;
  else
    json[base64_name] = patch::encode_base64(bytes);
}

// Standard output, or a file that appears when all is done.
class Output {
 public:
  explicit Output(const GenerateConfig& config) {
    if (!config.output.empty()) file_ = std::make_unique<AtomicFile>(config.output, config.force);
  }
  bool write(std::string_view text) {
    if (file_) {
      file_->write(text);
      return true;
    }
    if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0)
      return true;
    if (errno == EPIPE) return false;
    throw output_error(errno_message("standard output", errno));
  }
  void finish() {
    if (file_) file_->commit();
  }

 private:
  std::unique_ptr<AtomicFile> file_;
};

bool is_greedy(const GenerateConfig& config) {
  return config.greedy || config.temperature == 0;
}

std::string summary(const Completion& c, const Engine::Facts& facts) {
  std::string out = cat(c.text.size(), " bytes");
  if (facts.kind == "blt") out += cat(", ", c.patches, " patches");
  return out + cat(", ", format_seconds(c.seconds), ", ", format_fixed(c.bytes_per_second(), 1),
                   " bytes/s, ended by ",
                   c.finish_reason == "length" ? "--max-bytes"
                   : c.finish_reason == "stop" ? "a stop string"
                   : c.finish_reason == "constraint" ? "the constraint"
                                               : c.finish_reason);
}

std::string draft_summary(const Completion& c) {
  const DraftCounts& d = c.drafts;
  const auto rate = [](std::int64_t part, std::int64_t whole) {
    return format_fixed(whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0, 2);
  };
  std::string out = cat("drafts: ", d.accepted, " of ", d.drafted, " bytes accepted, ", rate(c.steps, d.passes),
                        " bytes a pass in ", d.passes, " passes");
  if (d.looked_up > 0) out += cat(", ", d.looked_up, " looked up");
  if (d.guesses > 0) out += cat(", beside ", d.guesses, " of the local models alone");
  return out;
}

}  // namespace

Json to_json(const Completion& c, std::string_view prompt, const GenerateConfig& config,
             const Engine::Facts& facts, std::uint64_t seed) {
  Json json = Json::object();
  put_text(json, "prompt", "prompt_base64", prompt);
  put_text(json, "text", "bytes_base64", c.text);
  json["finish_reason"] = c.finish_reason;
  json["bytes"] = c.text.size();
  if (facts.kind == "blt") json["patches"] = c.patches;
  json["seconds"] = c.seconds;
  json["bytes_per_second"] = c.bytes_per_second();
  if (config.speculate != "off") {
    json["drafts"] = {{"drafted", c.drafts.drafted}, {"accepted", c.drafts.accepted}, {"looked_up", c.drafts.looked_up},
                      {"passes", c.drafts.passes}, {"guesses", c.drafts.guesses}};
  }
  json["prompt_bytes"] = prompt.size();
  json["prompt_seconds"] = c.prompt_seconds;
  json["seed"] = is_greedy(config) ? Json(nullptr) : Json(seed);
  return json;
}

namespace {

EngineOptions engine_options(const GenerateConfig& config) {
  EngineOptions options;
  options.exact = config.engine == "exact";
  options.heads = config.speculate == "heads" ? UseHeads::yes : config.speculate == "auto" ? UseHeads::if_any : UseHeads::no;
  return options;
}

std::uint64_t choose_seed(const GenerateConfig& config, Reporter& reporter) {
  const std::uint64_t seed = config.seed ? static_cast<std::uint64_t>(*config.seed) : std::random_device{}();
  if (!is_greedy(config)) reporter.info(cat("seed ", seed));
  return seed;
}

int run_rows(const GenerateConfig& config, Reporter& reporter) {
  const std::vector<PromptRow> rows = read_prompt_rows(config.rows, reporter);
  make_constraint(config);  // one that cannot be shows before the model is opened
  const std::int64_t most = config.batch > 0 ? config.batch : resolve_threads(static_cast<int>(config.options.threads));
  const auto engines = open_engines(config.model, config.options, engine_options(config),
                                    std::min(rows.size(), static_cast<std::size_t>(most)));
  const std::uint64_t seed = choose_seed(config, reporter);
  Output output(config);
  std::uint64_t bytes = 0;
  const auto start = std::chrono::steady_clock::now();
  const auto tell = [&](std::size_t done) {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    Progress progress{"generate", done, rows.size(), "rows", {}, done == rows.size()};
    progress.fields = {{"written", format_bytes(static_cast<double>(bytes))},
                       {"bytes/s", format_fixed(seconds > 0 ? static_cast<double>(bytes) / seconds : 0, 1)}};
    reporter.progress(progress);
    return seconds;
  };
  complete_rows(rows, engines, config, seed, reporter, [&](std::size_t i, const Completion& completion) {
    const PromptRow& row = rows[i];
    Json json = to_json(completion, row.prompt, config, engines.front()->facts(), row.seed.value_or(seed_of(seed, i)));
    if (!row.id.is_null()) json["id"] = row.id;
    bytes += completion.text.size();
    const double seconds = tell(i + 1);
    if (i + 1 == rows.size()) {
      reporter.info(cat(rows.size(), rows.size() == 1 ? " row, " : " rows, ", bytes, " bytes, ", format_seconds(seconds),
                        ", ", engines.size(), " at once"));
    }
    return output.write(dump_json(json) + "\n");
  });
  output.finish();
  return stop_signal() ? 128 + stop_signal() : 0;
}

}  // namespace

int run(const GenerateConfig& asked, Reporter& reporter) {
  GenerateConfig config = asked;
  check(config);
  if (!config.output.empty()) check_output_path(config.output, config.force);
  if (!config.rows.empty()) return run_rows(config, reporter);
  const std::vector<std::string> prompts = read_prompts(config);
  const auto constraint = make_constraint(config);
  const auto engine = open_engine(config.model, config.options, engine_options(config));
  const std::uint64_t first_seed = choose_seed(config, reporter);

  Output output(config);
  Generator generator(*engine, config, reporter, constraint.get());
  const Write stream = [&](std::string_view text) { return output.write(text); };
  for (std::size_t i = 0; i < prompts.size() && !stop_signal(); ++i) {
    const std::uint64_t seed = seed_of(first_seed, i);
    const Completion completion =
        generator.complete(prompts[i], seed, config.json ? Write() : stream);
    bool open = completion.finish_reason != "closed";
    if (config.json)
      open =
          output.write(dump_json(to_json(completion, prompts[i], config, engine->facts(), seed)) + "\n");
    if (!open) return 0;  // the reader has seen enough
    reporter.info(summary(completion, engine->facts()));
    if (config.speculate != "off") reporter.detail(draft_summary(completion));
  }
  output.finish();
  return stop_signal() ? 128 + stop_signal() : 0;
}

}  // namespace blt::generate
