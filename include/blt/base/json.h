// SPDX-License-Identifier: MIT
// JSON for small metadata (configs, manifests, reports); simdjson reads the big files.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace blt {

using Json = nlohmann::ordered_json;

// Parses a whole file. Errors: input ("FILE: line N, column M: ...").
Json read_json_file(const std::string& path);

// Text with every invalid UTF-8 byte replaced by U+FFFD, so any bytes can be told in a report.
std::string dump_json(const Json& value, int indent = -1);

}  // namespace blt
