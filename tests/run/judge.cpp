// What a trait's verdict is, by what is declared of it, what was seen and the rule.

#include <test_tunnel/run/detail/judge.hpp>

#include <test_tunnel/config/detail/trait_text.hpp>
#include <test_tunnel/config/trait_names.hpp>
#include <test_tunnel/config/trait_table.hpp>
#include <test_tunnel/run/pair_run.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <optional>
#include <string>
#include <type_traits>

#include "support/faulty_tunnel.hpp"

using namespace test_tunnel;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;
using detail::Verdict;

namespace {

Config config_at(Level level, Dialect dialect = Dialect::cpp) {
    Config config;
    config.level = level;
    config.dialect = dialect;
    return config;
}

template <typename Value, typename Member>
Verdict verdict_of(const Trait<Value, Member>& row, std::type_identity_t<Member> declared,
                   std::type_identity_t<Value> shown, Level level = Level::standard) {
    Traits traits;
    traits.*row.member = declared;
    return detail::judge(row, shown, traits, config_at(level), {});
}

bool is_silent(const Verdict& verdict) {
    return !verdict.note && verdict.failure.empty();
}

/// Calls `act` with each row of a trait that can be judged, and each value that it may have.
template <typename Act>
void for_each_value(Act act) {
    trait::for_each([&]<typename Row>(const Row& row) {
        if constexpr (requires { row.rule; }) {
            using Value = typename decltype(row.rule)::value_type;
            if constexpr (std::is_enum_v<Value> || std::is_same_v<Value, bool>) {
                for (const Value value : detail::TraitText<Value>::all()) {
                    INFO(row.name << " = " << detail::words_of(value).name());
                    act(row, value);
                }
            }
        }
    });
}

template <typename Row, typename Value>
concept Judged = requires(PairRun& run, const Row& row, Value shown) { run.judge(row, shown); };

// Times, sizes and lists are never equal to what was declared: their checks judge them.
static_assert(Judged<Trait<bool>, bool>);
static_assert(Judged<Trait<HalfClose>, HalfClose>);
static_assert(!Judged<Trait<HalfClose>, ResetShows>);
static_assert(Judged<DirectedTrait<HalfClose>, HalfClose>);
static_assert(!Judged<Trait<Duration>, Duration>);
static_assert(!Judged<Trait<std::size_t>, std::size_t>);
static_assert(!Judged<ListTrait<int>, int>);

} // namespace

TEST_CASE("what is as the rule needs no declaration", "[judge]") {
    for_each_value([](const auto& row, auto value) {
        if (row.rule == value) {
            CHECK(is_silent(verdict_of(row, {}, value)));
            CHECK(is_silent(verdict_of(row, {}, value, Level::strict)));
        }
    });
}

TEST_CASE("what is not declared is told with its declaration, which helps", "[judge]") {
    const auto level = GENERATE(Level::standard, Level::strict);
    for_each_value([&](const auto& row, auto value) {
        if (row.rule == value) {
            return;
        }
        const auto verdict = verdict_of(row, {}, value, level);
        const bool fails = level == Level::strict && row.rule;
        CHECK(verdict.note.has_value() != fails);
        CHECK(verdict.failure.empty() != fails);
        CHECK_THAT(fails ? verdict.failure : verdict.note->text,
                   StartsWith(fmt::format("{}: {} (undeclared: Traits::{} = ", row.subject,
                                          detail::words_of(value).plain, row.name)));

        if (fails) {
            return;
        }
        REQUIRE(verdict.note->declaration.has_value());
        Traits traits;
        declare(traits, verdict.note->declaration->name, verdict.note->declaration->value);
        CHECK(traits.*row.member == value);
        CHECK(verdict_of(row, traits.*row.member, value, level).failure.empty());
    });
}

TEST_CASE("what is declared as it is passes, and is noted where it is not the rule", "[judge]") {
    const auto level = GENERATE(Level::standard, Level::strict);
    for_each_value([&](const auto& row, auto value) {
        const auto verdict = verdict_of(row, std::optional{value}, value, level);
        CHECK(verdict.failure.empty());
        CHECK(verdict.note.has_value() == (row.rule && row.rule != value));
        CHECK_FALSE((verdict.note && verdict.note->declaration));
    });
}

TEST_CASE("what is worse than declared fails at every level", "[judge]") {
    const auto level = GENERATE(Level::standard, Level::strict);
    const auto yes_or_no = verdict_of(trait::concurrent, std::optional{true}, false, level);
    CHECK(yes_or_no.expected ==
          "a second connection while one is open: yes, as declared "
          "(Traits::concurrent = true)");
    CHECK(yes_or_no.failure == "no (to be declared as Traits::concurrent = false)");
    const auto one_of_three =
        verdict_of(trait::half_close, std::optional{HalfClose::timed}, HalfClose::none, level);
    CHECK(one_of_three.expected ==
          "half-close: the other direction goes on for a moment only, as declared "
          "(Traits::half_close = HalfClose::timed)");
    CHECK(one_of_three.failure ==
          "ends both directions (to be declared as Traits::half_close = HalfClose::none)");
    CHECK_FALSE(one_of_three.note.has_value());
}

