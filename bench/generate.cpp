// SPDX-License-Identifier: MIT
// Claim: a byte costs hardly more than reading the weights that it needs once, whatever the length of the text. Decodes
// greedily after prompts of several lengths, in turns over types, and measures what the machine can read around each run.
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <thread>

#include "bench.h"
#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/base/memory.h"
#include "blt/base/table.h"
#include "blt/base/threads.h"
#include "blt/base/units.h"
#include "blt/generate/engine.h"
#include "blt/generate/sampler.h"
#include "blt/model/stored.h"
#include "blt/patch/json_lines.h"

using namespace blt;
using bench::median;

namespace {

struct BenchConfig {
  std::string model, prompt_file;
  std::vector<std::int64_t> prompts = {64, 512, 2048};
  std::vector<std::string> dtypes = {"float32"};
  std::int64_t bytes = 64, rounds = 3;
  std::string compat = "auto", entropy_dtype = "same";
  bool json = false;
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// What some threads together can read of memory that no cache holds.
class Bandwidth {
 public:
  explicit Bandwidth(int threads) : threads_(threads) {
    void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw resource_error("no memory to measure the bandwidth with");
    prefer_huge_pages(memory, size);
    data_ = static_cast<std::uint64_t*>(memory);
    std::fill(data_, data_ + words, 1);
  }
  ~Bandwidth() { ::munmap(data_, size); }
  Bandwidth(const Bandwidth&) = delete;
  Bandwidth& operator=(const Bandwidth&) = delete;

  // Bytes a second, the best of three passes.
  double measure() const {
    double best = 0;
    for (int pass = 0; pass < 3; ++pass) {
      const auto start = std::chrono::steady_clock::now();
      if (sum() != words) throw internal_error("memory does not hold what was written");
      best = std::max(best, size / seconds_since(start));
    }
    return best;
  }

 private:
  static constexpr std::size_t size = std::size_t{1} << 30, words = size / sizeof(std::uint64_t);

  std::uint64_t sum() const {
    const auto count = static_cast<std::size_t>(threads_);
    std::vector<std::uint64_t> sums(count);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < count; ++t) {
      threads.emplace_back([this, t, count, &sums] {
        std::uint64_t own = 0;
        for (std::size_t i = words * t / count; i < words * (t + 1) / count; ++i) own += data_[i];
        sums[t] = own;
      });
    }
    for (auto& thread : threads) thread.join();
    std::uint64_t total = 0;
    for (const auto part : sums) total += part;
    return total;
  }

  int threads_;
  std::uint64_t* data_ = nullptr;
};

// Numbers in the matrices that a byte needs, and that a closed patch needs; those of the entropy model apart, which may have
// a type of its own. Rows of embeddings and hash tables, norms and caches are left out: they are small beside them.
struct Weights {
  double entropy_model = 0, byte = 0, patch = 0;
  // All are stored in bfloat16, and stay so where they count as float32.
  bool narrow = true, narrow_entropy_model = true;

