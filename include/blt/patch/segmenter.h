// SPDX-License-Identifier: MIT
// Documents -> entropies over BOS + bytes + EOS.
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace blt {
class EntropySource;
}

namespace blt::patch {

// Entropies in nats of each text's positions BOS, bytes, EOS: [text.size() + 2].
//
// With newline_reset each line is read as a document of its own: the entropy at a newline is that
// of the next line's first byte after BOS alone, that of a later byte sees its line only. EOS
// follows the last line. Errors: the source's; internal when it gives another number of entropies
// than asked for.
std::vector<std::vector<float>> document_entropies(EntropySource& source,
                                                   std::span<const std::string_view> texts,
                                                   bool newline_reset);

}  // namespace blt::patch
