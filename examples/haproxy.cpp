// haproxy in TCP mode: a forwarder that is configured by a file. With the PROXY protocol it tells
// the server who its client is, and is told so by a client that is a proxy itself.

#include <catch2/catch_test_macros.hpp>
#include <test_tunnel/catch2.hpp>
#include <test_tunnel/test_tunnel.hpp>

using namespace test_tunnel;

namespace {

/// Options of its two sides, and which version of the PROXY protocol each then speaks.
struct Mode {
    std::string name = "haproxy";
    std::string bind{};
    std::string server{};
    std::optional<ProxyVersion> expected{};
    std::optional<ProxyVersion> sent{};
};

class HaproxyTunnel : public TestTunnel {
public:
    explicit HaproxyTunnel(Mode mode = {})
        : TestTunnel{catch2::config_for("haproxy")}, mode_{std::move(mode)} {}

    std::string slug() const override { return mode_.name; }

    Server spawn_server(const AddrPort& proxy_listen, const AddrPort& svc_listen) override {
        constexpr auto text = R"(
defaults
    mode tcp
    timeout connect 10s
    timeout client 1h
    timeout server 1h
    retries 0
listen tunnel
    bind ipv{}@{} {}
    source ipv{}@{}:0
    server target ipv{}@{} {}
)";
        TempDir files;
        const auto path =
            files.write("haproxy.cfg",
                        fmt::format(text, proxy_listen.family_id(), proxy_listen.listen(),
                                    mode_.bind, svc_listen.family_id(), svc_listen.client().address,
                                    svc_listen.family_id(), svc_listen.listen(), mode_.server));
        Server server = spawn({config().prog, "-db", "-f", path}); // -db: in the foreground
        server.add(std::move(files));
        return server;
    }

    void open_client(Socket& client) override {
        if (mode_.expected) {
            write_proxy_header(client, {.version = *mode_.expected,
                                        .source = client.local(),
                                        .destination = client.peer()});
        }
    }

    std::optional<Endpoint> open_server(Socket& server) override {
        return mode_.sent ? std::optional{read_proxied_client(server, mode_.sent)} : std::nullopt;
    }

    Traits traits() const override {
        return {.reset = ResetShows::as_end,         // the server's; the client's it passes on
                .connects_eagerly = !mode_.expected, // or else when it knows of the client
                .refuses = Refuses::by_end};
    }

private:
    Mode mode_;
};

} // namespace

TEST_CASE("haproxy forwards", "[haproxy]") {
    HaproxyTunnel{}.run();
}

TEST_CASE("haproxy tells the server of its client", "[haproxy]") {
    HaproxyTunnel{{"haproxy send-proxy", "", "send-proxy", {}, ProxyVersion::v1}}.run();
    HaproxyTunnel{{"haproxy send-proxy-v2", "", "send-proxy-v2", {}, ProxyVersion::v2}}.run();
}

TEST_CASE("haproxy passes on what it was told of its client", "[haproxy]") {
    HaproxyTunnel{{"haproxy accept-proxy", "accept-proxy", "send-proxy-v2", ProxyVersion::v1,
                   ProxyVersion::v2}}
        .run();
}

int main(int argc, char** argv) {
    return catch2::main(argc, argv);
}
