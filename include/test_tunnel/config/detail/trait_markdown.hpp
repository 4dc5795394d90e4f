#pragma once

#include <string>
#include <string_view>
#include <type_traits>

#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/config/detail/trait_text.hpp"
#include "test_tunnel/config/detail/trait_words.hpp"
#include "test_tunnel/config/per_direction.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/config/transports.hpp"

namespace test_tunnel::detail {

/// "`HalfClose`: `full`, `timed`, `none`", "`true`, `false`" or "a time, such as 500ms, 30s or
/// 2min".
template <typename Value>
std::string markdown_values() {
    if constexpr (std::is_enum_v<Value> || std::is_same_v<Value, bool>) {
        const auto all = TraitText<Value>::all();
        const auto code = words_of(all.front()).code;
        const auto colons = code.find(':');
        auto result =
            colons == std::string_view::npos ? "" : fmt::format("`{}`: ", code.substr(0, colons));
        std::string_view before;
        for (const Value value : all) {
            result += fmt::format("{}`{}`", before, words_of(value).name());
            before = ", ";
        }
        return result;
    } else {
        return TraitText<Value>::values();
    }
}

template <typename Value, typename Member>
std::string markdown_row(const Trait<Value, Member>& row) {
    constexpr bool is_directed = std::is_same_v<Member, PerDirection<Value>>;
    return fmt::format("| `{}`{} | {} | {} | {} |\n", row.name,
                       is_directed ? " (`.up`, `.down`)" : "", markdown_values<Value>(),
                       row.rule ? fmt::format("`{}`", TraitText<Value>::write(*row.rule))
                                : std::string{row.rule_in_words},
                       row.about);
}

template <typename Value>
std::string markdown_row(const ListTrait<Value>& row) {
    return fmt::format("| `{}` | {} | {} | {} |\n", row.name, markdown_values<Value>(),
                       row.rule_in_words, row.about);
}

/// Whether a row is about datagrams: it has no meaning for a tool that carries none.
constexpr bool is_about_datagrams(std::string_view name) {
    const bool is_size = name == trait::datagram_size.name || name == trait::empty_datagrams.name;
    const bool is_answer =
        name == trait::several_answers.name || name == trait::answers_from_listener.name;
    const bool is_association =
        name == trait::drops_strangers.name || name == trait::ends_associations.name;
    return is_size || is_answer || is_association || name == trait::one_source.name ||
           name == trait::flow_timeout.name;
}

/// Returns the table of all traits in Markdown, for a reader, but for those of datagrams, or of
/// these only: a line for each, in their order.
inline std::string traits_table(Transports of = {.tcp = true}) {
    std::string result =
        "| trait | values | the rule | what it says of a tool |\n"
        "|---|---|---|---|\n";
    trait::for_each([&](const auto& row) {
        result += is_about_datagrams(row.name) == of.udp ? markdown_row(row) : "";
    });
    return result;
}

} // namespace test_tunnel::detail
