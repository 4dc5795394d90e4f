#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/escape.hpp"
#include "test_tunnel/base/detail/suggestion.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/discovery/pairs.hpp"
#include "test_tunnel/net/address.hpp"

namespace test_tunnel {

/// Names and what they stand for in the command line or the configuration file of a tool:
/// "{listen.port}" becomes "6374".
///
/// A placeholder is a word between braces: a letter, then letters, digits, '.', '_' and '-'. Blanks
/// between the braces are a mistake. All other braces stay as they are, since JSON and many
/// configuration files have them. "{{" before a word is written for a single brace: "{{print}"
/// becomes "{print}".
///
/// "{listen.4=TEXT}" becomes TEXT where {listen.family} is 4, and nothing where it is 6;
/// "{listen.6=TEXT}" is for the other family. TEXT goes to the brace that closes this one, and may
/// have placeholders.
class Placeholders {
public:
    /// Sets what `name` stands for, whether it was set before or not.
    void set(std::string name, std::string value) {
        put(values_, std::move(name), std::move(value));
    }

    /// Sets five placeholders for an endpoint: NAME.address ("::1"), NAME.bracketed ("[::1]"),
    /// NAME.port, NAME.endpoint ("[::1]:6374") and NAME.family ('4' or '6'), and the texts
    /// NAME.4=TEXT and NAME.6=TEXT that depend on its family.
    void set(const std::string& name, const Endpoint& endpoint) {
        set(name + ".address", endpoint.address.text());
        set(name + ".bracketed", endpoint.address.bracketed());
        set(name + ".port", std::to_string(endpoint.port));
        set(name + ".endpoint", endpoint.text());
        set_family(name, endpoint.address.family());
    }

    /// Sets the placeholders for an address that has no port: NAME.address, NAME.bracketed,
    /// NAME.family, NAME.4=TEXT and NAME.6=TEXT.
    void set(const std::string& name, const Address& address) {
        set(name + ".address", address.text());
        set(name + ".bracketed", address.bracketed());
        set_family(name, address.family());
    }

    /// Has `render` throw InvalidConfig, with this reason, where `name` is used.
    void refuse(std::string name, std::string reason) {
        put(refused_, std::move(name), std::move(reason));
    }

    /// Returns the names that `set` was given, in the order in which they were set first.
    [[nodiscard]] std::vector<std::string> names() const { return names_of(values_); }

    /// Returns `text` with all placeholders replaced. A placeholder in what one stands for is not
    /// replaced. Throws InvalidConfig, which lists all and names the nearest, for an unknown one.
    [[nodiscard]] std::string render(std::string_view text) const;

    /// Returns the words of a command line, each of them rendered. A word of which nothing remains
    /// is left out: it is for the other family. Throws as `render` does.
    [[nodiscard]] std::vector<std::string> render(const std::vector<std::string>& words) const {
        std::vector<std::string> result;
        result.reserve(words.size());
        for (const auto& word : words) {
            if (auto rendered = render(std::string_view{word}); word.empty() || !rendered.empty()) {
                result.push_back(std::move(rendered));
            }
        }
        return result;
    }

private:
    using Entries = std::vector<std::pair<std::string, std::string>>;

    static void put(Entries& entries, std::string name, std::string value) {
        const auto known = std::find_if(entries.begin(), entries.end(),
                                        [&](const auto& entry) { return entry.first == name; });
        if (known == entries.end()) {
            entries.emplace_back(std::move(name), std::move(value));
        } else {
            known->second = std::move(value);
        }
    }

    /// Returns what stands there under this name; null where there is none.
    [[nodiscard]] static const std::string* find(const Entries& entries, std::string_view name) {
        const auto known = std::find_if(entries.begin(), entries.end(),
                                        [&](const auto& entry) { return entry.first == name; });
        return known == entries.end() ? nullptr : &known->second;
    }

    [[nodiscard]] static std::vector<std::string> names_of(const Entries& entries) {
        std::vector<std::string> result;
        result.reserve(entries.size());
        for (const auto& [name, value] : entries) {
            result.push_back(name);
        }
        return result;
    }

    void set_family(const std::string& name, Family family) {
        set(name + ".family", std::string{family_id(family)});
        for (const char other : {'4', '6'}) {
            put(texts_, fmt::format("{}.{}", name, other), other == family_id(family) ? "yes" : "");
        }
    }

    /// Throws InvalidConfig: `name` is no placeholder, or may not be used.
    [[noreturn]] void refuse_word(std::string_view name) const;
    /// Throws InvalidConfig where `name` was meant for one of `texts_`.
    void require_no_misspelt_text(std::string_view name) const;

