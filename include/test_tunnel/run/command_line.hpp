#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/detail/suggestion.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/config/config.hpp"
#include "test_tunnel/private_network/private_network.hpp"
#include "test_tunnel/report/files.hpp"

// What programs that test tunnels have in common on their command lines: `main` of the adapter to
// Catch2, the example check_command, and a main of your own.

namespace test_tunnel {

/// What the options of a run ask for (`run_options`).
struct RunSettings {
    /// How it is tested.
    Config config{};
    /// In which network. Nothing: none was asked for.
    std::optional<NetworkMode> network{};
    /// The reports that are written.
    ReportFiles::Options reports{};
    /// How long all tests of the program may take together (Interruption).
    Duration time_limit = Duration::max();
};

/// An option of a command line.
struct RunOption {
    /// Its name: "--level".
    const char* name;
    /// What stands for its value in a help text, "level"; empty where it takes no value.
    const char* value;
    /// What it does, in a line or two.
    const char* help;
    /// Whether it may be given more than once.
    bool may_repeat;
    /// Sets it to the value that was given (an empty text where it takes none). Throws
    /// InvalidConfig, which says what would be right.
    void (*set)(RunSettings& settings, const std::string& value);
};

/// Returns the options that are the same for every tool, in the order of a help text.
/// `--timeout-scale` holds for the whole process (`set_timeout_scale`), from when it is set.
[[nodiscard]] std::vector<RunOption> run_options();

/// Returns the list of the library's checks: a line for each, with its id, level and title.
[[nodiscard]] std::string list_of_checks();

/// Returns the list of the pairs that this machine has, or of those that `config.pairs` selects: a
/// line for each. Throws as `discover_pairs` does.
[[nodiscard]] std::string list_of_pairs(const Config& config);

/// Returns the value that is called `name`. Throws InvalidConfig where there is none: it says that
/// the name is no `what`, which one may have been meant, and which ones there are.
template <typename Value>
Value choose(std::string_view what, std::string_view name,
             const std::vector<std::pair<std::string, Value>>& all) {
    std::vector<std::string> names;
    names.reserve(all.size());
    for (const auto& [known, value] : all) {
        if (known == name) {
            return value;
        }
        names.push_back(known);
    }
    throw InvalidConfig{
        fmt::format("'{}' is no {}{}", name, what, detail::suggestion(name, names))};
}

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/run/detail/command_line.ipp" // IWYU pragma: export
#endif
