#pragma once

// What a command line asks for.

#include <test_tunnel/run/command_line.hpp>
#include <test_tunnel/run/command_tunnel.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <thread>

namespace check_command {

using namespace test_tunnel;

/// How many combinations are tested at once: most of them wait most of the time.
inline std::size_t usual_jobs() {
    constexpr std::size_t each_processor = 2;
    return each_processor * std::max(1U, std::thread::hardware_concurrency());
}

/// TLS between the harness and the tool.
struct TlsSettings {
    bool client = false;
    bool server = false;
    bool passed = false;
    bool client_certificate = false;
    bool client_name = false;
    bool tool_certificate = false;
    std::string version; // empty: 1.2 or 1.3
    std::string name = "proxy.test";
    bool omits_close_notify = false;
};

struct Request {
    Request() { run.config.jobs = usual_jobs(); }

    RunSettings run;
    CommandOptions tool;
    Socks5Options socks5;
    HttpConnectOptions http;
    TlsSettings tls;
    std::string handshake;
    std::string user_option; // the option that needs a handshake with users
    std::string upstream;    // the handshake of the upstream proxy
    std::optional<std::string> upstream_user;
    std::optional<std::string> upstream_password;
    bool declares_source = false; // --trait binds_source=…
    std::string list;             // the option that lists something
};

} // namespace check_command