  double bytes_read(const std::string& dtype, const std::string& entropy_dtype, double patches_a_byte) const {
    const auto size = [](const std::string& type, bool fits) { return type == "float32" && !fits ? 4.0 : type == "int8" ? 1.0 : 2.0; };
    return size(entropy_dtype == "same" ? dtype : entropy_dtype, narrow_entropy_model) * entropy_model +
           size(dtype, narrow) * (byte + patches_a_byte * patch);
  }
};

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

Weights weights_of(const std::string& folder) {
  Weights out;
  const model::StoredModel stored = model::open_stored(folder);
  for (const auto& [name, tensor] : stored.tensors) {
    if (tensor.shape.size() != 2 || contains(name, "embed_tokens") || contains(name, "tok_embedding")) continue;
    const auto numbers = static_cast<double>(tensor.shape[0] * tensor.shape[1]);
    const bool decoder_keys = contains(name, "local_decoder.cross_attn") && (contains(name, "k_proj") || contains(name, "v_proj"));
    const bool of_entropy_model = contains(name, "model.patcher.");
    bool& narrow = of_entropy_model ? out.narrow_entropy_model : out.narrow;
    narrow = narrow && tensor.dtype() == io::DType::bf16;
    if (of_entropy_model) out.entropy_model += numbers;
    else if (decoder_keys || contains(name, "global_transformer.") || contains(name, "patch_embedding_projection") ||
             contains(name, "local_encoder.cross_attn")) out.patch += numbers;
    else out.byte += numbers;
  }
  return out;
}

struct Measurement {
  double prefill_seconds = 0, seconds = 0, bandwidth = 0;  // bandwidth: bytes a second
  std::int64_t patches = 0;                                // closed while decoding
  std::string text;
};

Measurement decode(generate::Engine& engine, std::string_view prompt, std::int64_t bytes) {
  Measurement out;
  engine.reset();
  const auto ids = patch::encode(prompt, true, false);
  auto start = std::chrono::steady_clock::now();
  auto logits = engine.prefill(ids);
  out.prefill_seconds = seconds_since(start);
  const std::size_t patches = engine.patch_starts().size();
  start = std::chrono::steady_clock::now();
  for (std::int64_t i = 0; i < bytes; ++i) {
    const patch::TokenId id = generate::best(logits, false);
    out.text += static_cast<char>(id - patch::byte_offset);
    logits = engine.step(id);
  }
  out.seconds = seconds_since(start);
  out.patches = static_cast<std::int64_t>(engine.patch_starts().size() - patches);
  return out;
}

// Of one type and prompt length: medians over rounds.
Json summary(const BenchConfig& c, const std::string& dtype, std::int64_t prompt, const std::vector<Measurement>& runs,
             const Weights& weights) {
  std::vector<double> rates, prefills, bandwidths, shares;
  const auto bytes = static_cast<double>(c.bytes);
  const double patches = static_cast<double>(runs[0].patches) / bytes;
  const double read = weights.bytes_read(dtype, c.entropy_dtype, patches);
  for (const auto& run : runs) {
    rates.push_back(bytes / run.seconds);
    prefills.push_back(run.prefill_seconds);
    bandwidths.push_back(run.bandwidth);
    shares.push_back(rates.back() * read / run.bandwidth);
  }
  return {{"dtype", dtype},
          {"prompt_bytes", prompt},
          {"bytes", c.bytes},
          {"bytes_per_second", median(rates)},
          {"all_bytes_per_second", rates},
          {"prefill_seconds", median(prefills)},
          {"patches_per_byte", patches},
          {"weight_bytes_per_byte", read},
          {"bandwidth", median(bandwidths)},
          {"share_of_limit", median(shares)},
          {"bytes_base64", patch::encode_base64(runs[0].text)}};
}

std::string to_text(const Json& rows) {
  Table table({"dtype", "prompt", "bytes/s", "prefill", "bytes/patch", "MB/byte", "GB/s", "limit", "share"});
  for (const Json& row : rows) {
    const double read = row["weight_bytes_per_byte"], bandwidth = row["bandwidth"], patches = row["patches_per_byte"];
    table.add({row["dtype"], std::to_string(row["prompt_bytes"].get<std::int64_t>()), format_fixed(row["bytes_per_second"], 1),
               format_seconds(row["prefill_seconds"]), patches > 0 ? format_fixed(1 / patches, 2) : "-", format_fixed(read / 1e6, 1),
               format_fixed(bandwidth / 1e9, 1), format_fixed(bandwidth / read, 1), format_fixed(row["share_of_limit"], 2)});
  }
  return table.text();
}

int run(const BenchConfig& c, config::Invocation& invocation) {
  const std::string prompt = read_file(c.prompt_file);
  for (const auto length : c.prompts) {
    if (length > static_cast<std::int64_t>(prompt.size()))
      throw usage_error(cat(c.prompt_file, " has ", prompt.size(), " bytes, and a prompt of ", length, " is asked for"));
  }
  const int threads = resolve_threads(static_cast<int>(invocation.common.threads));
  const Weights weights = weights_of(c.model);
  std::vector<std::unique_ptr<generate::Engine>> engines;
  for (const auto& dtype : c.dtypes) {
    ModelOptions options;
    options.dtype = dtype;
    options.entropy_dtype = c.entropy_dtype;
    options.compat = c.compat;
    options.threads = threads;
    engines.push_back(generate::open_engine(c.model, options, {}));
    decode(*engines.back(), std::string_view(prompt).substr(0, 64), 8);  // the weights come into memory
    engines.back()->settle();
  }
  const Bandwidth bandwidth(threads);
  std::map<std::pair<std::size_t, std::int64_t>, std::vector<Measurement>> runs;
  for (std::int64_t round = 0; round < c.rounds; ++round) {
    for (const auto length : c.prompts) {
      for (std::size_t d = 0; d < engines.size(); ++d) {
        const double before = bandwidth.measure();
        Measurement m = decode(*engines[d], std::string_view(prompt).substr(0, static_cast<std::size_t>(length)), c.bytes);
        m.bandwidth = (before + bandwidth.measure()) / 2;
        runs[{d, length}].push_back(std::move(m));
      }
    }
  }
  Json rows = Json::array();
  for (const auto& [key, measured] : runs) rows.push_back(summary(c, c.dtypes[key.first], key.second, measured, weights));
  const std::string text = c.json ? dump_json({{"threads", threads}, {"runs", rows}}) + "\n" : to_text(rows);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return 0;
}

config::Command make_command(BenchConfig& c) {
  config::Command command;
  config::Fields& fields = command.fields;
  fields.positional("MODEL", &c.model, "folder of a BLT or a byte LM").required = true;
  fields.add("prompt_file", "--prompt-file", &c.prompt_file, "FILE", "prompts are its first bytes").required = true;
  fields.add("prompts", "--prompts", &c.prompts, "N,...", "prompt lengths in bytes").min = 1;
  fields.add("bytes", "-n,--bytes", &c.bytes, "N", "bytes to decode").min = 1;
  fields.add("entropy_dtype", "--entropy-dtype", &c.entropy_dtype, "TYPE", "of the entropy model's weights; same: as --dtype").choices = {
      "same", "float32", "bfloat16", "int8"};
  bench::add_common_fields(fields, &c.rounds, &c.dtypes, &c.compat, &c.json);
  command.run = [&c](config::Invocation& invocation) { return run(c, invocation); };
  return command;
}

}  // namespace

int main(int argc, char** argv) {
  BenchConfig config;
  return bench::run_program("bench_generate", "Speed of decoding beside what reading the weights costs", make_command(config), argc, argv);
}