    Entries values_;
    /// The names of texts that depend on a family, each with a value where that family is used.
    Entries texts_;
    Entries refused_;
};

/// Returns the placeholders for one pair. `listen` is where the tool shall listen, `target` where
/// it shall connect, and `source` the address that it shall connect from, with a port that is free
/// but need not be used. `client` is the address from which its client connects, each time from
/// another port. `inner` is where the two halves of a tool may meet: an endpoint of this machine,
/// of the family of `source`, that nobody else has. It is that of `source`: a tool that binds both
/// needs another one (CommandTunnel has two). `upstream` is where the tool's upstream proxy
/// listens, if it has one.
inline Placeholders placeholders_of(const AddrPort& proxy_listen, const AddrPort& svc_listen) {
    Placeholders result;
    result.set("listen", proxy_listen.listen());
    result.set("target", svc_listen.listen());
    result.set("source", svc_listen.client());
    result.set("client", proxy_listen.client().address);
    for (const auto* const name : {"client.port", "client.endpoint"}) {
        result.refuse(name,
                      "each connection of the client comes from another port, which is not "
                      "free for the tool; {inner.port} is");
    }
    result.set("inner", svc_listen.client());
    if (svc_listen.upstream) {
        result.set("upstream", *svc_listen.upstream);
        return result;
    }
    for (const auto* const name :
         {"upstream.address", "upstream.bracketed", "upstream.port", "upstream.endpoint",
          "upstream.family", "upstream.user", "upstream.password"}) {
        result.refuse(name, "nothing says by which handshake the tool asks its upstream proxy");
    }
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

/// The length of `text` up to the brace that closes one that was opened before it; nothing where
/// there is none.
inline std::optional<std::size_t> length_to_closing_brace(std::string_view text) {
    std::size_t open = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '{') {
            ++open;
        } else if (text[i] == '}' && open-- == 0) {
            return i;
        }
    }
    return std::nullopt;
}

/// Whether `text` has the placeholder {name}.
inline bool has_placeholder(std::string_view text, std::string_view name) {
    return text.find(fmt::format("{{{}}}", name)) != std::string_view::npos;
}

} // namespace detail

inline void Placeholders::refuse_word(std::string_view name) const {
    const auto word = fmt::format("{{{}}}", name);
    if (const auto* const reason = find(refused_, name)) {
        throw InvalidConfig{fmt::format("{} can't be used: {}", word, *reason)};
    }
    if (find(texts_, name) != nullptr) {
        throw InvalidConfig{fmt::format(
            "{} is written {{{}=TEXT}}, which is TEXT for this family and nothing for the other",
            word, name)};
    }
    auto all = names();
    for (auto& known : all) {
        known = fmt::format("{{{}}}", known);
    }
    throw InvalidConfig{fmt::format("{} is no placeholder{}", word, detail::suggestion(word, all))};
}

inline void Placeholders::require_no_misspelt_text(std::string_view name) const {
    if (const auto meant = detail::nearest(name, names_of(texts_)); !meant.empty()) {
        throw InvalidConfig{
            fmt::format("{{{}=TEXT}} is no placeholder; did you mean {{{}=TEXT}}?", name, meant)};
    }
}

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
        const auto shown = [&] { // as it was written, with one character more
            const auto end = static_cast<std::size_t>(behind.data() + 1 - text.data());
            return detail::escape_controls(text.substr(i, end - i));
        };
        if (find(values_, name) != nullptr &&
            (is_doubled || blanks != 0 || !behind.starts_with('}'))) {
            throw InvalidConfig{
                fmt::format("a placeholder is written {{{}}}, not '{}'", name, shown())};
        }
        const auto* const is_used = behind.starts_with('=') ? find(texts_, name) : nullptr;
        if (is_used != nullptr && blanks != 0) {
            throw InvalidConfig{
                fmt::format("a placeholder is written {{{}=TEXT}}, not '{}'", name, shown())};
        }
        if (name.empty() || blanks != 0) {
            result += '{';
        } else if (is_doubled && (behind.starts_with('}') || is_used != nullptr)) {
            result += '{';
            ++i;
        } else if (is_used != nullptr) {
            const auto length = detail::length_to_closing_brace(behind);
            if (!length) {
                throw InvalidConfig{fmt::format("'{}' has no closing brace",
                                                detail::escape_controls(text.substr(i)))};
            }
            result += is_used->empty() ? "" : render(behind.substr(1, *length - 1));
            i += 1 + name.size() + *length;
        } else if (!behind.starts_with('}')) {
            if (behind.starts_with('=') && (name.ends_with(".4") || name.ends_with(".6"))) {
                require_no_misspelt_text(name);
            }
            result += '{';
        } else if (const auto* const value = find(values_, name)) {
            result += *value;
            i += name.size() + 1;
        } else {
            refuse_word(name);
        }
    }
    return result;
}

} // namespace test_tunnel
