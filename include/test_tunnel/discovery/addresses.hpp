#pragma once

#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/config/config.hpp"
#include "test_tunnel/net/address.hpp"

namespace test_tunnel {

/// Returns every IPv4 and IPv6 address of the interfaces that are up, sorted, each once; link-local
/// ones with their scope. Throws NoAddresses where there is none, SystemError.
std::vector<Address> get_addresses(const Config& config);

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/discovery/detail/addresses.ipp" // IWYU pragma: export
#endif
