// tinyproxy: an HTTP proxy with a configuration file, asked to connect by CONNECT (RFC 9110
// §9.3.6), without and with Basic authentication.
//
// What trips one: it goes into the background without -d; as root it wants a user to become; it
// turns a wrong password away by 401, where 407 is what HTTP has for a proxy.

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <test_tunnel/catch2.hpp>
#include <test_tunnel/test_tunnel.hpp>

using namespace test_tunnel;

namespace {

class TinyproxyTunnel : public TestTunnel {
public:
    explicit TinyproxyTunnel(ConfigProg config, HttpConnectOptions options = {})
        : TestTunnel{std::move(config)}, options_{std::move(options)} {}

    std::string slug() const override {
        return options_.user ? "tinyproxy with users" : "tinyproxy";
    }

    Server spawn_server(const AddrPort& proxy_listen, const AddrPort& svc_listen) override {
        TempDir files;
        auto text =
            fmt::format("Listen {}\nPort {}\nBind {}\nLogLevel Warning\n", proxy_listen.address,
                        proxy_listen.svc_port, svc_listen.client().address);
        if (options_.user) {
            text += fmt::format("BasicAuth {} {}\n", *options_.user, *options_.password);
        }
        if (::geteuid() == 0) {
            text += "User nobody\n";
        }
        Server server = spawn({config().prog, "-d", "-c", files.write("tinyproxy.conf", text)});
        server.add(std::move(files));
        return server;
    }

    Protocol protocol() const override { return options_; }

    Traits traits() const override {
        return {.half_close = HalfClose::none,
                .reset = ResetShows::as_end,
                .refuses = Refuses::in_handshake,
                .no_delay = false,
                .accepts = {"http.target.scheme", "http.target.userinfo", "http.target.path",
                            "http.port.wrapped", "http.port.text", "http.method.case",
                            "http.method.unknown", "http.host.none", "http.host.two",
                            "http.field.space_before_colon", "http.scheme.upper",
                            "http.scheme.spaces"}};
    }

private:
    HttpConnectOptions options_;
};

} // namespace

TEST_CASE("tinyproxy connects", "[tinyproxy]") {
    TinyproxyTunnel{catch2::config_for("tinyproxy")}.run();
}

TEST_CASE("tinyproxy connects whom it knows", "[tinyproxy]") {
    TinyproxyTunnel{catch2::config_for("tinyproxy"), {.user = "user", .password = "password"}}
        .run();
}

int main(int argc, char** argv) {
    return catch2::main(argc, argv);
}
