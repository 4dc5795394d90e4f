#pragma once

// All checks, in the order in which they are run.
//
// Each stands in one place: checks/<subject>/<group>.hpp, named as its id with `_` for `.`, without
// the part that says for which side or in which direction (up, down, client, server). Above the row
// stands the function that tries what the row's title promises: a plain function of a PairRun or,
// where it can be tried from either side, a template of the Party that acts. A check that has to
// wait consists of two such functions (`prepared_check`). What several checks need is in
// checks/detail/.

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/checks/address/address_binding.hpp"
#include "test_tunnel/checks/address/address_source.hpp"
#include "test_tunnel/checks/associate/associate_apart.hpp"
#include "test_tunnel/checks/associate/associate_end.hpp"
#include "test_tunnel/checks/associate/associate_fragment.hpp"
#include "test_tunnel/checks/associate/associate_growth.hpp"
#include "test_tunnel/checks/associate/associate_invalid.hpp"
#include "test_tunnel/checks/associate/associate_strangers.hpp"
#include "test_tunnel/checks/associate/associate_targets.hpp"
#include "test_tunnel/checks/associate/associate_unknown_client.hpp"
#include "test_tunnel/checks/close/close_half.hpp"
#include "test_tunnel/checks/close/close_leave.hpp"
#include "test_tunnel/checks/close/close_tail.hpp"
#include "test_tunnel/checks/connections/connections_burst.hpp"
#include "test_tunnel/checks/connections/connections_dialling.hpp"
#include "test_tunnel/checks/connections/connections_isolation.hpp"
#include "test_tunnel/checks/connections/connections_many.hpp"
#include "test_tunnel/checks/connections/connections_one_to_one.hpp"
#include "test_tunnel/checks/connections/connections_reset.hpp"
#include "test_tunnel/checks/connections/connections_reuse.hpp"
#include "test_tunnel/checks/connections/connections_silent.hpp"
#include "test_tunnel/checks/connections/connections_stalled.hpp"
#include "test_tunnel/checks/data/data_bulk.hpp"
#include "test_tunnel/checks/data/data_bytes.hpp"
#include "test_tunnel/checks/data/data_duplex.hpp"
#include "test_tunnel/checks/data/data_extra.hpp"
#include "test_tunnel/checks/data/data_ping_pong.hpp"
#include "test_tunnel/checks/data/data_tiny.hpp"
#include "test_tunnel/checks/data/data_transfers.hpp"
#include "test_tunnel/checks/data/data_volume.hpp"
#include "test_tunnel/checks/datagram/datagram_answers.hpp"
#include "test_tunnel/checks/datagram/datagram_beside_tcp.hpp"
#include "test_tunnel/checks/datagram/datagram_binding.hpp"
#include "test_tunnel/checks/datagram/datagram_boundaries.hpp"
#include "test_tunnel/checks/datagram/datagram_bytes.hpp"
#include "test_tunnel/checks/datagram/datagram_clients.hpp"
#include "test_tunnel/checks/datagram/datagram_flood.hpp"
#include "test_tunnel/checks/datagram/datagram_growth.hpp"
#include "test_tunnel/checks/datagram/datagram_hello.hpp"
#include "test_tunnel/checks/datagram/datagram_reuse.hpp"
#include "test_tunnel/checks/datagram/datagram_silence.hpp"
#include "test_tunnel/checks/datagram/datagram_sizes.hpp"
#include "test_tunnel/checks/datagram/datagram_source.hpp"
#include "test_tunnel/checks/datagram/datagram_stop.hpp"
#include "test_tunnel/checks/datagram/datagram_strangers.hpp"
#include "test_tunnel/checks/datagram/datagram_unreachable.hpp"
#include "test_tunnel/checks/flow/flow_cycles.hpp"
#include "test_tunnel/checks/flow/flow_pressure.hpp"
#include "test_tunnel/checks/handshake/handshake_after_refusal.hpp"
#include "test_tunnel/checks/handshake/handshake_bind.hpp"
#include "test_tunnel/checks/handshake/handshake_cut.hpp"
#include "test_tunnel/checks/handshake/handshake_early_data.hpp"
#include "test_tunnel/checks/handshake/handshake_glued.hpp"
#include "test_tunnel/checks/handshake/handshake_invalid.hpp"
#include "test_tunnel/checks/handshake/handshake_limits.hpp"
#include "test_tunnel/checks/handshake/handshake_name.hpp"
#include "test_tunnel/checks/handshake/handshake_password.hpp"
#include "test_tunnel/checks/handshake/handshake_retry.hpp"
#include "test_tunnel/checks/handshake/handshake_spelling.hpp"
#include "test_tunnel/checks/handshake/handshake_success.hpp"
#include "test_tunnel/checks/handshake/handshake_targets.hpp"
#include "test_tunnel/checks/handshake/handshake_truncated.hpp"
#include "test_tunnel/checks/hello/hello.hpp"
#include "test_tunnel/checks/idle/idle.hpp"
#include "test_tunnel/checks/life/life_broken_reload.hpp"
#include "test_tunnel/checks/life/life_early.hpp"
#include "test_tunnel/checks/life/life_halves.hpp"
#include "test_tunnel/checks/life/life_output.hpp"
#include "test_tunnel/checks/life/life_reload.hpp"
#include "test_tunnel/checks/life/life_renamed.hpp"
#include "test_tunnel/checks/life/life_restart.hpp"
#include "test_tunnel/checks/proxy/proxy_cut.hpp"
#include "test_tunnel/checks/proxy/proxy_extensions.hpp"
#include "test_tunnel/checks/proxy/proxy_glued.hpp"
#include "test_tunnel/checks/proxy/proxy_invalid.hpp"
#include "test_tunnel/checks/proxy/proxy_local.hpp"
#include "test_tunnel/checks/proxy/proxy_passed_on.hpp"
#include "test_tunnel/checks/proxy/proxy_truncated.hpp"
#include "test_tunnel/checks/reset/reset_bulk.hpp"
#include "test_tunnel/checks/reset/reset_early.hpp"
#include "test_tunnel/checks/reset/reset_idle.hpp"
#include "test_tunnel/checks/resources/resources_cpu.hpp"
#include "test_tunnel/checks/resources/resources_growth.hpp"
#include "test_tunnel/checks/resources/resources_limit.hpp"
#include "test_tunnel/checks/stop/stop_busy.hpp"
#include "test_tunnel/checks/stop/stop_dialling.hpp"
#include "test_tunnel/checks/stop/stop_drain.hpp"
#include "test_tunnel/checks/stop/stop_idle.hpp"
#include "test_tunnel/checks/target/target_addresses.hpp"
#include "test_tunnel/checks/target/target_late.hpp"
#include "test_tunnel/checks/target/target_refusals.hpp"
#include "test_tunnel/checks/target/target_resets.hpp"
#include "test_tunnel/checks/target/target_returns.hpp"
#include "test_tunnel/checks/target/target_silent.hpp"
#include "test_tunnel/checks/target/target_unreachable.hpp"
#include "test_tunnel/checks/tls/tls_client_certificate.hpp"
#include "test_tunnel/checks/tls/tls_close.hpp"
#include "test_tunnel/checks/tls/tls_hello.hpp"
#include "test_tunnel/checks/tls/tls_invalid.hpp"
#include "test_tunnel/checks/tls/tls_key_update.hpp"
#include "test_tunnel/checks/tls/tls_resumption.hpp"
#include "test_tunnel/checks/upstream/upstream_authentication.hpp"
#include "test_tunnel/checks/upstream/upstream_broken.hpp"
#include "test_tunnel/checks/upstream/upstream_glued.hpp"
#include "test_tunnel/checks/upstream/upstream_only.hpp"
#include "test_tunnel/checks/upstream/upstream_refusals.hpp"
#include "test_tunnel/checks/upstream/upstream_reply.hpp"
#include "test_tunnel/checks/upstream/upstream_silent.hpp"
#include "test_tunnel/config/config.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/detail/id_pattern.hpp"
#include "test_tunnel/run/detail/known_failures.hpp"

