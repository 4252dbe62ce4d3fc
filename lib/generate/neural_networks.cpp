// SPDX-License-Identifier: MIT
// The one door of libblt_nn: programs open the library and ask for this table. Torch's own errors end here.
#include <c10/util/Exception.h>

#include <string>

#include "blt/base/error.h"
#include "blt/generate/generate.h"
#include "blt/generate/score.h"
#include "blt/model/convert.h"
#include "blt/model/inference.h"
#include "blt/patch/entropy_source.h"
#include "blt/train/trainer.h"

namespace blt {
namespace {

// Torch tells errors with a stack of frames; users get the first line and the right kind.
template <class F>
auto without_torch_errors(F&& f) {
  try {
    return f();
  } catch (const c10::OutOfMemoryError& error) {
    throw resource_error(error.what_without_backtrace());
  } catch (const c10::Error& error) {
    const std::string text = error.what_without_backtrace();
    const bool memory = text.find("not enough memory") != std::string::npos;
    const std::string line = text.substr(0, text.find('\n'));
    throw memory ? resource_error(line) : Error(ErrorKind::internal, line);
  }
}

class Guarded final : public NeuralNetworks {
 public:
  std::unique_ptr<EntropySource> open_entropy_source(const std::string& model, const ModelOptions& options) override {
    return without_torch_errors([&] { return model::open_entropy_source(model, options); });
  }
  std::unique_ptr<Scorer> open_scorer(const std::string& model, const ModelOptions& options) override {
    return without_torch_errors([&] { return model::open_scorer(model, options); });
  }
  int train(const TrainConfig& config, Reporter& reporter) override {
    return without_torch_errors([&] { return train::run(config, reporter); });
  }
  int convert(const ConvertConfig& config, Reporter& reporter) override {
    return without_torch_errors([&] { return model::convert(config, reporter); });
  }
  int init_from(const InitFromConfig& config, Reporter& reporter) override {
    return without_torch_errors([&] { return model::init_from(config, reporter); });
  }
  int generate(const GenerateConfig& config, Reporter& reporter) override {
    return without_torch_errors([&] { return generate::run(config, reporter); });
  }
  int score(const ScoreConfig& config, Reporter& reporter) override {
    return without_torch_errors([&] { return generate::score(config, reporter); });
  }
};

}  // namespace
}  // namespace blt

extern "C" blt::NeuralNetworks* blt_neural_networks() {
  static blt::Guarded table;
  return &table;
}
