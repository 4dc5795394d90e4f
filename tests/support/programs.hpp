#pragma once

// Programs that are run to their end.

#include <test_tunnel/base/deadline.hpp>
#include <test_tunnel/base/environment.hpp>
#include <test_tunnel/process/find_program.hpp>
#include <test_tunnel/process/process.hpp>
#include <test_tunnel/process/temp_dir.hpp>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace support {

struct Result {
    int code = -1;
    std::string text;
};

/// Waits for its end, and returns its status and all that it has written.
inline Result finish(test_tunnel::Process& process,
                     test_tunnel::Duration timeout = std::chrono::seconds{60}) {
    const auto status = process.wait(test_tunnel::Deadline::after(timeout));
    REQUIRE(status);
    return {status->code().value_or(-1), process.out() + process.err()};
}

/// A program in the network of this test.
inline Result run_program(std::vector<std::string> argv,
                          test_tunnel::Environment environment = test_tunnel::utf8_environment()) {
    environment["TEST_TUNNEL_NETWORK"] = "host";
    auto process = test_tunnel::Process::spawn(
        {.argv = std::move(argv), .environment = std::move(environment)});
    return finish(process);
}

/// What python's parser, which takes nothing but JSON in UTF-8, makes of a text: `program` prints
/// of `document`.
inline std::string ask_python(const std::string& json, const std::string& program) {
    try {
        test_tunnel::detail::find_program("python3", test_tunnel::utf8_environment());
    } catch (const test_tunnel::ToolMissing& error) {
        SKIP(error.what());
    }
    test_tunnel::TempDir directory;
    const auto path = directory.write("report.json", json);
    const auto [code, text] = run_program({"python3", "-c",
                                           "import json, sys\n"
                                           "def refuse(text): raise ValueError(text)\n"
                                           "document = json.loads(open(sys.argv[1], 'rb').read()"
                                           ".decode('utf-8', 'strict'), parse_constant=refuse)\n" +
                                               program,
                                           path});
    INFO(text);
    REQUIRE(code == 0);
    return text;
}

} // namespace support
