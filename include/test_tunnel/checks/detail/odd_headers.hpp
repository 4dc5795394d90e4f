#pragma once

// PROXY headers that a tool has to refuse. The sections are those of proxy-protocol.txt.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/checks/detail/proxy_trials.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/handshakes/detail/proxy_bytes.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// The names that `Traits::accepts` may have of headers.
inline constexpr std::array<std::string_view, 15> names_of_headers{
    "proxy.nothing",       "proxy.v1.address",   "proxy.v1.line_end", "proxy.v1.line_length",
    "proxy.v1.more_words", "proxy.v1.port",      "proxy.v1.protocol", "proxy.v1.spaces",
    "proxy.v1.truncated",  "proxy.v1.words",     "proxy.v2.command",  "proxy.v2.family",
    "proxy.v2.length",     "proxy.v2.truncated", "proxy.v2.version"};

/// Returns what is no header at all: a tool that does without one may take it for data. It is long
/// enough that nobody has to wait for more.
inline std::vector<HeaderTrial> missing_headers(PairRun& run) {
    const auto v1 = usual_header(run, ProxyVersion::v1).header;
    const auto v2 = usual_header(run, ProxyVersion::v2).header;
    constexpr std::size_t size = 300;
    auto unlike = v2;
    unlike[11] = '\r'; // the signature's last byte
    const std::string padding(size, 'x');
    const auto make = [](std::string what, std::string text) {
        return HeaderTrial{.what = std::move(what), .header = std::move(text), .is_data = true};
    };
    return {make("a request of HTTP in place of the header",
                 "GET / HTTP/1.1\r\nHost: proxy.test\r\nUser-Agent: " + padding + "\r\n\r\n"),
            make(fmt::format("{} bytes of anything in place of the header", size),
                 "\x16\x03\x01" + run.pattern(1).bytes(0, size)),
            make("a header of version 1 in small letters",
                 "proxy" + v1.substr(std::string_view{"PROXY"}.size()) + padding),
            make("a header of version 2 with another signature", unlike + padding)};
}

/// Returns headers of version 1 that must be refused (§2.1).
inline std::vector<HeaderTrial> odd_lines(PairRun& run) {
    const auto usual = usual_header(run, ProxyVersion::v1).header;
    const auto line = usual.substr(0, usual.size() - 2);
    const auto last_space = line.rfind(' ');
    const auto family = line.substr(0, std::string_view{"PROXY TCP4"}.size());
    const auto source = line.find(' ', family.size() + 1);
    const auto make = [](std::string_view name, std::string what, std::string text) {
        return HeaderTrial{.name = name, .what = std::move(what), .header = std::move(text)};
    };
    constexpr std::size_t too_long = 200;
    const std::string padding(too_long, 'x');
    return {
        make("proxy.v1.protocol", "version 1 for TCP5",
             "PROXY TCP5" + line.substr(family.size()) + "\r\n"),
        make("proxy.v1.address", "version 1 with an address that is none",
             family + " 1.2.3.4.5" + line.substr(source) + "\r\n"),
        make("proxy.v1.port", "version 1 with port 65536",
             line.substr(0, last_space) + " 65536\r\n"),
        make("proxy.v1.words", "version 1 without the last port",
             line.substr(0, last_space) + "\r\n"),
        make("proxy.v1.more_words", "version 1 with a word behind the last port", line + " 1\r\n"),
        make("proxy.v1.spaces", "version 1 with two spaces between the addresses",
             line.substr(0, source) + ' ' + line.substr(source) + "\r\n"),
        make("proxy.v1.line_end", "version 1 with a line that ends with LF only",
             line + "\n" + padding),
        make("proxy.v1.line_length", "version 1 with 214 bytes and no end of the line",
             "PROXY UNKNOWN " + padding)};
}

/// Returns headers of version 2 that must be refused (§2.2).
inline std::vector<HeaderTrial> odd_blocks(PairRun& run) {
    constexpr unsigned proxy = 0x21;
    constexpr std::size_t fixed = detail::proxy_v2_fixed;
    const auto usual = usual_header(run, ProxyVersion::v2).header;
    const auto family = detail::byte_at(usual, fixed - 3);
    const auto addresses = usual.substr(fixed);
    const auto make = [&](std::string_view name, std::string what, unsigned command, unsigned of,
                          std::string_view rest) {
        return HeaderTrial{.name = name,
                           .what = std::move(what),
                           .header = detail::proxy_v2_bytes(command, of, rest)};
    };
    return {
        make("proxy.v2.version", "version 3 behind the signature of version 2", 0x31, family,
             addresses),
        make("proxy.v2.command", "version 2 with the command 2", 0x22, family, addresses),
        make("proxy.v2.family", "version 2 with the address family 4", proxy, 0x41, addresses),
        make("proxy.v2.length", "version 2 with a length that is less than that of the addresses",
             proxy, family, std::string_view{addresses}.substr(1))};
}

