#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../check.hpp"
#include "../../checks.hpp"
#include "../../checks/address.hpp"
#include "../../checks/close.hpp"
#include "../../checks/connections.hpp"
#include "../../checks/data.hpp"
#include "../../checks/flow.hpp"
#include "../../checks/handshake.hpp"
#include "../../checks/hello.hpp"
#include "../../checks/idle.hpp"
#include "../../checks/reset.hpp"
#include "../../checks/reuse.hpp"
#include "../../checks/stop.hpp"
#include "../../checks/target.hpp"
#include "../../config.hpp"
#include "../../error.hpp"
#include "../inline.hpp"
#include "../text.hpp"

namespace test_tunnel {

TEST_TUNNEL_INLINE std::vector<Check> checks() {
    std::vector<Check> result;
    const auto add = [&](std::span<const Check> some) {
        result.insert(result.end(), some.begin(), some.end());
    };
    add(check::hello_checks);
    add(check::address_checks);
    add(check::data_checks);
    add(check::close_checks);
    add(check::idle_checks); // while the tool still runs for which they were prepared
    add(check::reset_checks);
    add(check::flow_checks);
    add(check::connection_checks);
    add(check::target_checks);
    add(check::handshake_checks);
    add(check::stop_checks);
    return result;
}

TEST_TUNNEL_INLINE std::vector<Check> select(const Config& config, std::vector<Check> all) {
    const auto matches_any = [](const std::vector<std::string>& patterns, const Check& check) {
        return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
            return detail::matches(pattern, check.id);
        });
    };
    for (const auto* patterns : {&config.only, &config.except}) {
        for (const auto& pattern : *patterns) {
            const auto known = [&](const Check& check) {
                return detail::matches(pattern, check.id);
            };
            if (std::none_of(all.begin(), all.end(), known)) {
                std::vector<std::string_view> ids;
                ids.reserve(all.size());
                for (const auto& check : all) {
                    ids.push_back(check.id);
                }
                throw InvalidConfig{fmt::format("'{}' matches no check; there are: {}", pattern,
                                                detail::joined(ids, ", "))};
            }
        }
    }
    std::erase_if(all, [&](const Check& check) {
        return check.level > config.level || matches_any(config.except, check) ||
               (!config.only.empty() && !matches_any(config.only, check));
    });
    if (all.empty()) {
        throw InvalidConfig{
            fmt::format("no check is left to be run at level {} with only = {{{}}}, "
                        "except = {{{}}}",
                        text_of(config.level), detail::joined(config.only, ", "),
                        detail::joined(config.except, ", "))};
    }
    return all;
}

} // namespace test_tunnel
