#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/config/config.hpp"
#include "test_tunnel/config/detail/trait_words.hpp"
#include "test_tunnel/config/detail/wording.hpp"
#include "test_tunnel/config/level.hpp"
#include "test_tunnel/config/per_direction.hpp"
#include "test_tunnel/config/trait_names.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/config/traits.hpp"
#include "test_tunnel/report/report.hpp"

namespace test_tunnel::detail {

/// What there is to say about a trait of a tool: nothing, a note, or a failure.
struct Verdict {
    /// What the tool has shown, by the trait's name.
    NamedTrait shown{};
    /// Something that is no failure.
    std::optional<Note> note{};
    /// Of a failure: what ought to have come, and what came. Both empty where it is none.
    std::string expected{};
    std::string failure{};
};

/// What is declared, in the direction where there is one.
template <typename Value>
const std::optional<Value>& declared_in(const std::optional<Value>& member, Value /*shown*/,
                                        std::optional<Direction> /*direction*/) {
    return member;
}

template <typename Value>
const std::optional<Value>& declared_in(const PerDirection<Value>& member, Value shown,
                                        std::optional<Direction> direction) {
    // Whoever can't say in which direction it was shown is content with either.
    return direction ? member.in(*direction) : member.down == shown ? member.down : member.up;
}

/// The direction that a declaration names; nothing where one declaration is for both.
template <typename Value>
std::optional<Direction> named_direction(const std::optional<Value>& /*member*/,
                                         std::optional<Direction> /*direction*/) {
    return std::nullopt;
}

template <typename Value>
std::optional<Direction> named_direction(const PerDirection<Value>& member,
                                         std::optional<Direction> direction) {
    return member.is_one() ? std::nullopt : direction;
}

/// Judges what the tool has shown, by what `traits` declares and by the row's rule, if there is
/// one: see PairRun::judge. An empty `subject` is the row's. `direction` is where the tool has
/// shown it, if the trait may differ by that.
template <typename Value, typename Member>
Verdict judge(const Trait<Value, Member>& trait, std::type_identity_t<Value> shown,
              const Traits& traits, const Config& config, std::string_view subject,
              std::optional<Direction> direction = {}) {
    const auto& member = traits.*trait.member;
    const auto& declared = declared_in(member, shown, direction);
    const auto& rule = trait.rule;
    const auto said = words_of(shown);
    const auto to_declare = wording(config.dialect, trait, shown, direction);
    subject = subject.empty() ? trait.subject : subject;
    const NamedTrait as_shown{
        direction ? directed_name(trait.name, *direction) : std::string{trait.name},
        std::string{said.name()}};
    if (!declared) {
        if (rule && shown == *rule) {
            return {.shown = as_shown};
        }
        const auto what = fmt::format("{}: {} (undeclared: {})", subject, said.plain, to_declare);
        if (config.level != Level::strict || !rule) {
            return {.shown = as_shown,
                    .note = Note{std::string{trait.name}, what, as_shown, as_shown}};
        }
        return {.shown = as_shown,
                .expected = fmt::format("{}: {}", subject, words_of(*rule).plain),
                .failure = what};
    }
    const auto noted = [&](std::string text) {
        return Verdict{
            .shown = as_shown,
            .note = Note{std::string{trait.name}, std::move(text), std::nullopt, as_shown}};
    };
    const auto declaration =
        wording(config.dialect, trait, *declared, named_direction(member, direction));
    if (shown == *declared) {
        return rule && shown != *rule
                   ? noted(fmt::format("{}: {} (declared: {})", subject, said.plain, declaration))
                   : Verdict{.shown = as_shown};
    }
    // In an enumeration the better ones come first.
    const bool is_better = rule && (shown == *rule || (std::is_enum_v<Value> && shown < *declared));
    if (is_better) {
        return noted(
            fmt::format("{}: {}, better than declared ({})", subject, said.plain, declaration));
    }
    return {.shown = as_shown,
            .expected = fmt::format("{}: {}, as declared ({})", subject, words_of(*declared).plain,
                                    declaration),
            .failure = fmt::format("{} (to be declared as {})", said.plain, to_declare)};
}

} // namespace test_tunnel::detail
