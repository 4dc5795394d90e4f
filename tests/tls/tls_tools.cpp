#include <test_tunnel/process/find_program.hpp>
#include <test_tunnel/process/temp_dir.hpp>
#include <test_tunnel/run/tunnel.hpp>
#include <test_tunnel/tls.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_vector.hpp>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "support/quiet_config.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::VectorContains;

namespace {

ConfigProg config_for(std::string prog) {
    auto config = support::quiet_config();
    config.prog = std::move(prog);
    try {
        detail::find_program(config.prog, config.utf8_env);
    } catch (const ToolMissing& error) {
        SKIP(error.what());
    }
    return config;
}

/// stunnel, which takes TLS off, in front of the forwarder of tests/faulty.
class FaultyBehindTls : public TestTunnel {
public:
    FaultyBehindTls(ConfigProg config, std::string behaviour)
        : TestTunnel{std::move(config)}, behaviour_{std::move(behaviour)} {}

    std::string slug() const override { return "faulty behind TLS"; }

    Server spawn_server(const AddrPort& proxy_listen, const AddrPort& svc_listen) override {
        const auto inner = svc_listen.client();
        const auto target = svc_listen.listen();
        TempDir files;
        const auto text = fmt::format(
            "foreground = yes\npid =\n[tls]\naccept = {}:{}\nconnect = "
            "{}:{}\ncert = {}\n",
            proxy_listen.address, proxy_listen.svc_port, inner.address, inner.port,
            files.write("stunnel.pem", certificate_.pem()));
        Server server = spawn({FAULTY_TUNNEL, inner.address.text(), std::to_string(inner.port),
                               inner.address.text(), target.address.text(),
                               std::to_string(target.port), behaviour_, "forward"});
        server.await_listening(inner, config().timeouts.start);
        server.add(spawn({config().prog, files.write("stunnel.conf", text)}));
        server.add(std::move(files));
        return server;
    }

    void open_client(Socket& client) override {
        tls_connect(client, {.authority = certificate_.authority, .name = "proxy.test"});
    }

private:
    std::string behaviour_;
    TlsCertificate certificate_ = make_certificate({.names = {"proxy.test"}});
};

/// stunnel as a client: it puts TLS on, and the server takes it off.
class StunnelClient : public TestTunnel {
public:
    using TestTunnel::TestTunnel;

    std::string slug() const override { return "stunnel, client"; }

    Server spawn_server(const AddrPort& proxy_listen, const AddrPort& svc_listen) override {
        TempDir files;
        const auto text = fmt::format(
            "foreground = yes\npid =\n[tls]\nclient = yes\naccept = {}:{}\nconnect = {}:{}\n"
            "local = {}\nCAfile = {}\nverifyChain = yes\ncheckHost = server.test\nsni = "
            "server.test\n",
            proxy_listen.address, proxy_listen.svc_port, svc_listen.address, svc_listen.svc_port,
            svc_listen.client().address, files.write("ca.pem", certificate_.authority));
        Server server = spawn({config().prog, files.write("stunnel.conf", text)});
        server.add(std::move(files));
        return server;
    }

    std::optional<Endpoint> open_server(Socket& server) override {
        const auto session =
            tls_accept(server, {.certificate = certificate_.certificate, .key = certificate_.key});
        if (session.name != "server.test") {
            throw Unexpected{"the name server.test (SNI)", session.name};
        }
        return std::nullopt;
    }

private:
    TlsCertificate certificate_ = make_certificate({.names = {"server.test"}});
};

std::vector<std::string> failures(const PairResult& result) {
    std::vector<std::string> ids;
    for (const auto& check : result.checks) {
        if (check.outcome == Outcome::failed) {
            ids.push_back(check.id);
        }
    }
    return ids;
}

} // namespace

TEST_CASE("a fault behind TLS is found by the check that is made for it", "[tls][suite]") {
    struct Fault {
        const char* behaviour;
        const char* check;
    };
    const auto fault = GENERATE(
        Fault{"changes-down", "hello"}, Fault{"never-ends", "hello"}, Fault{"adds-at-end", "hello"},
        Fault{"corrupts-late-up", "data.bulk.up"}, Fault{"stops-at-64k-down", "data.bulk.down"},
        Fault{"doubles-0xff", "data.bytes"}, Fault{"hides-server-reset", "reset.server.idle"},
        Fault{"never-resumes-down", "flow.pressure.down"});
    auto config = config_for("stunnel");
    config.only = {fault.check};
    config.timeouts.io = 2s;
    FaultyBehindTls tunnel{config, fault.behaviour};
    const auto result = tunnel.run_pair(discover_pairs(config).front());
    INFO(fault.behaviour);
    CHECK_THAT(failures(result), VectorContains(std::string{fault.check}));
    for (const auto& check : result.checks) { // for the right reason
        CHECK(check.step != "connect");
        CHECK(check.step != "handshake");
    }
}

TEST_CASE("a correct tunnel behind TLS passes", "[tls][suite]") {
    const auto config = config_for("stunnel");
    FaultyBehindTls tunnel{config, "none"};
    CHECK(failures(tunnel.run_pair(discover_pairs(config).front())).empty());
}

TEST_CASE("a tool that puts TLS on passes", "[tls][suite]") {
    const auto config = config_for("stunnel");
    StunnelClient tunnel{config};
    CHECK(failures(tunnel.run_pair(discover_pairs(config).back())).empty());
}