TEST_CASE("what is better than declared passes and is noted", "[judge]") {
    const auto level = GENERATE(Level::standard, Level::strict);
    CHECK(verdict_of(trait::speaks_first, std::optional{true}, false, level).note->text ==
          "connecting only when the client has spoken: no, better than declared "
          "(Traits::speaks_first = true)");
    const auto verdict =
        verdict_of(trait::half_close, std::optional{HalfClose::none}, HalfClose::timed, level);
    CHECK(verdict.note->text ==
          "half-close: the other direction goes on for a moment only, better than "
          "declared (Traits::half_close = HalfClose::none)");
    CHECK(verdict.failure.empty());
}

TEST_CASE("where there is no rule, nothing is better than what is declared", "[judge]") {
    CHECK_FALSE(verdict_of(trait::connects_eagerly, std::optional{true}, false).failure.empty());
    CHECK_FALSE(verdict_of(trait::refuses, std::optional{Refuses::by_end}, Refuses::in_handshake)
                    .failure.empty());
    const auto row = trait::refuses.with_rule(Refuses::in_handshake);
    CHECK_THAT(verdict_of(row, std::optional{Refuses::by_end}, Refuses::in_handshake).note->text,
               EndsWith("better than declared (Traits::refuses = Refuses::by_end)"));
    CHECK_FALSE(verdict_of(row, {}, Refuses::by_end, Level::strict).failure.empty());
}

TEST_CASE("what is shown in one direction is judged by what is declared of that direction",
          "[judge]") {
    const auto verdict_in = [](Direction direction, const PerDirection<HalfClose>& declared) {
        Traits traits;
        traits.half_close = declared;
        return detail::judge(trait::half_close, HalfClose::none, traits, config_at(Level::standard),
                             {}, direction);
    };
    CHECK(verdict_in(Direction::up, {}).note->text ==
          "half-close: ends both directions (undeclared: Traits::half_close.up = HalfClose::none)");
    CHECK(verdict_in(Direction::up, {}).note->declaration == NamedTrait{"half_close.up", "none"});
    CHECK_THAT(verdict_in(Direction::down, HalfClose::none).note->text,
               EndsWith("(declared: Traits::half_close = HalfClose::none)"));
    CHECK_THAT(verdict_in(Direction::up, {{.up = HalfClose::none}}).note->text,
               EndsWith("(declared: Traits::half_close.up = HalfClose::none)"));
    CHECK(verdict_in(Direction::down, {{.up = HalfClose::none}}).note->declaration ==
          NamedTrait{"half_close.down", "none"});
    const auto claimed = verdict_in(Direction::down, {{.down = HalfClose::full}});
    CHECK_THAT(claimed.expected, EndsWith("(Traits::half_close.down = HalfClose::full)"));
    CHECK_THAT(claimed.failure,
               EndsWith("(to be declared as Traits::half_close.down = HalfClose::none)"));
}

TEST_CASE("who is told everything by options reads options", "[judge]") {
    const auto config = config_at(Level::standard, Dialect::options);
    const auto text_of = [&](const auto& row, auto shown, const Traits& traits,
                             std::optional<Direction> direction = {}) {
        return detail::judge(row, shown, traits, config, {}, direction).note->text;
    };
    CHECK(text_of(trait::concurrent, false, {}) ==
          "a second connection while one is open: no (undeclared: --trait concurrent=false)");
    CHECK_THAT(text_of(trait::reset, ResetShows::as_end, {}, Direction::down),
               EndsWith("(undeclared: --trait reset.down=as_end)"));
    CHECK_THAT(text_of(trait::concurrent, true, {.concurrent = false}),
               EndsWith("better than declared (--trait concurrent=false)"));
}

TEST_CASE("a user's check judges by a trait's row", "[judge]") {
    class Judging : public support::FaultyTunnel {
    public:
        Judging(const ConfigProg& config, const Traits& traits)
            : FaultyTunnel{config, "none", "forward", traits} {}
        std::vector<Check> checks() const override {
            return {{.id = "own.judged", .title = "it is judged", .run = [](PairRun& run) {
                         run.judge(trait::half_close, HalfClose::none);
                         run.judge(trait::half_close, HalfClose::none, "half-close in a check");
                         run.judge(trait::concurrent, true);
                     }}};
        }
    };
    ConfigProg config;
    config.log->set_level(spdlog::level::off);
    const auto result_of = [&](Level level, const Traits& traits) {
        config.level = level;
        return Judging{config, traits}.run_pair(discover_pairs(config).front()).checks.at(0);
    };
    SECTION("what is not declared is noted, and the note has the declaration as data") {
        const auto result = result_of(Level::standard, {});
        CHECK(result.outcome == Outcome::passed);
        const NamedTrait declaration{"half_close", "none"};
        CHECK(result.notes ==
              std::vector<Note>{{"half_close",
                                 "half-close: ends both directions (undeclared: "
                                 "Traits::half_close = HalfClose::none)",
                                 declaration},
                                {"half_close",
                                 "half-close in a check: ends both directions (undeclared: "
                                 "Traits::half_close = HalfClose::none)",
                                 declaration}});
    }
    SECTION("what is declared is noted without a declaration") {
        const auto result = result_of(Level::strict, {.half_close = HalfClose::none});
        CHECK(result.outcome == Outcome::passed);
        REQUIRE(result.notes.size() == 2);
        CHECK_FALSE(result.notes.front().declaration.has_value());
    }
    SECTION("what is not declared fails at the level strict") {
        const auto result = result_of(Level::strict, {});
        CHECK(result.outcome == Outcome::failed);
        CHECK(result.expected == "half-close: the other direction goes on");
        CHECK_THAT(result.actual, EndsWith("(undeclared: Traits::half_close = HalfClose::none)"));
    }
}
