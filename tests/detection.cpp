// The checks on a forwarder with every fault and every oddity that tests/faulty knows: which check
// finds which fault, and whether any flags what is correct. Prints the table and the counts; fails
// where a fault is not found by the check that it was made for, where something correct is flagged,
// where what tools may do differently is not told at `strict`, and where a check has no fault that
// proves it.
//
//   detection [NAME-PATTERN]

#include <test_tunnel/private_network.hpp>
#include <test_tunnel/process.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "faulty/behaviours.hpp"
#include "support/faulty_tunnel.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;

namespace {

// --- One run, in a process and a network of its own

Traits declared_for(std::string_view behaviour) {
    Traits traits;
    if (behaviour == "wrong-source") {
        traits.binds_source = false; // demanded unless it is declared
    }
    return traits;
}

/// Prints a line for each check and each note.
int run_one(const std::string& behaviour, const std::string& mode, const std::string& level,
            const std::string& kind, const std::string& check) {
    enter_network(NetworkMode::isolated);
    ConfigProg config;
    config.log->set_level(spdlog::level::off);
    config.level = parse_level(level);
    config.idle = behaviour == "minute-timeout" ? 65s : 3s;
    if (kind == "fault") { // nobody has to be patient with it
        config.timeouts.connect = 3s;
        config.timeouts.io = 2s;
        config.timeouts.stop = 2s;
        config.timeouts.linger = 1s;
    }
    if (config.level == Level::strict && kind != "correct") { // seconds for each of the others
        config.only = {"hello", check};
    }
    support::FaultyTunnel tunnel{config, behaviour, mode, declared_for(behaviour)};
    auto pairs = discover_pairs(config);
    if (mode == "socks4") { // by address, it knows no other
        std::erase_if(pairs, [](const Pair& pair) {
            return pair.svc_listen.address.family() != Family::ipv4;
        });
    }
    const auto result = tunnel.run_pair(pairs.at(behaviour.size() % pairs.size()));
    for (const auto& entry : result.checks) {
        fmt::print("check\t{}\t{}\n", entry.id, text_of(entry.outcome));
        for (const auto& note : entry.notes) {
            fmt::print("note\t{}\t{}\n", note.trait, note.text);
        }
        if (entry.outcome == Outcome::failed) {
            fmt::print(stderr, "{}\n\n", entry.account);
        }
    }
    fmt::print("seconds\t{:.2f}\t\n", std::chrono::duration<double>{result.duration}.count());
    return 0;
}

// --- All runs

struct Run {
    const Behaviour* behaviour;
    std::string mode;
    std::string level;
    std::map<std::string, std::string> outcomes{};
    std::set<std::string> noted{};
    double seconds = 0;
    std::string accounts{};

