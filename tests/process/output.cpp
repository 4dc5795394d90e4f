#include <test_tunnel/base/deadline.hpp>
#include <test_tunnel/process/detail/capture.hpp>
#include <test_tunnel/process/process.hpp>

#include <signal.h> // NOLINT(modernize-deprecated-headers): sigaction is POSIX, not C
#include <spdlog/sinks/ostream_sink.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <sstream>
#include <string>

#include "support/child.hpp"
#include "support/fifo.hpp"
#include "support/spawned.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;
using support::child;
using support::Fifo;
using support::output_of;
using support::soon;
using support::start;

namespace {

std::shared_ptr<Logger> logger_to(std::ostream& stream, spdlog::level::level_enum level) {
    auto log =
        std::make_shared<Logger>("", std::make_shared<spdlog::sinks::ostream_sink_st>(stream));
    log->set_pattern("%v");
    log->set_level(level);
    return log;
}

} // namespace

TEST_CASE("standard output and standard error are kept apart", "[process]") {
    auto process = start({"out", "to out\n", "err", "to err\n"});
    REQUIRE(process.wait(soon()));
    CHECK(process.out() == "to out\n");
    CHECK(process.err() == "to err\n");
}

TEST_CASE("output may lack its last newline and contain any byte", "[process]") {
    CHECK(output_of({"out", "\x1b[31m\xff\xc3"}) == "\x1b[31m\xff\xc3");
}

TEST_CASE("8 MiB on both streams do not block, and their ends are kept", "[process]") {
    auto process = start({"flood", "8192"});
    REQUIRE(process.wait(soon()));
    CHECK(process.status()->code() == 0);
    const std::string cut_mark =
        fmt::format("\n[... {} bytes cut ...]\n",
                    8192 * 1024 + 2 * std::string_view{"first out\n"}.size() -
                        detail::Capture::head_limit - detail::Capture::tail_limit);
    for (const auto& [text, name] : {std::pair{process.out(), "out"}, {process.err(), "err"}}) {
        CHECK(text.starts_with(fmt::format("first {}\nxxx", name)));
        CHECK(text.ends_with(fmt::format("xxx\nlast {}\n", name)));
        CHECK(text.find(cut_mark) == detail::Capture::head_limit);
        CHECK(text.size() ==
              detail::Capture::head_limit + cut_mark.size() + detail::Capture::tail_limit);
    }
}

TEST_CASE("nothing is cut from an output that fits", "[process]") {
    auto process = start({"flood", "60"});
    REQUIRE(process.wait(soon()));
    CHECK(process.out() == "first out\n" + std::string(60 * 1024UL, 'x') + "\nlast out\n");
}

TEST_CASE("endless output does not keep a wait from its deadline", "[process]") {
    auto process = start({"endless"});
    CHECK_FALSE(process.wait(Deadline::after(100ms)));
    CHECK(process.out().starts_with("y\ny\n"));
}

TEST_CASE("a process of endless output can be stopped", "[process]") {
    auto process = start({"endless"});
    CHECK(process.stop(60s).signal() == SIGTERM);
    CHECK_FALSE(process.had_to_be_killed());
}

TEST_CASE("a child that closes its standard streams is still waited for", "[process]") {
    const Fifo fifo;
    auto process = start(
        {"out", "before", "close", "0", "close", "1", "close", "2", "hold", fifo.path(), "wait"});
    REQUIRE(fifo.wait_for_holders(1));
    CHECK_FALSE(process.wait(Deadline::after(20ms)));
    CHECK(process.out() == "before");
    CHECK(process.stop(60s).signal() == SIGTERM);
}

TEST_CASE("the log tells at debug what a child prints, line by line and harmless", "[process]") {
    std::ostringstream stream;
    auto options = child({"out", "one\n\ntwo \x1b[31m\xff ü\nlast", "err", "trouble\n"});
    options.log = logger_to(stream, spdlog::level::debug);
    auto process = Process::spawn(options);
    REQUIRE(process.wait(soon()));
    const auto log = stream.str();
    CHECK_THAT(log, StartsWith(fmt::format("started {} as process {}\n", process.command_line(),
                                           process.pid())));
    CHECK_THAT(log, ContainsSubstring("\nchild: one\nchild: \nchild: two \\x1b[31m\\xff ü\n"));
    CHECK_THAT(log, ContainsSubstring("\nchild (stderr): trouble\n"));
    CHECK_THAT(log, ContainsSubstring("\nchild: last\n"));
    CHECK_THAT(log, EndsWith("child exited with status 0\n"));
}

TEST_CASE("the log tells nothing of it at info", "[process]") {
    std::ostringstream stream;
    auto options = child({"out", "one\n"});
    options.log = logger_to(stream, spdlog::level::info);
    CHECK(output_of(options) == "one\n");
    CHECK(stream.str().empty());
}

TEST_CASE("a line without an end reaches the log in pieces", "[process]") {
    std::ostringstream stream;
    auto options = child({"out", std::string(2500, 'x')});
    options.log = logger_to(stream, spdlog::level::debug);
    output_of(options);
    CHECK_THAT(stream.str(), ContainsSubstring("child: " + std::string(1000, 'x') + "\n") &&
                                 ContainsSubstring("child: " + std::string(500, 'x') + "\n"));
}
