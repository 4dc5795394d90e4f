#pragma once

#include <array>

#include "../check.hpp"
#include "../pair_run.hpp"

namespace test_tunnel::check {

/// Both have spoken: nothing more comes, and when one side closes the other sees the end.
inline void end_cleanly(PairRun& run, Connection& connection, bool client_closes) {
    auto& [client, server] = connection;
    run.step("no further bytes", "nothing arrives that the other side did not write", Party::client,
             Party::client);
    run.require_silence({&client, &server});
    if (client_closes) {
        run.step("end of stream", "the server sees a clean end of stream when the client closes",
                 Party::client, Party::server);
        client.close();
        run.demand_end(server, run.up);
        server.close();
    } else {
        run.step("end of stream", "the client sees a clean end of stream when the server closes",
                 Party::server, Party::client);
        server.close();
        run.demand_end(client, run.down);
        client.close();
    }
}

/// Each side speaks first once: a tunnel that waits for the one or the other to speak is caught.
inline void hello(PairRun& run) {
    {
        auto connection = run.connect();
        auto& [client, server] = connection;
        run.step("hello from the server", "the client reads what the server wrote", Party::server,
                 Party::client);
        run.say(server, client, run.down);
        run.step("hello from the client", "the server reads what the client wrote", Party::client,
                 Party::server);
        run.require_silence({&server});
        run.say(client, server, run.up);
        end_cleanly(run, connection, true);
    }
    auto connection = run.connect();
    auto& [client, server] = connection;
    run.step("client speaks first", "the server reads what the client wrote", Party::client,
             Party::server);
    run.say(client, server, run.up);
    run.step("server answers", "the client reads what the server wrote", Party::server,
             Party::client);
    run.require_silence({&client});
    run.say(server, client, run.down);
    end_cleanly(run, connection, false);
    run.require_no_stranger();
}

inline constexpr std::array hello_checks{Check{
    .id = "hello",
    .title = "a few bytes each way, each side speaking first once, then the end of the stream",
    .level = Level::hello,
    .trait = "passes_eof",
    .run = hello}};

} // namespace test_tunnel::check
