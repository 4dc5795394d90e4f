// Dante: a SOCKS server (RFC 1928) with a configuration file, without and with user and password.
//
// What trips one: its daemon is called danted or sockd, and is in sbin; as root it drops its
// privileges, and reads the password file with those it had; its pid file is in /run unless it is
// told otherwise; its passwords are the system's: libnss_wrapper shows it some of our own.

#include <dlfcn.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <test_tunnel/catch2.hpp>
#include <test_tunnel/test_tunnel.hpp>

using namespace test_tunnel;

namespace {

constexpr auto passwd = "root:x:0:0::/:\nnobody:x:65534:65534::/:\nuser:x:65533:65534::/:\n";
constexpr auto shadow = // "password", as `openssl passwd -5` writes it
    "user:$5$salt$Gcm6FsVtF/Qa77ZKD.iwsJlCVPY0XSMgLJL0Hnww/c1:::::::\n";

class DanteTunnel : public TestTunnel {
public:
    explicit DanteTunnel(ConfigProg config, Socks5Options options = {})
        : TestTunnel{std::move(config)}, options_{std::move(options)} {}

    std::string slug() const override { return options_.user ? "dante with users" : "dante"; }

    Server spawn_server(const AddrPort& proxy_listen, const AddrPort& svc_listen) override {
        TempDir files;
        Environment environment;
        if (options_.user) {
            environment = {{"LD_PRELOAD", wrapper},
                           {"NSS_WRAPPER_PASSWD", files.write("passwd", passwd)},
                           {"NSS_WRAPPER_SHADOW", files.write("shadow", shadow)},
                           {"NSS_WRAPPER_GROUP", files.write("group", "nogroup:x:65534:\n")}};
        }
        const auto text = fmt::format(
            "logoutput: stderr\n{}internal: {} port = {}\nexternal: {}\nsocksmethod: {}\n"
            "client pass {{ from: 0/0 to: 0/0 }}\n"
            "socks pass {{ from: 0/0 to: 0/0 protocol: tcp }}\n",
            ::geteuid() == 0 ? "user.unprivileged: nobody\n" : "", proxy_listen.address,
            proxy_listen.svc_port, svc_listen.client().address,
            options_.user ? "username" : "none");
        Server server = spawn({config().prog, "-f", files.write("danted.conf", text), "-p",
                               files.path() + "/danted.pid"},
                              environment);
        server.add(std::move(files));
        return server;
    }

    Protocol protocol() const override { return options_; }

    Traits traits() const override {
        return {.reset = ResetShows::as_end,
                .refuses = Refuses::in_handshake,
                .stops_connections = false, // processes of its own serve them, to their end
                .resolves_again = false,    // each process remembers a name for an hour
                .accepts = {"socks5.request.version", "socks5.request.empty_name",
                            "socks5.request.nul_in_name", "socks5.password.nul"}};
    }

    static constexpr auto wrapper = "libnss_wrapper.so";

private:
    Socks5Options options_;
};

} // namespace

TEST_CASE("Dante connects", "[dante]") {
    DanteTunnel{catch2::config_for("danted")}.run();
}

TEST_CASE("Dante connects whom it knows", "[dante]") {
    const auto config = catch2::config_for("danted");
    if (::dlopen(DanteTunnel::wrapper, RTLD_LAZY) == nullptr) {
        SKIP(::dlerror()); // NOLINT(concurrency-mt-unsafe): one thread
    }
    DanteTunnel{config, {.user = "user", .password = "password"}}.run();
}

int main(int argc, char** argv) {
    return catch2::main(argc, argv);
}
