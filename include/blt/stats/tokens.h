// SPDX-License-Identifier: MIT
// Token ids of documents, as other tools can compare them.
#pragma once

#include <functional>
#include <string_view>

#include "blt/base/reporter.h"

namespace blt {
struct TokensConfig;
}

namespace blt::stats {

// Calls `take` with one line a document: {"id": ..., "bytes": n, "tokens": [...]}, without the
// newline.
void list_tokens(const TokensConfig& config, const std::function<void(std::string_view)>& take,
                 Reporter& reporter);

}  // namespace blt::stats
