#pragma once

// What a run says besides its results: what follows from the command line, and what to give next.

#include <test_tunnel/report/report.hpp>
#include <test_tunnel/run/command_tunnel.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "options.hpp"

namespace check_command {

/// From where the tool has to connect, as follows from the command line; empty where that is
/// declared. Throws InvalidConfig where what is declared can't be.
inline std::string about_source(const Request& request, const CommandTunnel& tunnel) {
    const bool is_told = tunnel.is_told_source();
    if (request.declares_source && !is_told && request.tool.traits.binds_source == true) {
        throw InvalidConfig{
            "--trait binds_source=true: {source.address} is used nowhere, so that "
            "nothing tells the tool from where to connect"};
    }
    if (request.declares_source) {
        return {};
    }
    return is_told ? "{source.…} is used: the tool has to connect from that address, unless "
                     "--trait binds_source=false is given"
                   : "{source.address} is not used: the tool may connect from any address";
}

/// What the tool is not told, though it can't work without; one sentence each.
inline std::vector<std::string> missing(const CommandTunnel& tunnel) {
    std::vector<std::string> result;
    if (!tunnel.is_told_port()) {
        result.emplace_back("{listen.port} is not used: nothing tells the tool where to listen");
    }
    const bool is_told_target = tunnel.uses("target.port") || tunnel.uses("target.endpoint");
    if (!is_told_target && std::holds_alternative<std::monostate>(tunnel.protocol())) {
        result.emplace_back(
            "{target.port} is not used, and there is no --handshake: nothing tells "
            "the tool where to connect");
    }
    const bool has_upstream = !std::holds_alternative<std::monostate>(tunnel.upstream());
    if (has_upstream && !tunnel.uses("upstream.port") && !tunnel.uses("upstream.endpoint")) {
        result.emplace_back(
            "{upstream.port} is not used: nothing tells the tool where its upstream proxy is");
    }
    return result;
}

/// Whether nothing works on a pair, and what fails first is such a step.
inline bool fails_at(const PairResult& pair, StepKind kind) {
    const auto failed =
        std::find_if(pair.checks.begin(), pair.checks.end(),
                     [](const CheckResult& check) { return check.outcome == Outcome::failed; });
    return pair.count(Outcome::passed) == 0 && failed != pair.checks.end() &&
           failed->step_kind == kind;
}

/// Which pairs are left for a tool that comes to grief wherever it has to use IPv6, or wherever it
/// has to use IPv4, on one side or on both: "… --pair 4-4"; empty where it does not look like that.
inline std::string about_families(const Report& report) {
    using Lacks = std::function<bool(const Pair&)>;
    std::vector<std::pair<Lacks, std::string>> patterns;
    for (const char family : {'6', '4'}) {
        const auto listens = [family](const Pair& pair) {
            return pair.proxy_listen.family_id() == family;
        };
        const auto connects = [family](const Pair& pair) {
            return pair.svc_listen.family_id() == family;
        };
        patterns.emplace_back(listens, fmt::format("listens on IPv{}", family));
        patterns.emplace_back(connects, fmt::format("connects on IPv{}", family));
        patterns.emplace_back([=](const Pair& pair) { return listens(pair) || connects(pair); },
                              fmt::format("listens or connects on IPv{}", family));
    }
    for (const auto kind : {StepKind::connect, StepKind::handshake, StepKind::accept}) {
        for (const auto& [lacks, where] : patterns) {
            std::string rest;
            std::size_t lacking = 0;
            bool is_so = true;
            for (const auto& result : report.pairs) {
                const bool fails = fails_at(result, kind);
                is_so = is_so && fails == lacks(result.pair);
                lacking += fails ? 1 : 0;
                if (!fails) {
                    rest += fmt::format(" --pair {}-{}", result.pair.proxy_listen.family_id(),
                                        result.pair.svc_listen.family_id());
                }
            }
            if (is_so && lacking > 0 && !rest.empty()) {
                return fmt::format(
                    "it fails wherever it {}; a tool that does not have that is tested by{}", where,
                    rest);
            }
        }
    }
    return {};
}

} // namespace check_command
