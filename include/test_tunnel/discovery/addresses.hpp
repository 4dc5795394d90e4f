#pragma once

#include <vector>

#include "../address.hpp"
#include "../config.hpp"
#include "../detail/inline.hpp"

namespace test_tunnel {

/// Every IPv4 and IPv6 address of the interfaces that are up, sorted, each once; link-local ones
/// with their scope. Throws NoAddresses where there is none, SystemError.
std::vector<Address> get_addresses(const Config& config);

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "../detail/impl/addresses.hpp" // IWYU pragma: export
#endif
