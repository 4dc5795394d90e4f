// stunnel: two halves that only work together. The client's half encrypts what comes, for the
// server's half, which decrypts it; they know each other by a key that both have (PSK).

#include <catch2/catch_test_macros.hpp>
#include <test_tunnel/catch2.hpp>
#include <test_tunnel/test_tunnel.hpp>

using namespace test_tunnel;

namespace {

class StunnelTunnel : public TestTunnel {
public:
    using TestTunnel::TestTunnel;

    std::string slug() const override { return "stunnel"; }

    Server spawn_server(const AddrPort& proxy_listen, const AddrPort& svc_listen) override {
        // Between the halves; the pair's second port there is free for it.
        const auto inner = svc_listen.spare();
        TempDir files;
        const auto secrets = files.write("psk.txt", "test:0123456789abcdef0123456789abcdef\n");
        const auto half = [&](std::string_view name, std::string_view own, const Endpoint& accept,
                              const Endpoint& connect) {
            const auto path = files.write(fmt::format("{}.conf", name),
                                          fmt::format("foreground = yes\n"
                                                      "pid =\n"
                                                      "syslog = no\n"
                                                      "debug = warning\n"
                                                      "[{}]\n"
                                                      "ciphers = PSK\n"
                                                      "PSKsecrets = {}\n"
                                                      "accept = {}:{}\n"
                                                      "connect = {}:{}\n"
                                                      "{}\n",
                                                      name, secrets, accept.address, accept.port,
                                                      connect.address, connect.port, own));
            return spawn({config().prog, path});
        };
        Server server = half("server", fmt::format("local = {}", svc_listen.client().address),
                             inner, svc_listen.listen());
        server.await_listening(inner, config().timeouts.start);
        server.add(half("client", "client = yes", proxy_listen.listen(), inner));
        server.add(std::move(files));
        return server;
    }

    Traits traits() const override {
        // No word of how it refuses: by an end or by a reset, as it happens.
        // What ends without a close_notify of TLS, it passes on as if it had ended well.
        return {.reset = ResetShows::as_end,
                .connects_eagerly = true,
                .half_death = ResetShows::as_end};
    }
};

} // namespace

TEST_CASE("two halves of stunnel forward", "[stunnel]") {
    StunnelTunnel{catch2::config_for("stunnel")}.run();
}

int main(int argc, char** argv) {
    return catch2::main(argc, argv);
}
