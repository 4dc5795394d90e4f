// haproxy in TCP mode: a forwarder that is configured by a file, tested without a class. With the
// PROXY protocol it tells the server who its client is, and is told so by a client that is a proxy
// itself.

#include <catch2/catch_test_macros.hpp>
#include <test_tunnel/catch2.hpp>
#include <test_tunnel/run/command_tunnel.hpp>

using namespace test_tunnel;

namespace {

constexpr auto settings = R"(
defaults
    mode tcp
    timeout connect 10s
    timeout client 1h
    timeout server 1h
    retries 0
listen tunnel
    source ipv{source.family}@{source.address}:0
)";

/// With options of its two sides, and the PROXY protocol as they then speak it.
CommandTunnel haproxy(const std::string& bind, const std::string& server, CommandOptions options) {
    const auto config = catch2::config_for("haproxy");
    const auto lines = "    bind ipv{listen.family}@{listen.endpoint} " + bind +
                       "\n    server target ipv{target.family}@{target.endpoint} " + server + '\n';
    options.command = {config.prog, "-db", "-f", "{config}"}; // -db: in the foreground
    options.files = {{"haproxy.cfg", settings + lines}};
    options.traits = {.reset = ResetShows::as_end, // the server's; the client's it passes on
                      .connects_eagerly = !options.client_header, // or when it knows of the client
                      .refuses = Refuses::by_end};
    if (options.client_header) {
        // It looks once at what has come, and refuses a header of which that is not the whole. Of
        // version 1 it takes UNKNOWN alone, port 65536 for port 0, and more words for IPv6.
        options.traits.header_in_one_segment = true;
        options.traits.takes_unknown = false;
        options.traits.accepts = {"proxy.v1.more_words", "proxy.v1.port"};
    }
    return CommandTunnel{config, std::move(options)};
}

} // namespace

TEST_CASE("haproxy forwards", "[haproxy]") {
    haproxy("", "", {}).run();
}

TEST_CASE("haproxy tells the server of its client", "[haproxy]") {
    haproxy("", "send-proxy", {.name = "haproxy send-proxy", .server_header = ProxyVersion::v1})
        .run();
    haproxy("", "send-proxy-v2",
            {.name = "haproxy send-proxy-v2", .server_header = ProxyVersion::v2})
        .run();
}

TEST_CASE("haproxy passes on what it was told of its client", "[haproxy]") {
    haproxy("accept-proxy", "send-proxy-v2",
            {.name = "haproxy accept-proxy",
             .client_header = ProxyVersion::v1,
             .server_header = ProxyVersion::v2})
        .run();
}

int main(int argc, char** argv) {
    return catch2::main(argc, argv);
}