namespace test_tunnel {

TEST_TUNNEL_INLINE std::vector<Check> checks() {
    return {
        check::hello,
        check::datagram_hello,
        check::address_source,
        check::address_binding,
        check::data_bulk_up,
        check::data_bulk_down,
        check::data_bytes,
        check::data_ping_pong,
        check::data_tiny,
        check::data_duplex,
        check::data_volume,
        check::data_transfers,
        check::data_extra,
        check::close_half_up,
        check::close_half_down,
        check::close_half_bulk,
        check::close_tail_up,
        check::close_tail_down,
        check::close_leave_client,
        check::close_leave_server,
        // While the tool is still running for which they were prepared:
        check::target_silent,
        check::idle,
        check::reset_client_early,
        check::reset_client_idle,
        check::reset_client_bulk,
        check::reset_server_idle,
        check::reset_server_bulk,
        check::flow_pressure_up,
        check::flow_pressure_down,
        check::flow_cycles,
        check::connections_burst,
        check::connections_isolation,
        check::connections_stalled,
        check::connections_reset,
        check::connections_dialling,
        check::connections_one_to_one,
        check::connections_reuse,
        check::connections_silent,
        check::target_unreachable,
        check::target_refusals,
        check::target_returns,
        check::target_resets,
        check::target_late,
        check::handshake_targets,
        check::proxy_glued,
        check::proxy_local,
        check::proxy_passed_on,
        check::proxy_cut,
        check::proxy_extensions,
        check::proxy_invalid,
        check::proxy_truncated,
        check::handshake_glued,
        check::handshake_success,
        check::handshake_password,
        check::handshake_after_refusal,
        check::handshake_bind,
        check::handshake_cut,
        check::handshake_early_data,
        check::handshake_name,
        check::handshake_spelling,
        check::handshake_retry,
        check::handshake_limits,
        check::handshake_invalid,
        check::handshake_truncated,
        check::tls_hello,
        check::tls_invalid,
        check::tls_resumption,
        check::tls_key_update,
        check::tls_close,
        check::tls_client_certificate,
        check::upstream_only,
        check::upstream_reply,
        check::upstream_glued,
        check::upstream_authentication,
        check::upstream_refusals,
        check::upstream_broken,
        check::upstream_silent,
        check::associate_targets,
        check::associate_apart,
        check::associate_unknown_client,
        check::associate_fragment,
        check::associate_invalid,
        check::associate_growth,
        check::associate_strangers,
        check::associate_end,
        check::resources_cpu,
        check::resources_growth,
        check::resources_limit,
        check::connections_many,
        check::life_early,
        check::life_restart,
        check::life_output,
        check::life_reload,
        check::life_broken_reload,
        // After each of these, the tool is killed:
        check::life_renamed,
        check::target_addresses,
        check::life_halves,
        check::datagram_source,
        check::datagram_binding,
        check::datagram_boundaries,
        check::datagram_sizes,
        check::datagram_bytes,
        check::datagram_answers,
        check::datagram_clients,
        check::datagram_reuse,
        check::datagram_strangers,
        check::datagram_unreachable,
        check::datagram_beside_tcp,
        check::datagram_silence,
        check::datagram_growth,
        check::datagram_flood,
        check::stop_idle,
        check::datagram_stop,
        check::stop_busy,
        check::stop_dialling,
        check::stop_drain,
    };
}

TEST_TUNNEL_INLINE std::vector<Check> select(const Config& config, std::vector<Check> all,
                                             Transports transports) {
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
                throw InvalidConfig{fmt::format("'{}' matches no check; there are: {}", pattern,
                                                joined(detail::ids_of(all), ", "))};
            }
        }
    }
    detail::validate_known_failures(config, all);
    const auto is_wanted = [&](const Check& check) {
        const auto& ids = config.only;
        return check.is_asked_for == nullptr
                   ? check.level <= config.level
                   : check.is_asked_for(config) ||
                         std::find(ids.begin(), ids.end(), check.id) != ids.end();
    };
    std::erase_if(all, [&](const Check& check) {
        return !is_wanted(check) || !transports.include(check.needs) ||
               matches_any(config.except, check) ||
               (!config.only.empty() && !matches_any(config.only, check));
    });
    if (all.empty()) {
        throw InvalidConfig{fmt::format(
            "no check is left to be run at level {} with only = {{{}}}, "
            "except = {{{}}}{}",
            text_of(config.level), joined(config.only, ", "), joined(config.except, ", "),
            transports == Transports{.tcp = true}
                ? ""
                : fmt::format(", of a tool that carries {}", transports.text()))};
    }
    return all;
}

} // namespace test_tunnel
