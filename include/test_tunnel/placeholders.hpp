#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "address.hpp"
#include "detail/nearest.hpp"
#include "detail/text.hpp"
#include "discovery/pairs.hpp"
#include "error.hpp"

namespace test_tunnel {

/// Names and what they stand for in the command line or the configuration file of a tool:
/// "{listen.port}" becomes "6374".
///
/// A placeholder is a word between braces: letters, digits, '.', '_' and '-', the first one a
/// letter, blanks around it being a mistake. All other braces stay as they are, as JSON and most
/// configuration files need them; "{{" before a word is a brace that is meant as one: "{{print}"
/// becomes "{print}".
class Placeholders {
public:
    /// Sets one, or sets it anew.
    void set(std::string name, std::string value) {
        const auto known = std::find_if(values_.begin(), values_.end(),
                                        [&](const auto& entry) { return entry.first == name; });
        if (known == values_.end()) {
            values_.emplace_back(std::move(name), std::move(value));
        } else {
            known->second = std::move(value);
        }
    }

    /// Sets NAME.address ("::1"), NAME.bracketed ("[::1]"), NAME.port, NAME.endpoint
    /// ("[::1]:6374") and NAME.family ('4' or '6').
    void set(const std::string& name, const Endpoint& endpoint) {
        set(name + ".address", endpoint.address.text());
        set(name + ".bracketed", endpoint.address.bracketed());
        set(name + ".port", std::to_string(endpoint.port));
        set(name + ".endpoint", endpoint.text());
        set(name + ".family", std::string{family_id(endpoint.address.family())});
    }

    /// In the order in which they were set.
    [[nodiscard]] std::vector<std::string> names() const {
        std::vector<std::string> result;
        result.reserve(values_.size());
        for (const auto& [name, value] : values_) {
            result.push_back(name);
        }
        return result;
    }

    /// `text` with all placeholders replaced; what they stand for is not looked at again. Throws
    /// InvalidConfig, which names the nearest and lists all, for one that is not known.
    [[nodiscard]] std::string render(std::string_view text) const;

private:
    [[nodiscard]] const std::string* find(std::string_view name) const {
        const auto known = std::find_if(values_.begin(), values_.end(),
                                        [&](const auto& entry) { return entry.first == name; });
        return known == values_.end() ? nullptr : &known->second;
    }

    std::vector<std::pair<std::string, std::string>> values_;
};

/// The placeholders for one pair: `listen` is where the tool shall listen, `target` where it shall
/// connect, `source` from where (its port is a free one; to connect from it is not asked for),
/// `client` from where its client comes. `inner` is where the two halves of a tool may meet: an
/// address of this machine and a port that nobody else has.
inline Placeholders placeholders_of(const AddrPort& proxy_listen, const AddrPort& svc_listen) {
    Placeholders result;
    result.set("listen", proxy_listen.listen());
    result.set("target", svc_listen.listen());
    result.set("source", svc_listen.client());
    result.set("client", proxy_listen.client());
    result.set("inner", svc_listen.client());
    return result;
}

namespace detail {

/// The length of the word at the beginning of `text` that may be a placeholder's name.
inline std::size_t placeholder_length(std::string_view text) {
    const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    const auto is_other = [](char c) {
        return (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
    };
    const auto end = std::find_if_not(text.begin(), text.end(),
                                      [&](char c) { return is_letter(c) || is_other(c); });
    return text.empty() || !is_letter(text.front()) ? 0
                                                    : static_cast<std::size_t>(end - text.begin());
}

} // namespace detail

inline std::string Placeholders::render(std::string_view text) const {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '{') {
            result += text[i];
            continue;
        }
        const bool is_doubled = text.substr(i).starts_with("{{");
        auto inside = text.substr(i + (is_doubled ? 2 : 1));
        const auto blanks = inside.find_first_not_of(' ');
        inside.remove_prefix(std::min(blanks, inside.size()));
        const auto name = inside.substr(0, detail::placeholder_length(inside));
        const auto behind = inside.substr(name.size());
        const auto* const value = find(name);
        if (value != nullptr && (is_doubled || blanks != 0 || !behind.starts_with('}'))) {
            throw InvalidConfig{fmt::format(
                "a placeholder is written {{{}}}, not '{}'", name,
                detail::escape_controls(text.substr(
                    i, static_cast<std::size_t>(behind.data() + 1 - text.data()) - i)))};
        }
        if (name.empty() || blanks != 0 || !behind.starts_with('}')) {
            result += '{';
        } else if (is_doubled) {
            result += '{';
            ++i;
        } else if (value == nullptr) {
            auto all = names();
            for (auto& known : all) {
                known = fmt::format("{{{}}}", known);
            }
            const auto word = fmt::format("{{{}}}", name);
            throw InvalidConfig{
                fmt::format("{} is no placeholder{}", word, detail::suggestion(word, all))};
        } else {
            result += *value;
            i += name.size() + 1;
        }
    }
    return result;
}

} // namespace test_tunnel
