// microsocks: a SOCKS5 server (RFC 1928), asked to connect by address, by name, and with user and
// password (RFC 1929).

#include <catch2/catch_test_macros.hpp>
#include <test_tunnel/catch2.hpp>
#include <test_tunnel/test_tunnel.hpp>

using namespace test_tunnel;

namespace {

class MicrosocksTunnel : public TestTunnel {
public:
    explicit MicrosocksTunnel(ConfigProg config, Socks5Options options = {})
        : TestTunnel{std::move(config)}, options_{std::move(options)} {}

    std::string slug() const override {
        return options_.user ? "microsocks with users" : "microsocks";
    }

    Server spawn_server(const AddrPort& proxy_listen, const AddrPort& svc_listen) override {
        const auto listen = proxy_listen.listen();
        std::vector<std::string> argv{config().prog,
                                      "-i",
                                      listen.address.text(),
                                      "-p",
                                      std::to_string(listen.port),
                                      "-b",
                                      svc_listen.client().address.text()};
        if (options_.user) {
            argv.insert(argv.end(), {"-u", *options_.user, "-P", *options_.password});
        }
        return spawn(std::move(argv));
    }

    Protocol protocol() const override { return options_; }

    // What it is known not to do. It answers 0.0.0.0:0, whatever it has connected from.
    Traits traits() const override {
        return {.half_close = HalfClose::none,
                .reset = ResetShows::as_end,
                .reports_source = ReportsSource::null,
                .refuses = Refuses::in_handshake,
                .independent_directions = false,
                .no_delay = false,
                .blocks_on_output = true, // it prints a line for each client, and waits for that
                .tries_addresses = false,
                .takes_pieces = false, // it takes what it reads at once for the whole
                .early_data = EarlyData::none,
                .accepts = {"socks5.request.nul_in_name", "socks5.password.nul"}};
    }

private:
    Socks5Options options_;
};

// Asks for the server by name, where this network has names (a private one does).
class NamedMicrosocksTunnel : public MicrosocksTunnel {
public:
    using MicrosocksTunnel::MicrosocksTunnel;

    std::string slug() const override { return "microsocks by name"; }

    std::optional<Endpoint> handshake(Socket& client, const AddrPort& svc_listen) override {
        return socks5_connect(client, svc_listen.listen(),
                              {.name = host_name_of(svc_listen.address)});
    }
};

} // namespace

TEST_CASE("microsocks connects", "[microsocks]") {
    MicrosocksTunnel{catch2::config_for("microsocks")}.run();
}

TEST_CASE("microsocks connects whom it knows", "[microsocks]") {
    MicrosocksTunnel{catch2::config_for("microsocks"), {.user = "user", .password = "password"}}
        .run();
}

TEST_CASE("microsocks connects by name", "[microsocks]") {
    NamedMicrosocksTunnel{catch2::config_for("microsocks")}.run();
}

int main(int argc, char** argv) {
    return catch2::main(argc, argv);
}
