// SPDX-License-Identifier: MIT
#include "prompts.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/patch/json_lines.h"

namespace blt::generate {
namespace {

std::string read_standard_input() {
  std::string text;
  std::array<char, 1 << 16> buffer;
  while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), stdin))
    text.append(buffer.data(), n);
  if (std::ferror(stdin)) throw input_error(errno_message("standard input", errno));
  return text;
}

}  // namespace

std::vector<std::string> read_prompts(const GenerateConfig& config) {
  std::vector<std::string> prompts = config.prompts;
  for (const auto& file : config.prompt_files)
    prompts.push_back(file == "-" ? read_standard_input() : read_file(file));
  if (!prompts.empty()) return prompts;
  if (::isatty(STDIN_FILENO))
    throw usage_error("there is no prompt",
                      "--prompt TEXT, --prompt-file FILE, or text on standard input");
  return {read_standard_input()};
}

std::vector<PromptRow> read_prompt_rows(const std::string& file, Reporter& reporter) {
  std::vector<PromptRow> rows;
  const auto take = [&](std::string_view line, std::uint64_t) {
    rows.push_back(parse_prompt_row(line));
    return true;
  };
  patch::for_each_line({file}, "fail", take, reporter);
  if (rows.empty()) throw input_error(cat(file, ": there is no row"));
  return rows;
}

}  // namespace blt::generate
