// The checks on a forwarder with every fault and every oddity that tests/faulty knows: which check
// finds which fault, and whether any flags what is correct. Prints the table and the counts; fails
// where a fault is not found by the check that it was made for, where something correct is flagged,
// where what tools may do differently is not told at `strict`, and where a check has no fault that
// proves it. Then what a declaration does: a tool that does better than each value of each trait is
// not flagged, and the report says so; where something is declared, faults are found nevertheless.
//
//   detection [NAME-PATTERN [CHECK-PATTERN]]      only hello and such checks, and nothing declared
//   detection --declared [DECLARATION-PATTERN]    only tools of which something is declared

#include <test_tunnel/private_network/private_network.hpp>
#include <test_tunnel/process/process.hpp>
#include <test_tunnel/run/detail/id_pattern.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "behaviour_facts.hpp"
#include "declarations.hpp"
#include "faulty/behaviours.hpp"
#include "faulty_tunnels.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;

namespace {

// --- One run, in a process and a network of its own

/// Prints a line for each check and each note.
int run_one(const std::string& behaviour, const std::string& mode, const std::string& level,
            const std::string& kind, const std::string& check, const std::string& declaration,
            const std::string& only) {
    enter_network(NetworkMode::isolated);
    ConfigProg config;
    config.log->set_level(spdlog::level::off);
    config.level = parse_level(level);
    config.idle = behaviour == "minute-timeout" ? 65s : 3s;
    config.on_failure = OnFailure::go_on; // each check has to find its faults
    if (kind == "fault") {                // nobody has to be patient with it
        config.timeouts.connect = 3s;
        config.timeouts.io = 2s;
        config.timeouts.stop = 2s;
        config.timeouts.linger = 1s;
    }
    if (check == "data.volume" || behaviour == "pauses-at-24m") {
        config.volume = std::uint64_t{48} << 20U;
    }
    if (check == "soak") { // nothing else is to be tried again
        config.soak = 30s;
    }
    // So that both ways to name a declaration are seen.
    config.dialect = declaration == "-" ? Dialect::cpp : Dialect::options;
    // Seconds for each of the others; and what works without end takes the time of all others.
    const bool takes_long = config.level == Level::strict || check.starts_with("resources.");
    if (check == "soak") {
        config.only = {"hello"};
    } else if (takes_long && kind != "correct" && declaration == "-") {
        config.only = {"hello", check};
    } else if (only != "*") {
        config.only = {"hello", only};
    } else if (kind == "fault" && declaration == "-") { // which of its kind find it, too
        config.only = {"hello", check.substr(0, check.find('.')) + "*"};
    } else if (is_tls(mode)) { // of all others, the modes without TLS see more
        config.only = {"hello", "tls.*"};
    } else if ((kind == "awkward" && is_tried_as_forwarder(behaviour, mode)) ||
               (kind == "correct" && takes_long && declaration == "-" && is_variant(mode))) {
        config.only = about_asking();
    } else if (config.level == Level::strict && declaration != "-") {
        config.only = checks_about(declaration);
        config.only.insert(config.only.end(), {"hello", check == "-" ? "hello" : check});
    }
    const auto made =
        make_tunnel(std::move(config), behaviour, mode, declared_for(behaviour, declaration));
    auto& tunnel = *made;
    auto pairs = discover_pairs(tunnel.config());
    if (mode.ends_with("socks4")) { // by address, it knows no other
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
    /// What is declared of it; "-": nothing.
    std::string declaration = "-";
    /// The trait in which it does better than that, and the report has to say so.
    std::string better{};
    std::map<std::string, std::string> outcomes{};
    std::set<std::string> noted{};
    std::set<std::string> noted_as_better{};
    bool speaks_cpp = false;
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

/// A fault in one of its modes, plain where it can be; one of a handshake, and what is correct, in
/// all of them.
std::vector<Run> all_runs(std::string_view pattern, std::string_view checks) {
    std::vector<Run> result;
    for (const auto& behaviour : behaviours) {
        if (!detail::matches(pattern, behaviour.name)) {
            continue;
        }
        if (behaviour.kind == "fault" && !detail::matches(checks, behaviour.check)) {
            continue;
        }
        const bool is_strict = is_strict_fault(behaviour);
        if (behaviour.kind == "fault" && !is_check(behaviour.check)) {
            fmt::print("not looked for yet: {} ({})\n", behaviour.name, behaviour.description);
            continue;
        }
        auto modes = split(behaviour.modes, ',');
        if (!can_have_tls && is_tls(modes.front())) {
            fmt::print("not looked for, since there is no OpenSSL: {}\n", behaviour.name);
            continue;
        }
        // Each protocol has its own way to get a handshake wrong.
        const bool is_handshake =
            behaviour.check.starts_with("handshake.") || behaviour.check.starts_with("upstream.");
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

// --- What is declared

std::vector<Run> declared_runs(std::string_view pattern, std::string_view declaration_pattern) {
    std::vector<Run> result;
    for (const auto& line : declarations()) {
        const auto& behaviour =
            *std::find_if(behaviours.begin(), behaviours.end(),
                          [&](const Behaviour& each) { return each.name == line.behaviour; });
        if (detail::matches(pattern, behaviour.name) &&
            detail::matches(declaration_pattern, line.declaration)) {
            const bool is_strict = line.level == "strict" || is_strict_fault(behaviour);
            result.push_back({.behaviour = &behaviour,
                              .mode = line.mode,
                              .level = is_strict ? "strict" : "standard",
                              .declaration = line.declaration,
                              .better = line.better});
        }
    }
    return result;
}

// --- Carrying out

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
            if (contains(fields[2], "better than declared")) {
                run.noted_as_better.insert(fields[1]);
            }
        } else if (fields[0] == "seconds") {
            run.seconds = std::atof(fields[1].c_str());
        }
    }
    run.accounts = process.err();
    const auto text = process.out() + process.err();
    run.speaks_cpp = contains(text, "Traits::") || contains(text, "Config::");
    if (process.status()->code() != 0) {
        throw Error{fmt::format("{} ({}): {}\n{}", run.behaviour->name, run.mode,
                                process.status()->text(), run.accounts)};
    }
}

/// Most of them wait most of the time: many at once, and first those that take longest.
void carry_out(std::vector<Run>& runs, const std::string& self, const std::string& only) {
    constexpr std::size_t at_once = 12; // on two cores
    std::vector<Run*> waiting(runs.size());
    std::transform(runs.begin(), runs.end(), waiting.begin(), [](Run& run) { return &run; });
    std::stable_partition(waiting.begin(), waiting.end(),
                          [](const Run* run) { return run->level == "strict"; });
    std::vector<std::pair<Run*, Process>> running;
    auto next = waiting.begin();
    while (next != waiting.end() || !running.empty()) {
        while (next != waiting.end() && running.size() < at_once) {
            auto& run = **next++;
            running.emplace_back(
                &run, Process::spawn(
                          {.argv = {self, "--one", std::string{run.behaviour->name}, run.mode,
                                    run.level, std::string{run.behaviour->kind},
                                    std::string{run.behaviour->check}, run.declaration, only}}));
        }
        for (auto entry = running.begin(); entry != running.end();) {
            constexpr auto look = 5ms;
            constexpr auto longest = 300s;
            if (entry->second.run_time() > scaled(longest)) {
                throw TimedOut{fmt::format("{} ({}) takes more than {}",
                                           entry->first->behaviour->name, entry->first->mode,
                                           text_of(longest))};
            }
            if (entry->second.wait(Deadline::unscaled(look))) {
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
        fmt::print("{:<7} {:<28} {:<16} {} {:5.1f} s {:<8} {}\n", run.behaviour->kind,
                   run.behaviour->name, run.mode, marks, run.seconds, run.level, run.declaration);
    }
}

/// Prints what is wrong, and how many were found; whether all is well.
bool judge(const std::vector<Run>& runs, bool complete) {
    std::vector<std::string> complaints;
    std::size_t faults = 0;
    std::size_t found = 0;
    std::size_t correct = 0;
    std::size_t flagged = 0;
    std::size_t deviations = 0;
    std::size_t undeclared = 0;
    std::size_t declared = 0;
    std::size_t found_though_declared = 0;
    std::size_t better = 0;
    std::set<std::string> proven;
    for (const auto& run : runs) {
        const auto name = fmt::format("{} ({}, {})", run.behaviour->name, run.mode, run.level);
        if (run.declaration != "-") {
            const auto both = fmt::format("{}, declared {},", name, run.declaration);
            if (run.speaks_cpp) {
                complaints.push_back(fmt::format("{} is told in C++\n{}", both, run.accounts));
            }
            if (run.behaviour->kind == "fault") {
                ++declared;
                found_though_declared += run.has_failed(std::string{run.behaviour->check}) ? 1 : 0;
                if (!run.has_failed(std::string{run.behaviour->check})) {
                    complaints.push_back(
                        fmt::format("{} is not found by {}", both, run.behaviour->check));
                }
                continue;
            }
            ++better;
            if (run.is_flagged()) {
                complaints.push_back(fmt::format("{} is flagged\n{}", both, run.accounts));
            } else if (!run.better.empty() && !run.noted_as_better.contains(run.better)) {
                complaints.push_back(
                    fmt::format("{} is not noted as better in {}", both, run.better));
            }
            continue;
        }
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
        } else if (is_told && !is_slow && is_standard(run.behaviour->check) && run.noted.empty() &&
                   run.outcomes.contains(std::string{run.behaviour->check})) {
            complaints.push_back(fmt::format("{} is not noted", name));
        }
    }
    for (const auto& check : checks()) {
        const bool needs_tls = check.id.starts_with("tls.") && !can_have_tls;
        if (complete && !needs_tls && !proven.contains(std::string{check.id})) {
            complaints.push_back(fmt::format("no fault proves {}", check.id));
        }
    }
    for (const auto& complaint : complaints) {
        fmt::print("  {}\n", complaint);
    }
    fmt::print(
        "{} of {} faults found, each by the check that it was made for\n"
        "{} of {} correct tunnels flagged: {} that are odd, {} that differ as tools do\n"
        "{} that differ are told at strict what to declare\n"
        "{} of {} faults found beside a declaration, {} declarations that a tool does better "
        "than\n\n",
        found, faults, flagged, correct + deviations, correct, deviations, undeclared,
        found_though_declared, declared, better);
    return complaints.empty();
}

} // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> words{argv, argv + argc};
    try {
        if (words.size() == 9 && words[1] == "--one") {
            return run_one(words[2], words[3], words[4], words[5], words[6], words[7], words[8]);
        }
        const std::string pattern = words.size() > 1 ? words[1] : "*";
        const std::string further = words.size() > 2 ? words[2] : "*";
        const bool is_declared = pattern == "--declared";
        const std::string only = is_declared ? "*" : further;
        auto runs = is_declared ? declared_runs("*", further) : all_runs(pattern, only);
        for (const auto& run : declared_runs(only == "*" ? pattern : "", "*")) {
            runs.push_back(run); // none of them is named --declared
        }
        carry_out(runs, words[0], only);
        // What is wrong comes first: of a long output, often just the beginning is kept.
        const bool is_well = judge(runs, words.size() == 1);
        print_table(runs);
        return is_well ? 0 : 1;
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}\n", error.what());
        return 1;
    }
}
