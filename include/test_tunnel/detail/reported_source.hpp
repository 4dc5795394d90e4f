#pragma once

#include <optional>

#include "../address.hpp"
#include "../traits.hpp"

namespace test_tunnel::detail {

/// What a tool that connects from `source` to `target`, and listens at `listen`, means by the
/// endpoint that its handshake reports; nothing where it is none of them: a lie.
inline std::optional<ReportsSource> reported_source(const Endpoint& reported,
                                                    const Endpoint& source, const Endpoint& target,
                                                    const Endpoint& listen) {
    // A port of 0 says that the port is not told.
    const auto means = [&](const Endpoint& endpoint) {
        return reported.address == endpoint.address &&
               (reported.port == endpoint.port || reported.port == 0);
    };
    if (means(source)) {
        return ReportsSource::actual;
    }
    if (reported.address.is_unspecified()) {
        return ReportsSource::null;
    }
    if (means(target)) {
        return ReportsSource::destination;
    }
    if (means(listen)) {
        return ReportsSource::listener;
    }
    return std::nullopt;
}

} // namespace test_tunnel::detail
