#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "test_tunnel/checks/detail/tls_client.hpp"
#include "test_tunnel/net/expect.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has clients come again with the session that they were given (RFC 8446 §2.2): whether the tool
/// goes on with it or begins another one, it serves them.
inline void resume_session(PairRun& run) {
    constexpr std::size_t size = 20'000; // more than a record, less than any buffer
    const auto end = need_client_tls(run);
    if (end->is_passed_on()) {
        throw NotApplicable{"it passes TLS on, and only looks at the hello"};
    }
    std::string session;
    {
        auto connection = run.connect();
        run.round_trip(connection); // with which a ticket comes, if it has not before
        session = end->session_of(connection.client);
    }
    if (session.empty()) {
        run.note("its clients get no session that could be resumed");
        return;
    }
    int resumed = 0;
    constexpr int times = 2;
    for (int time = 0; time < times; ++time) {
        auto client = run.connect_client();
        run.step("resumption",
                 fmt::format("a client that comes with its session {} is served",
                             time == 0 ? "again" : "once more"),
                 Party::client, Party::tool);
        resumed += open_for_step(run, client, {.session = session}) ? 1 : 0;
        auto connection = connection_of(run, std::move(client));
        const auto text = run.pattern(static_cast<std::size_t>(time)).bytes(0, size);
        connection.client.write(text);
        connection.server.write(text);
        expect_read(connection.server, text, run.up);
        expect_read(connection.client, text, run.down);
    }
    if (resumed == 0) {
        run.note("it gives sessions, and resumes none");
    }
}

inline constexpr Check tls_resumption{
    .id = "tls.resumption",
    .title = "clients that come again with the session that they were given are served",
    .run = resume_session};

} // namespace test_tunnel::check
