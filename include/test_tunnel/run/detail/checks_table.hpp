#pragma once

#include <string>

#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/config/level.hpp"
#include "test_tunnel/config/transports.hpp"
#include "test_tunnel/run/check.hpp"

namespace test_tunnel::detail {

/// Returns the table of all checks in Markdown, for a reader, but for those of datagrams, or of
/// these only: a line for each, in their order.
inline std::string checks_table(Transports of = {.tcp = true}) {
    std::string result =
        "| check | level | trait | what must come of it |\n"
        "|---|---|---|---|\n";
    for (const auto& check : checks()) {
        if (check.needs.udp != of.udp) {
            continue;
        }
        const auto trait = check.trait.empty() ? std::string{} : fmt::format(" `{}`", check.trait);
        result += fmt::format("| `{}` | {} |{} | {} |\n", check.id, text_of(check.level), trait,
                              check.title);
    }
    return result;
}

} // namespace test_tunnel::detail
