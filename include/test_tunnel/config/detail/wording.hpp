#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/config/detail/trait_words.hpp"
#include "test_tunnel/config/dialect.hpp"
#include "test_tunnel/config/per_direction.hpp"
#include "test_tunnel/config/trait_table.hpp"

// How a text names what its reader may declare or set: here, and nowhere else.

namespace test_tunnel::detail {

/// "half_close.up"
inline std::string directed_name(std::string_view name, Direction direction) {
    return fmt::format("{}.{}", name, text_of(direction));
}

/// "Traits::serves_again", or "--trait serves_again".
inline std::string wording(Dialect dialect, std::string_view trait) {
    return fmt::format("{}{}", dialect == Dialect::cpp ? "Traits::" : "--trait ", trait);
}

/// "Traits::concurrent = false", or "--trait concurrent=false"; of the one direction, where there
/// is one: "Traits::half_close.up = HalfClose::none".
template <typename Value, typename Member>
std::string wording(Dialect dialect, const Trait<Value, Member>& row, Value value,
                    std::optional<Direction> direction = {}) {
    const auto name = direction ? directed_name(row.name, *direction) : std::string{row.name};
    const auto words = words_of(value);
    return dialect == Dialect::cpp ? fmt::format("{} = {}", wording(dialect, name), words.code)
                                   : fmt::format("{}={}", wording(dialect, name), words.name());
}

/// "Config::keep", or "--keep".
inline std::string wording_of_keep(Dialect dialect) {
    return dialect == Dialect::cpp ? "Config::keep" : "--keep";
}

/// "Config::volume", or "--volume".
inline std::string wording_of_volume(Dialect dialect) {
    return dialect == Dialect::cpp ? "Config::volume" : "--volume";
}

/// "Config::known_failures", or "--known-failure".
inline std::string wording_of_known_failures(Dialect dialect) {
    return dialect == Dialect::cpp ? "Config::known_failures" : "--known-failure";
}

/// "TestTunnel::protocol", or "--handshake".
inline std::string wording_of_protocol(Dialect dialect) {
    return dialect == Dialect::cpp ? "TestTunnel::protocol" : "--handshake";
}

/// By what it is said that the tool expects a PROXY header of its clients.
inline std::string wording_of_client_header(Dialect dialect) {
    return dialect == Dialect::cpp ? "TestTunnel::client_header"
                                   : "--handshake proxy-v1 or proxy-v2";
}

/// "TestTunnel::client_tls", or "--client-tls".
inline std::string wording_of_client_tls(Dialect dialect) {
    return dialect == Dialect::cpp ? "TestTunnel::client_tls" : "--client-tls";
}

/// "the authority of tls_client", or "--client-certificate".
inline std::string wording_of_client_certificates(Dialect dialect) {
    return dialect == Dialect::cpp ? "the second argument of tls_client" : "--client-certificate";
}

/// `Traits::accepts = {"a", "b"}`, or `--trait accepts=a,b`.
inline std::string wording_of_accepts(Dialect dialect, const std::vector<std::string>& names) {
    const bool is_cpp = dialect == Dialect::cpp;
    std::string list;
    for (const auto& name : names) {
        list += list.empty() ? "" : is_cpp ? ", " : ",";
        list += is_cpp ? fmt::format("\"{}\"", name) : name;
    }
    return wording(dialect, trait::accepts.name) +
           (is_cpp ? fmt::format(" = {{{}}}", list) : "=" + list);
}

} // namespace test_tunnel::detail
