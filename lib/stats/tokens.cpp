// SPDX-License-Identifier: MIT
#include "blt/stats/tokens.h"

#include "blt/base/json.h"
#include "blt/base/signals.h"
#include "blt/config/stats_config.h"
#include "blt/stats/inputs.h"
#include "blt/text/bpe.h"
#include "specs.h"

namespace blt::stats {

void list_tokens(const TokensConfig& config, const std::function<void(std::string_view)>& take,
                 Reporter& reporter) {
  const TokenizerSpec spec = parse_tokenizer_spec(config.tokenizer);
  text::Encoder encoder(text::Tokenizer::open(spec.path, spec.split));
  InputReader reader(config.input);
  InputDocument input;
  while (!stop_signal() && reader.next(input)) {
    const io::Document& document = input.document;
    const auto tokens = encoder.encode(document.text);
    take(dump_json({{"id", document.id}, {"bytes", document.text.size()}, {"tokens", tokens}}));
  }
  warn_skipped(reader, reporter);
}

}  // namespace blt::stats