/// Returns headers behind some of whose bytes the client ends its direction.
inline std::vector<HeaderTrial> truncated_headers(PairRun& run, ProxyVersion version) {
    const bool is_v1 = version == ProxyVersion::v1;
    const auto usual = usual_header(run, version).header;
    std::vector<HeaderTrial> result;
    const auto places = is_v1 ? std::vector<std::size_t>{1, 6, 12, usual.size() - 1}
                              : std::vector<std::size_t>{1, 12, 14, 16, usual.size() - 1};
    result.reserve(places.size());
    for (const auto at : places) {
        result.push_back(
            {.name = is_v1 ? "proxy.v1.truncated" : "proxy.v2.truncated",
             .what = fmt::format("version {}, of which the client sends {} of {} bytes",
                                 static_cast<int>(version), at, usual.size()),
             .header = usual.substr(0, at),
             .ends = true});
    }
    return result;
}

/// Tries clients that a tool has to refuse, and says at the end with which it has not done so.
class RefusedHeaders {
public:
    RefusedHeaders(PairRun& run, HeaderTrials& trials) : run_{run}, trials_{trials} {}

    /// Tries one of them, and then one that has to be served.
    void refuse(const HeaderTrial& trial) {
        constexpr int most_silent = 3; // each takes a while
        if (silent_ == most_silent) {
            return;
        }
        ++tried_;
        const auto& declared = run_.traits().accepts;
        const bool is_declared =
            std::find(declared.begin(), declared.end(), trial.name) != declared.end();
        const auto outcome = trials_.outcome_of(trial, "it is refused", patience(is_declared));
        note_dial(outcome);
        if (trial.is_data && outcome.fate == Fate::served) {
            serves_without_ = true;
        } else if (is_declared) {
            run_.note(
                fmt::format(
                    "{}: {} ({})", trial.what,
                    outcome.fate == Fate::refused ? "as it should be, better than declared"
                                                  : "not as it should be, as declared",
                    detail::wording_of_accepts(run_.config().dialect, {std::string{trial.name}})),
                trait::accepts.name);
        } else if (outcome.fate != Fate::refused) {
            silent_ += outcome.fate == Fate::waiting ? 1 : 0;
            complain(trial, outcome.text);
        }
        require_service();
        if (outcome.fate == Fate::refused && !is_declared) {
            look_again(trial);
        }
        last_ = trial;
    }

    /// Whether a client without a header was served.
    [[nodiscard]] bool serves_without() const noexcept { return serves_without_; }

    /// Throws Unexpected where not all of them were refused.
    void require_all() {
        // What the last one has said may come a while after its connection was ended.
        constexpr Duration moment = std::chrono::milliseconds{100};
        run_.pause(moment, "what arrives late");
        require_service();
        look_again(last_);
        run_.step("odd headers", "each one is refused, and nothing of it reaches the server",
                  Party::client, Party::tool);
        if (complaints_.empty()) {
            return;
        }
        const auto advice =
            undeclared_.empty()
                ? ""
                : "; a tool that is known for that has to declare " +
                      detail::wording_of_accepts(run_.config().dialect, undeclared_);
        throw Unexpected{run_.expected(),
                         fmt::format("not so with {} of {}{}{}", std::min(failed_, tried_), tried_,
                                     advice, complaints_)};
    }

private:
    void require_service() {
        const auto steps = run_.steps();
        run_.sentinel();
        run_.forget_steps(steps);
    }

    /// Looks at what has arrived at the server since a client was refused.
    void look_again(const HeaderTrial& trial) {
        if (const auto late = trials_.late_arrival(); !late.empty()) {
            complain(trial, late);
        }
    }

    [[nodiscard]] Duration patience(bool is_declared) const {
        constexpr Duration short_one = std::chrono::seconds{1};
        const auto usual = run_.config().timeouts.io;
        return is_declared ? std::min(usual, short_one) : usual;
    }

    void note_dial(const HeaderOutcome& outcome) {
        if (outcome.has_dialled && outcome.fate == Fate::refused) {
            run_.note("it connects to the server also for clients that it then refuses");
        }
    }

    void complain(const HeaderTrial& trial, const std::string& text) {
        ++failed_;
        complaints_ += fmt::format("\n{}: {}", trial.what, text);
        const std::string name{trial.name};
        if (!name.empty() &&
            std::find(undeclared_.begin(), undeclared_.end(), name) == undeclared_.end()) {
            undeclared_.push_back(name);
        }
    }

    PairRun& run_;
    HeaderTrials& trials_;
    HeaderTrial last_{};
    std::vector<std::string> undeclared_;
    std::string complaints_;
    int tried_ = 0;
    int failed_ = 0;
    int silent_ = 0;
    bool serves_without_ = false;
};

} // namespace test_tunnel::check
