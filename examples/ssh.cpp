// OpenSSH: ssh listens and has sshd connect onwards (-L, and -D, which is a SOCKS5 server), or sshd
// listens and has ssh connect onwards (-R). The sshd is a throw-away one, with a key of its own.

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <test_tunnel/catch2.hpp>
#include <test_tunnel/test_tunnel.hpp>

using namespace test_tunnel;

namespace {

constexpr auto sshd_settings = R"(ListenAddress {}
HostKey {}
AuthorizedKeysFile {}
StrictModes no
UsePAM no
PidFile none
GatewayPorts clientspecified
)";

// A SIGTERM that comes just before ssh waits is heeded only when it has waited: that is for a
// second at the most where it is told to ask so often whether sshd is there.
constexpr auto ssh_settings = R"(IdentityFile {}
IdentityAgent none
BatchMode yes
StrictHostKeyChecking no
UserKnownHostsFile /dev/null
ExitOnForwardFailure yes
ServerAliveInterval 1
ServerAliveCountMax 60
)";

class SshTunnel : public TestTunnel {
public:
    /// `forward` is ssh's option: -L, -D or -R.
    SshTunnel(ConfigProg config, std::string forward)
        : TestTunnel{std::move(config)}, forward_{std::move(forward)} {}

    std::string slug() const override { return "ssh" + forward_; }

    Server spawn_server(const AddrPort& proxy_listen, const AddrPort& svc_listen) override {
        // Root's sshd wants a directory of the system's, /run/sshd: so root runs both as `daemon`.
        const bool is_root = ::geteuid() == 0;
        TempDir files{is_root ? TempDirOptions{.readable_by = "daemon"} : TempDirOptions{}};
        spawn({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", files.path() + "/key"})
            .finish(config().timeouts.start);
        const auto key = files.adopt("key");      // of the host and of the user
        const auto between = svc_listen.client(); // a port that nobody else has
        const auto sshd_config = files.write(
            "sshd_config", fmt::format(sshd_settings, between, key, files.adopt("key.pub")));
        const auto ssh_config = files.write("ssh_config", fmt::format(ssh_settings, key));
        const auto run = [&](std::vector<std::string> command) {
            if (is_root) {
                command.insert(command.begin(), {"setpriv", "--reuid=daemon", "--regid=daemon",
                                                 "--clear-groups", "--"});
            }
            return spawn(std::move(command));
        };
        // It starts itself again for each connection, and wants an absolute path for that.
        Server server = run({config().prog, "-D", "-e", "-f", sshd_config});
        server.add(std::move(files));
        server.await_listening(between, config().timeouts.start);
        const auto target = forward_ == "-D" ? "" : fmt::format(":{}", svc_listen.listen());
        server.add(run({"ssh", "-N", "-F", ssh_config, "-p", std::to_string(between.port), forward_,
                        proxy_listen.listen().text() + target, between.address.text()}));
        return server;
    }

    Protocol protocol() const override {
        return forward_ == "-D" ? Protocol{Socks5Options{}} : Protocol{};
    }

    // What it does its own way. ssh -b is about its connection to sshd: where the tunnel's
    // connections come from can't be chosen.
    Traits traits() const override {
        Traits result{.binds_source = false,
                      .reset = ResetShows::as_end,
                      .no_delay = false,
                      .half_death = ResetShows::as_end}; // ssh ends, and so do its connections
        if (forward_ == "-D") {
            result.reports_source = ReportsSource::null;
            result.refuses = Refuses::in_handshake;
            result.accepts = {"socks5.greeting.no_methods", "socks5.request.nul_in_name",
                              "socks5.refusal.no_reply"};
        } else {
            result.connects_eagerly = true;
            result.refuses = Refuses::by_end;
        }
        return result;
    }

private:
    std::string forward_;
};

} // namespace

TEST_CASE("ssh forwards from its own side", "[ssh]") {
    SshTunnel{catch2::config_for("/usr/sbin/sshd"), "-L"}.run();
}

TEST_CASE("ssh forwards to where it is asked to", "[ssh]") {
    SshTunnel{catch2::config_for("/usr/sbin/sshd"), "-D"}.run();
}

TEST_CASE("ssh forwards from the other side", "[ssh]") {
    SshTunnel{catch2::config_for("/usr/sbin/sshd"), "-R"}.run();
}

int main(int argc, char** argv) {
    return catch2::main(argc, argv);
}
