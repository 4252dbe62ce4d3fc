// SPDX-License-Identifier: MIT
// Documents with their patch borders made visible.
#pragma once

#include <cstdint>
#include <string>

#include "blt/shard/shard.h"

namespace blt::patch {

struct ShowOptions {
  bool color = false;  // colours tell patches apart; without it '|' stands between them (and '|' in
                       // the text is '\|')
  std::uint64_t max_bytes = 0;  // of a document, rounded up to a whole patch; 0: all
};

// "== ID (GROUP): N bytes, N patches, N.NN bytes a patch ==", then the text. BOS and EOS are not
// shown; control characters, invalid bytes and characters cut by a border are escaped. Ends with a
// newline.
std::string show_text(const shard::Record& record, const ShowOptions& options);

// {"id", "group"?, "bytes", "patch_lengths", "patches", "entropies"?} with a newline: "patches"
// holds the text of each patch, escaped as above; those that are BOS or EOS alone are "".
std::string show_json(const shard::Record& record, const ShowOptions& options);

}  // namespace blt::patch
