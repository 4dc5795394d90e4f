// socat, started by a script around it, as tools often are that need some settings first.
//
// What trips one: the process that was started is a shell, and not the tool: the signal that is to
// end the tool ends the shell, and the tool lives on, and keeps its port. A shell that handles the
// signal does so only when a command has ended, unless it is `wait`.

#include <catch2/catch_test_macros.hpp>
#include <test_tunnel/catch2.hpp>
#include <test_tunnel/test_tunnel.hpp>

using namespace test_tunnel;

namespace {

class WrappedTunnel : public TestTunnel {
public:
    WrappedTunnel(ConfigProg config, std::string script)
        : TestTunnel{std::move(config)}, script_{std::move(script)} {}

    std::string slug() const override { return "wrapped socat"; }

    Server spawn_server(const AddrPort& proxy_listen, const AddrPort& svc_listen) override {
        TempDir files;
        const auto script = files.write("start", "#!/bin/sh\n" + script_, 0700);
        Server server =
            spawn({script, config().prog,
                   fmt::format("TCP{}-LISTEN:{},bind={},reuseaddr,fork", proxy_listen.family_id(),
                               proxy_listen.svc_port, proxy_listen.address.bracketed()),
                   fmt::format("TCP{}:{},bind={}", svc_listen.family_id(), svc_listen.listen(),
                               svc_listen.client().address.bracketed())});
        server.add(std::move(files));
        return server;
    }

    // As in socat.cpp: a wrapper makes no difference.
    Traits traits() const override {
        return {.half_close = HalfClose::timed,
                .reset = ResetShows::as_end,
                .connects_eagerly = true,
                .refuses = Refuses::by_end,
                .no_delay = false,
                .stops_connections = false};
    }

private:
    std::string script_;
};

} // namespace

TEST_CASE("a script that becomes the tool", "[wrapper]") {
    WrappedTunnel{catch2::config_for("socat"), "exec \"$@\"\n"}.run();
}

TEST_CASE("a script that waits for the tool, and knows of no signal", "[wrapper]") {
    WrappedTunnel{catch2::config_for("socat"), "\"$@\"\nexit $?\n"}.run();
}

TEST_CASE("a script that passes the signal on to the tool", "[wrapper]") {
    WrappedTunnel{catch2::config_for("socat"), R"("$@" &
trap 'kill "$!"' TERM
wait "$!" # ends when the trap has run
wait "$!" # its status
)"}
        .run();
}

int main(int argc, char** argv) {
    return catch2::main(argc, argv);
}
