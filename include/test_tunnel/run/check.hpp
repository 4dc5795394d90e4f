#pragma once

#include <array>
#include <memory>
#include <string_view>
#include <type_traits>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/config/config.hpp"
#include "test_tunnel/config/level.hpp"
#include "test_tunnel/config/transports.hpp"

namespace test_tunnel {

class PairRun;

/// Something that a tunnel must do: a function that tries it, and what a reader has to know of it.
struct Check {
    /// Its name, which stays as it is from one version to the next: "data.bulk.up".
    std::string_view id;
    /// What must come of it, in one line: "1 MiB from the client to the server, in pieces of odd
    /// sizes".
    std::string_view title;
    /// The lowest level at which it is run.
    Level level = Level::standard;
    /// What a tool must carry that it is for; others are not asked for it.
    Transports needs{.tcp = true};
    /// The member of Traits that may excuse a tool from it: `trait::half_close.name`. Empty where
    /// nothing does.
    std::string_view trait{};
    /// The ids of up to two checks that try less than this one does. Where one of them has waited
    /// in vain, this one is not tried (`OnFailure::hurry`).
    std::array<std::string_view, 2> presumes{};
    /// Whether a configuration asks for it, and then at whatever level; null: it needs not be asked
    /// for. One that is not asked for is run only where `Config::only` has its whole id.
    bool (*is_asked_for)(const Config& config) = nullptr;
    /// Tries it, and returns where the tunnel does it. Throws Unexpected, TimedOut, ToolEnded or
    /// another Error where it does not, and NotApplicable where there is nothing to try.
    void (*run)(PairRun& run) = nullptr;
    /// What is done ahead, for a check that has to wait: set by `prepared_check`, together with
    /// `run`.
    std::shared_ptr<void> (*prepare)(PairRun& run) = nullptr;
};

/// Makes a check of two parts, for one that has to wait for something not to happen: `prepare`
/// makes a connection and returns a State, and `run` gets that State some time later.
///
///     struct Silence { Connection connection; Clock::time_point since; };
///     Silence say_nothing(PairRun& run);
///     void stay_silent(PairRun& run, Silence& silence);
///
///     constexpr auto idle = prepared_check<say_nothing, stay_silent>({.id = "idle", .title = …});
///
/// Where the tool is concurrent, `prepare` is called before the other checks are run, so that many
/// checks wait at once; else, or where the tool has been started anew since, right before `run`.
/// What `prepare` throws fails the check, or makes it not applicable, as what `run` throws.
template <auto prepare, auto run>
[[nodiscard]] constexpr Check prepared_check(Check row) {
    using State = std::invoke_result_t<decltype(prepare), PairRun&>;
    static_assert(std::is_invocable_v<decltype(run), PairRun&, State&>,
                  "the second function must take what the first one returns: (PairRun&, State&)");
    row.prepare = [](PairRun& pair_run) -> std::shared_ptr<void> {
        return std::shared_ptr<State>{new State(prepare(pair_run))};
    };
    // A template, since PairRun is not complete here.
    row.run = [](auto& pair_run) {
        run(pair_run, *std::static_pointer_cast<State>(pair_run.take_prepared()));
    };
    return row;
}

/// Thrown by a check that does not concern this tool, or can't be done on this machine.
class NotApplicable : public Error {
public:
    using Error::Error;
};

/// Returns all checks of the library, in the order in which they are run: `hello` is the first;
/// where it fails, no other is tried.
std::vector<Check> checks();

/// Returns those of `all` that the configuration selects by its level, `only` and `except`, in the
/// same order, as far as they are for a tool that carries `transports`. Throws InvalidConfig for a
/// pattern that matches none of them, for a known failure that names none of them, and where
/// nothing is selected.
std::vector<Check> select(const Config& config, std::vector<Check> all,
                          Transports transports = {.tcp = true});

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/run/pair_run.hpp" // IWYU pragma: export
#endif
