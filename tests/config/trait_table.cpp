// The table of traits: from one row come the parser, the printer and the words for a reader.

#include <test_tunnel/config/trait_table.hpp>

#include <test_tunnel/config/detail/trait_count.hpp>
#include <test_tunnel/config/detail/trait_markdown.hpp>
#include <test_tunnel/config/detail/trait_text.hpp>
#include <test_tunnel/config/trait_names.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

using namespace test_tunnel;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

namespace {

template <typename Value>
constexpr bool is_choice = std::is_enum_v<Value> || std::is_same_v<Value, bool>;

/// Calls `act` with each row whose trait has few values.
template <typename Act>
void for_each_choice(Act act) {
    trait::for_each([&]<typename Row>(const Row& row) {
        if constexpr (requires { row.rule; }) {
            if constexpr (is_choice<typename decltype(row.rule)::value_type>) {
                act(row);
            }
        }
    });
}

template <typename Value, typename Member>
std::vector<Value> values_of(const Trait<Value, Member>& /*row*/) {
    return detail::TraitText<Value>::all();
}

} // namespace

TEST_CASE("rows stand in the order of the members, each with a name of its own", "[trait_table]") {
    const Traits traits;
    std::set<std::string_view> names;
    const std::byte* last = nullptr;
    trait::for_each([&](const auto& row) {
        INFO(row.name);
        CHECK(names.insert(row.name).second);
        const auto* const member = reinterpret_cast<const std::byte*>(&(traits.*row.member));
        CHECK((last == nullptr || last < member));
        last = member;
    });
    const auto listed = trait_names();
    std::set<std::string> all_listed;
    for (const auto& each : listed) {
        all_listed.insert(each.name.substr(0, each.name.find('.')));
    }
    CHECK(names.size() == all_listed.size());
    CHECK(names.count(listed.back().name) == 1);
}

TEST_CASE("each row has words for a reader", "[trait_table]") {
    trait::for_each([](const auto& row) {
        INFO(row.name);
        CHECK_FALSE(row.about.empty());
        CHECK_FALSE(row.about.ends_with('.'));
        if constexpr (requires { row.rule; }) {
            CHECK(row.rule.has_value() == row.rule_in_words.empty());
        } else {
            CHECK_FALSE(row.rule_in_words.empty());
        }
    });
    for_each_choice([](const auto& row) {
        INFO(row.name);
        CHECK_FALSE(row.subject.empty());
    });
}

TEST_CASE("each value of a trait has a name and words of its own", "[trait_table]") {
    for_each_choice([](const auto& row) {
        INFO(row.name);
        std::set<std::string_view> names;
        std::set<std::string_view> words;
        for (const auto value : values_of(row)) {
            names.insert(detail::words_of(value).name());
            words.insert(detail::words_of(value).plain);
        }
        CHECK(names.size() == values_of(row).size());
        CHECK(words.size() == names.size());
        CHECK_FALSE(names.contains(""));
        CHECK_FALSE(words.contains(""));
    });
}

TEST_CASE("each value of a trait is read as it is written", "[trait_table]") {
    for_each_choice([](const auto& row) {
        INFO(row.name);
        using Value = typename std::remove_cvref_t<decltype(row.rule)>::value_type;
        for (const Value value : values_of(row)) {
            Traits traits;
            traits.*row.member = value;
            const auto declared = declared_traits(traits);
            Traits again;
            again.*row.member = std::nullopt;
            declare(again, row.name, detail::TraitText<decltype(value)>::write(value));
            CHECK(again.*row.member == value);
            // What is the default already needs no declaration.
            CHECK(declared.size() == (Traits{}.*row.member == value ? 0 : 1));
            for (const auto& each : declared) {
                CHECK(each.name == row.name);
            }
        }
    });
}

TEST_CASE("the values of a trait are those of its type, in their order", "[trait_table]") {
    CHECK(values_of(trait::half_close) ==
          std::vector{HalfClose::full, HalfClose::timed, HalfClose::none});
    CHECK(values_of(trait::reports_source).size() == 4);
    CHECK(values_of(trait::concurrent) == std::vector{true, false});
}

TEST_CASE("a rule may be another one for one tool", "[trait_table]") {
    constexpr auto row = trait::refuses.with_rule(Refuses::in_handshake);
    CHECK(row.rule == Refuses::in_handshake);
    CHECK(row.name == trait::refuses.name);
    CHECK(row.member == trait::refuses.member);
    CHECK_FALSE(trait::refuses.rule.has_value());
}

TEST_CASE("the table of traits has a line for each", "[trait_table]") {
    const auto table = detail::traits_table();
    CHECK_THAT(table, StartsWith("| trait | values | the rule | what it says of a tool |\n"
                                 "|---|---|---|---|\n"
                                 "| `binds_source` | `true`, `false` | `true` | "));
    CHECK_THAT(table,
               ContainsSubstring(
                   "| `half_close` (`.up`, `.down`) | `HalfClose`: `full`, `timed`, `none` | "
                   "`full` | what becomes "));
    CHECK_THAT(table, ContainsSubstring("| `buffer_size` | a number of bytes, such as 4096, 512KiB "
                                        "or 8MiB | `64MiB` | "));
    CHECK_THAT(table, ContainsSubstring("| `exit_statuses` | numbers from 0 to 255 with commas "
                                        "between, such as 0,15 | 0, 15 or 143 | "));
    const auto datagrams = detail::traits_table({.udp = true});
    const auto lines = [](const std::string& text) {
        return std::count(text.begin(), text.end(), '\n');
    };
    CHECK(lines(table) + lines(datagrams) ==
          static_cast<std::ptrdiff_t>(detail::count_of_rows() + 2 + 2));
}
