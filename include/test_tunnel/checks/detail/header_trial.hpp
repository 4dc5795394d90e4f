#pragma once

// One client of a tool that expects a PROXY header, and what has become of it.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/handshakes/proxy_protocol.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Returns the version of the PROXY header that the tool is declared to expect. Throws
/// NotApplicable where it expects none, and for a tool that ends with its first connection: its end
/// would tell nothing.
inline ProxyVersion need_client_header(PairRun& run) {
    const auto version = run.client_header();
    if (!version) {
        throw NotApplicable{fmt::format("it expects no PROXY header ({})",
                                        detail::wording_of_client_header(run.config().dialect))};
    }
    if (serves_once(run)) {
        throw NotApplicable{serves_just_one(run)};
    }
    return *version;
}

/// A client that says something before its data.
struct HeaderTrial {
    /// Its name in `Traits::accepts`: "proxy.v2.version". Empty where it has none.
    std::string_view name{};
    /// What is special about it, for a reader: "version 1 in the signature of version 2".
    std::string what{};
    /// What it writes first.
    std::string header{};
    /// Of which client the header tells. Nothing: of none, so that it is the connection's own.
    std::optional<Endpoint> claimed{};
    /// Whether the server has to be told of that one, and not of the connection's own.
    bool is_about_client = false;
    /// Whether the client then ends its direction, and says nothing else.
    bool ends = false;
    /// Whether `header` is no header at all, and whoever serves this client passes it on.
    bool is_data = false;
};

/// Returns the header that tells of the client's own addresses, as the library writes it.
inline HeaderTrial usual_header(PairRun& run, ProxyVersion version) {
    const auto& at = run.pair().proxy_listen;
    // Which port a client will have is not known yet, and no tool can rely on it.
    constexpr std::uint16_t port = 40'000;
    const Endpoint source{at.clients.front(), port};
    return {.what = fmt::format("a header of version {}", static_cast<int>(version)),
            .header = detail::proxy_header_bytes(
                {.version = version, .source = source, .destination = at.listen()}),
            .claimed = source};
}

/// What has become of a client.
enum class Fate {
    /// What it said arrived at the server, and nothing else.
    served,
    /// Something else arrived at the server.
    leaked,
    /// Its connection was ended, or reset.
    refused,
    /// Nothing came of it in time.
    waiting
};

/// What has become of a client, and what a failure says of it.
struct HeaderOutcome {
    Fate fate{};
    std::string text{};
    /// Whether the tool has connected to the server for it and ended that without a byte.
    bool has_dialled = false;
    /// The client of which the tool has told the server, where it has.
    std::optional<Endpoint> told{};
    /// Both ends, where the client is served.
    std::optional<Connection> connection{};
};

/// What arrives at the server while a client is tried.
struct TrialArrival {
    Socket socket;
    /// Whether the upstream proxy, where there is one, has granted it.
    bool is_granted = false;
    bool is_opened = false;
    bool has_ended = false;
    std::string bytes{};
    /// What is wrong with what came first, in words.
    std::string complaint{};
    std::optional<Endpoint> told{};
};

} // namespace test_tunnel::check
