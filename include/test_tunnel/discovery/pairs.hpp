#pragma once

#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/config/config.hpp"
#include "test_tunnel/discovery/addresses.hpp"
#include "test_tunnel/discovery/bind.hpp" // IWYU pragma: export
#include "test_tunnel/discovery/ports.hpp"

namespace test_tunnel {

/// One combination: the harness's client connects to the tool at `proxy_listen`, and the tool
/// connects to the harness's server at `svc_listen`.
struct Pair {
    /// Where the tool listens, and from where the client connects to it.
    AddrPort proxy_listen;
    /// Where the server listens, and from where the tool connects to it.
    AddrPort svc_listen;

    /// Returns "4→6": the family on which the tool listens, and the one on which it connects.
    [[nodiscard]] std::string name() const;

    /// Returns who stands where: "client 192.0.2.1 → tool 127.0.0.1:6374, tool 192.0.2.2 → server
    /// 192.0.2.1:6376", with `separator` for the comma. Throws NoCombinations where one has no
    /// client.
    [[nodiscard]] std::string text(std::string_view separator = ", ") const;
};

/// No limit: `find_pairs` finds out of all addresses who can connect to whom.
inline constexpr std::size_t no_limit = std::numeric_limits<std::size_t>::max();

/// Finds for each address the others of its family that can connect to it, to both of its ports, by
/// connecting and comparing what both ends say of themselves and of each other. An address is its
/// own client only where it is the only one of its family in `ports`; an address without any client
/// is left out. Connections are made one after the other; each takes half a second at most.
///
/// With a `limit` the search of a family stops when so many of its addresses have a client,
/// and that of an address's clients when it has `client_limit` (default: as many).
std::vector<AddrPort> find_pairs(const Config& config, const std::vector<AddrPort>& ports,
                                 std::size_t limit = no_limit,
                                 std::optional<std::size_t> client_limit = std::nullopt);

/// Picks two addresses per family (one, with other ports, where there is only one), one client
/// each, and returns every combination of families with them: 4→4, 4→6, 6→4, 6→6, or what there is
/// of these. Where there is a choice, the four addresses of a combination differ, so that a tool
/// that takes one for the other is caught.
///
/// Every pair has ports of its own: on those of another one an ended connection may remain for a
/// minute (TIME_WAIT), and the same two endpoints can't be connected again before.
/// Throws NoCombinations where `pairs` has no address with a client, and as `find_ports` does.
std::vector<Pair> pick_pairs(const Config& config, const std::vector<AddrPort>& pairs);

/// Returns "4→6" for "4→6" or "4-6", as in `Config::pairs`. Throws InvalidConfig for what names no
/// combination of address families.
std::string parse_pair_name(std::string_view text);

/// Finds all combinations for one run, or those that `config.pairs` selects, as `pick_pairs` does,
/// and logs what was found at `info`. Looks at no more addresses than it takes to find two of each
/// family. Where packets are dropped, it gives up a family after `config.timeouts.connect` or soon
/// after. Throws NoAddresses, NoCombinations, PairsMissing, and as `find_ports` does.
std::vector<Pair> discover_pairs(const Config& config);

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/discovery/detail/pairs.ipp" // IWYU pragma: export
#endif
