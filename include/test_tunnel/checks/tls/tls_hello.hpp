#pragma once

#include <cstddef>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/checks/detail/tls_client.hpp"
#include "test_tunnel/checks/handshake/handshake_cut.hpp"
#include "test_tunnel/handshakes/client_hello.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// A way in which a client's hello may come.
struct HelloTrial {
    /// For a reader: "in two records".
    std::string what;
    TlsManner manner;
    /// Whether it is more than one record.
    bool is_split = false;
};

/// Returns all ways that are tried. TCP may cut a hello anywhere (RFC 9293 §3.8), records may
/// (RFC 8446 §5.1), and with keys that withstand a quantum computer it has 1,800 bytes.
inline std::vector<HelloTrial> hello_trials(PairRun& run) {
    constexpr std::size_t long_one = 1800;
    constexpr std::size_t longest_cut = 100; // within the hello, whatever it has
    std::vector<HelloTrial> result;
    const auto cut = [&](std::vector<std::size_t> places, std::string what, std::size_t least) {
        result.push_back({std::move(what),
                          {.least_hello = least,
                           .send_hello = [&run, places = std::move(places)](
                                             Socket& socket, std::string_view whole) {
                               Pieces{run, places}(socket, whole);
                           }}});
    };
    const auto split = [&](std::size_t first, bool is_apart) {
        result.push_back({fmt::format("in two records{}, the first with {} byte{}",
                                      is_apart ? " and pieces" : "", first, first == 1 ? "" : "s"),
                          {.send_hello =
                               [&run, first, is_apart](Socket& socket, std::string_view whole) {
                                   const auto records = in_two_records(whole, first);
                                   Pieces{run, is_apart
                                                   ? std::vector{detail::tls_record_header + first}
                                                   : std::vector<std::size_t>{}}(socket, records);
                               }},
                          true});
    };
    result.push_back({"whole, with 1,800 bytes and more", {.least_hello = long_one}});
    cut({1}, "cut behind byte 1", 0);
    cut({longest_cut}, fmt::format("cut behind byte {}", longest_cut), 0);
    cut({1400}, "with 1,800 bytes and more, cut behind byte 1,400", long_one);
    if (!run.strict()) {
        return result;
    }
    for (const std::size_t place :
         {3U, 5U, 6U, 9U, 11U, 43U, 44U, 76U, 80U}) { // where its fields end
        cut({place}, fmt::format("cut behind byte {}", place), 0);
    }
    std::vector<std::size_t> every(longest_cut);
    std::iota(every.begin(), every.end(), std::size_t{1});
    cut(std::move(every), fmt::format("cut behind each of its first {} bytes", longest_cut), 0);
    for (const std::size_t first : {1U, 4U, 40U, 100U}) {
        split(first, false);
        split(first, true);
    }
    return result;
}

/// Has clients come whose hello is long, or comes in pieces.
inline void say_hello_in_pieces(PairRun& run) {
    const auto end = need_client_tls(run);
    for (const auto& trial : hello_trials(run)) {
        const auto steps = run.steps();
        auto client = run.connect_client();
        run.step("hello", fmt::format("a client's hello that comes {} is served", trial.what),
                 Party::client, Party::tool);
        try {
            open_for_step(run, client, trial.manner);
            auto connection = connection_of(run, std::move(client));
            run.say(connection.server, connection.client, Party::server);
        } catch (const SetupError&) {
            throw;
        } catch (const ToolEnded&) {
            throw;
        } catch (const Error&) {
            // No client is known that does so, and few that only look at a hello expect it.
            if (!trial.is_split || !end->is_passed_on()) {
                throw;
            }
            run.note("it does not find the name in a hello that comes in two records");
            run.sentinel();
            return;
        }
        run.forget_steps(steps);
    }
}

inline constexpr Check tls_hello{
    .id = "tls.hello",
    .title = "a client's hello that is long, or comes in pieces, is served",
    .run = say_hello_in_pieces};

} // namespace test_tunnel::check