    [[nodiscard]] bool has_failed(const std::string& check) const {
        const auto found = outcomes.find(check);
        return found != outcomes.end() && found->second == text_of(Outcome::failed);
    }
    [[nodiscard]] bool is_flagged() const {
        return std::any_of(outcomes.begin(), outcomes.end(), [](const auto& entry) {
            return entry.second == text_of(Outcome::failed);
        });
    }
};

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> result;
    for (std::size_t begin = 0; begin <= text.size();) {
        const auto end = std::min(text.find(separator, begin), text.size());
        result.emplace_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return result;
}

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

/// Where it is run already at `standard`.
bool is_standard(std::string_view id) {
    const auto all = checks();
    return std::any_of(all.begin(), all.end(), [&](const Check& check) {
        return check.id == id && check.level <= Level::standard;
    });
}

bool is_check(std::string_view id) {
    const auto all = checks();
    return std::any_of(all.begin(), all.end(), [&](const Check& check) { return check.id == id; });
}

/// A deviation from what is the rule for tools, and not one of several ways that are as good.
bool needs_declaration(const Behaviour& behaviour) {
    constexpr std::array free_choices{"wrong-source", "refuses-by-end", "retries-target",
                                      "no-address-reuse", "finishes-connections"};
    return behaviour.kind == "trait" && std::find(free_choices.begin(), free_choices.end(),
                                                  behaviour.name) == free_choices.end();
}

/// A fault in one of its modes, plain where it can be; one of a handshake, and what is correct, in
/// all of them.
std::vector<Run> all_runs(std::string_view pattern) {
    std::vector<Run> result;
    for (const auto& behaviour : behaviours) {
        if (!detail::matches(pattern, behaviour.name)) {
            continue;
        }
        const bool is_strict = contains(behaviour.description, "(strict)");
        if (behaviour.kind == "fault" && !is_check(behaviour.check)) {
            fmt::print("not looked for yet: {} ({})\n", behaviour.name, behaviour.description);
            continue;
        }
        auto modes = split(behaviour.modes, ',');
        // Each protocol has its own way to get a handshake wrong.
        const bool is_handshake = behaviour.check.starts_with("handshake.");
        if (behaviour.kind != "correct" && behaviour.kind != "awkward" && !is_handshake) {
            const auto plain_one = std::find(modes.begin(), modes.end(), "forward");
            modes = {plain_one == modes.end() ? modes.front() : *plain_one};
        }
        for (const auto& mode : modes) {
            result.push_back({&behaviour, mode, is_strict ? "strict" : "standard"});
            if (behaviour.kind == "correct" || needs_declaration(behaviour)) {
                result.push_back({&behaviour, mode, "strict"});
            }
        }
    }
    return result;
}

void read_result(Run& run, const Process& process) {
    for (const auto& line : split(process.out(), '\n')) {
        const auto fields = split(line, '\t');
        if (fields.size() < 3) {
            continue;
        }
        if (fields[0] == "check") {
            run.outcomes[fields[1]] = fields[2];
        } else if (fields[0] == "note") {
            run.noted.insert(fields[1]);
        } else if (fields[0] == "seconds") {
            run.seconds = std::atof(fields[1].c_str());
        }
    }
    run.accounts = process.err();
    if (process.status()->code() != 0) {
        throw Error{fmt::format("{} ({}): {}\n{}", run.behaviour->name, run.mode,
                                process.status()->text(), run.accounts)};
    }
}

/// Most of them wait most of the time: many at once.
void carry_out(std::vector<Run>& runs, const std::string& self) {
    constexpr std::size_t at_once = 10; // on two cores
    std::vector<std::pair<Run*, Process>> running;
    std::size_t next = 0;
    while (next < runs.size() || !running.empty()) {
        while (next < runs.size() && running.size() < at_once) {
            auto& run = runs[next++];
            running.emplace_back(
                &run,
                Process::spawn({.argv = {self, "--one", std::string{run.behaviour->name}, run.mode,
                                         run.level, std::string{run.behaviour->kind},
                                         std::string{run.behaviour->check}}}));
        }
        for (auto entry = running.begin(); entry != running.end();) {
            constexpr auto look = 5ms;
            constexpr auto longest = 300s;
            if (entry->second.run_time() > detail::scaled(longest)) {
                throw TimedOut{fmt::format("{} ({}) takes more than {}",
                                           entry->first->behaviour->name, entry->first->mode,
                                           detail::text_of(longest))};
            }
            if (entry->second.wait(Deadline{Clock::now() + look})) {
                read_result(*entry->first, entry->second);
                entry = running.erase(entry);
            } else {
                ++entry;
            }
        }
    }
}

// --- The table

char mark(const Run& run, const std::string& check) {
    const auto found = run.outcomes.find(check);
    const std::string outcome = found == run.outcomes.end() ? "" : found->second;
    if (outcome == text_of(Outcome::failed)) {
        return check == run.behaviour->check ? '#' : 'x';
    }
    return outcome == text_of(Outcome::passed)           ? '.'
           : outcome == text_of(Outcome::not_applicable) ? '-'
                                                         : ' ';
}

void print_table(const std::vector<Run>& runs) {
    const auto all = checks();
    fmt::print(
        "  # found by the check that it was made for   x found by another one too\n"
        "  . passed   - not applicable   (blank) not tried after hello has failed\n\n");
    constexpr std::size_t name_width = 54;
    for (std::size_t row = 0; row < all.size(); ++row) {
        fmt::print("{:{}}{} {}\n", "", name_width + row, std::string(1, ','), all[row].id);
    }
    for (const auto& run : runs) {
        std::string marks;
        for (const auto& check : all) {
            marks += mark(run, std::string{check.id});
        }
        fmt::print("{:<7} {:<28} {:<16} {} {:5.1f} s {}\n", run.behaviour->kind,
                   run.behaviour->name, run.mode, marks, run.seconds,
                   run.level == "standard" ? "" : run.level);
    }
}

/// What is wrong, a line each.
std::vector<std::string> judge(const std::vector<Run>& runs, bool complete) {
    std::vector<std::string> complaints;
    std::size_t faults = 0;
    std::size_t found = 0;
    std::size_t correct = 0;
    std::size_t flagged = 0;
    std::size_t deviations = 0;
    std::size_t undeclared = 0;
    std::set<std::string> proven;
    for (const auto& run : runs) {
        const auto name = fmt::format("{} ({}, {})", run.behaviour->name, run.mode, run.level);
        if (run.behaviour->kind == "fault") {
            ++faults;
            const std::string check{run.behaviour->check};
            if (run.has_failed(check)) {
                ++found;
                proven.insert(check);
            } else {
                complaints.push_back(fmt::format("{} is not found by {}", name, check));
            }
            continue;
        }
        const bool is_told = needs_declaration(*run.behaviour);
        if (is_told && run.level == "strict") {
            ++undeclared;
            if (!contains(run.accounts, "Traits::")) {
                complaints.push_back(fmt::format("{} is not told what to declare", name));
            }
            continue;
        }
        run.behaviour->kind == "trait" ? ++deviations : ++correct;
        // What shows after half a second only is not seen at this level.
        const bool is_slow = run.behaviour->name == "timed-half-close";
        if (run.is_flagged()) {
            ++flagged;
            complaints.push_back(fmt::format("{} is flagged\n{}", name, run.accounts));
        } else if (is_told && !is_slow && is_standard(run.behaviour->check) && run.noted.empty()) {
            complaints.push_back(fmt::format("{} is not noted", name));
        }
    }
    for (const auto& check : checks()) {
        if (complete && !proven.contains(std::string{check.id})) {
            complaints.push_back(fmt::format("no fault proves {}", check.id));
        }
    }
    fmt::print(
        "\n{} of {} faults found, each by the check that it was made for\n"
        "{} of {} correct tunnels flagged: {} that are odd, {} that differ as tools do\n"
        "{} that differ are told at strict what to declare\n",
        found, faults, flagged, correct + deviations, correct, deviations, undeclared);
    return complaints;
}

} // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> words{argv, argv + argc};
    try {
        if (words.size() == 7 && words[1] == "--one") {
            return run_one(words[2], words[3], words[4], words[5], words[6]);
        }
        auto runs = all_runs(words.size() > 1 ? words[1] : "*");
        carry_out(runs, words[0]);
        print_table(runs);
        const auto complaints = judge(runs, words.size() == 1);
        for (const auto& complaint : complaints) {
            fmt::print("  {}\n", complaint);
        }
        return complaints.empty() ? 0 : 1;
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}\n", error.what());
        return 1;
    }
}
