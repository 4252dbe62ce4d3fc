// SPDX-License-Identifier: MIT
// Regular expressions.
#pragma once

#include <string_view>

#include "characters.h"

namespace blt::generate {

enum class Match { whole, anywhere };

// ECMAScript's syntax with the flag u, without what is no regular language (back references) and
// without assertions other than ^ and $ at the ends of the pattern's alternatives. With
// Match::whole those say nothing. Errors: usage ("position 3: ...", in bytes from 1).
CharacterAutomaton parse_regex(std::string_view pattern, Match match);

}  // namespace blt::generate
