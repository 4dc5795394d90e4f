#pragma once

#include <string>

#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/run/command_line.hpp"

namespace test_tunnel::detail {

/// Returns the table of all options of a run in Markdown, for a reader: a line for each, in their
/// order.
inline std::string options_table() {
    std::string result{"| option | what it does |\n|---|---|\n"};
    for (const auto& option : run_options()) {
        const auto* const blank = *option.value == '\0' ? "" : " ";
        result +=
            fmt::format("| `{}{}{}` | {}{} |\n", option.name, blank, option.value, option.help,
                        option.may_repeat ? "; may be given more than once" : "");
    }
    return result;
}

} // namespace test_tunnel::detail
