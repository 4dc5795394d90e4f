// Checks any tool that is given as a command line, without a line of C++:
//
//   check_command --handshake socks5 -- microsocks -i {listen.address} -p {listen.port}
//
// Nearly all of the library has a name on its command line. The only example that does without
// Catch2.

#include <unistd.h>
#include <test_tunnel/command_tunnel.hpp>
#include <test_tunnel/detail/command_line.hpp>
#include <test_tunnel/detail/find_program.hpp>
#include <test_tunnel/report/console_style.hpp>
#include <test_tunnel/report/files.hpp>
#include <test_tunnel/report/junit.hpp>
#include <test_tunnel/report/progress.hpp>
#include <test_tunnel/test_tunnel.hpp>
#include <test_tunnel/trait_names.hpp>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <fstream>
#include <ios>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "options.hpp"
#include "usage.hpp"

using namespace check_command;

namespace {

enum Status { passed = 0, failed = 1, wrong_usage = 2, skipped = 77 }; // 77 is Automake's

void enter_network(const Request& request) {
    const auto network = test_tunnel::enter_network(
        request.network ? *request.network : network_mode_from_environment());
    request.config.log->info("the test runs in {}", network);
}

/// That all of them are installed, as far as that can be known before they are started.
void require_programs(const Request& request) {
    auto commands = request.tool.companions;
    commands.push_back(request.tool.command);
    for (const auto& command : commands) {
        if (command.front().find('{') == std::string::npos) {
            detail::find_program(command.front(), request.config.utf8_env);
        }
    }
}

int list(const Request& request) {
    std::string text;
    if (request.list == "--help") {
        text = usage;
    } else if (request.list == "--version") {
        text = fmt::format("check_command of test-tunnel {}.{}.{}\n", TEST_TUNNEL_VERSION_MAJOR,
                           TEST_TUNNEL_VERSION_MINOR, TEST_TUNNEL_VERSION_PATCH);
    } else if (request.list == "--list-traits") {
        for (const auto& [name, values] : trait_names()) {
            text += fmt::format("{:<24} {}\n", name, values);
        }
    } else if (request.list == "--list-pairs") {
        enter_network(request);
        text = detail::list_of_pairs(request.config);
    } else {
        text = detail::list_of_checks();
    }
    std::fputs(text.c_str(), stdout);
    return passed;
}

/// A file that is to be written in the end, opened before anything is tested.
class Output {
public:
    Output(std::string_view option, const std::string& path) : what_{option} {
        if (!path.empty()) {
            file_.open(path, std::ios::binary | std::ios::trunc);
            what_ += ' ' + path;
            require();
        }
    }

    void write(const std::string& text) {
        if (file_.is_open()) {
            file_ << text << std::flush;
            require();
        }
    }

private:
    void require() const {
        if (!file_) {
            throw InvalidConfig{fmt::format("{}: it can't be written", what_)};
        }
    }

    std::string what_;
    std::ofstream file_;
};

/// "--trait reset=as_end --trait …": what declares all that was noted as undeclared, where the
/// notes tell it; they speak of the members of Traits.
std::string declarations(const Report& report) {
    constexpr std::string_view begin = "(undeclared: Traits::";
    Traits traits;
    for (const auto& [text, pairs] : report.notes()) {
        const auto at = text.find(begin);
        if (at == std::string::npos) {
            continue;
        }
        const auto code = text.substr(at + begin.size(), text.find(')', at) - at - begin.size());
        const auto equals = code.find(" = ");
        const auto colons = code.rfind(':');
        if (equals != std::string::npos) {
            declare(traits, code.substr(0, equals),
                    code.substr(colons == std::string::npos ? equals + 3 : colons + 1));
        }
    }
    std::string result;
    for (const auto& [name, value] : declared_traits(traits)) {
        result += fmt::format(" --trait {}={}", name, value);
    }
    return result;
}

/// Whether a combination has been tested.
bool was_begun(const std::vector<Report>& reports) {
    return std::any_of(reports.begin(), reports.end(),
                       [](const Report& report) { return !report.pairs.empty(); });
}

bool any_failed(const std::vector<Report>& reports) {
    return std::any_of(reports.begin(), reports.end(), [](const Report& report) {
        return std::any_of(report.pairs.begin(), report.pairs.end(),
                           [](const PairResult& pair) { return !pair.passed(); });
    });
}

void complain(const std::exception& error) {
    std::fputs(fmt::format("check_command: {}\n", error.what()).c_str(), stderr);
}

int test(const Request& request) {
    if (request.tool.command.empty()) {
        throw InvalidConfig{"no command was given; check_command --help says how"};
    }
    auto config = request.config;
    config.console = console_style(STDERR_FILENO);
    show_progress(config);
    const auto files = std::make_shared<ReportFiles>(request.reports);
    config.observers.push_back(files);
    CommandTunnel tunnel{config, request.tool};
    select(config, tunnel.checks()); // what is wrong is told before what is missing
    for (const auto& other : {request.reports.json, request.reports.html}) {
        detail::require_two_files(request.junit, other);
    }
    Output junit{"--junit", request.junit};
    const auto& log = config.log;
    std::string junit_report;
    const auto end_early = [&](NotRun kind, const std::exception& reason) {
        if (files->reports().empty()) {
            Report report{tunnel.slug(), {}, tunnel.seed()};
            report.program = tunnel.config().prog;
            report.error = reason.what();
            files->pair_ended(report);
        }
        junit_report = kind == NotRun::skipped ? junit_text(tunnel.slug(), kind, reason.what())
                                               : junit_text(files->reports().back());
    };
    const auto stop = [&](const std::exception& error) {
        complain(error);
        end_early(NotRun::error, error);
        return any_failed(files->reports()) ? failed : wrong_usage;
    };
    const auto skip = [&](const Error& reason) {
        if (was_begun(files->reports())) {
            return stop(reason);
        }
        log->warn("skipped: {}", reason.what());
        end_early(NotRun::skipped, reason);
        return skipped;
    };
    const auto run = [&] {
        try {
            enter_network(request);
            require_programs(request);
            const auto report = tunnel.run_all();
            junit_report = junit_text(report);
            if (const auto options = declarations(report); !options.empty()) {
                log->info("what was noted is declared by{}", options);
            }
            return report.passed() ? passed : failed;
        } catch (const PrivateNetworkUnavailable& error) {
            return skip(error);
        } catch (const ToolMissing& error) {
            return skip(error);
        } catch (const NoAddresses& error) {
            return skip(error);
        } catch (const NoCombinations& error) {
            return skip(error);
        } catch (const std::exception& error) {
            return stop(error);
        }
    };
    auto status = run();
    // Whatever comes of one, the others may still be written.
    const auto attempt = [&](const auto& act) {
        try {
            act();
        } catch (const std::exception& error) {
            complain(error);
            status = status == failed ? failed : wrong_usage;
        }
    };
    attempt([&] { files->write(); });
    attempt([&] { junit.write(junit_report); });
    return status;
}

} // namespace

int main(int argc, char** argv) {
    try {
        const auto request = read_arguments({argv + std::min(argc, 1), argv + argc});
        // Inherited from whoever has started this, ignoring it would hide the end of the tool.
        std::signal(SIGCHLD, SIG_DFL);
        return request.list.empty() ? test(request) : list(request);
    } catch (const std::exception& error) {
        complain(error);
        return wrong_usage;
    }
}
