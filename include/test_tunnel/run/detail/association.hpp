#pragma once

// A flow that a SOCKS5 server relays: UDP ASSOCIATE (RFC 1928 §6 and 7) below the checks.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/handshakes/socks5_udp.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/run/flow.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::detail {

/// The header of SOCKS5 before each datagram. The target is named by its address or, where the
/// server is to be asked so, by a name.
class Socks5FlowLayer final : public FlowLayer {
public:
    explicit Socks5FlowLayer(Endpoint target, std::optional<std::string> name = std::nullopt)
        : target_{target}, name_{std::move(name)} {}

    [[nodiscard]] std::string encode(std::string_view payload,
                                     const Endpoint& target) const override {
        return socks5_datagram(target, payload, target == target_ ? name_ : std::nullopt);
    }

    [[nodiscard]] Content decode(std::string_view datagram) const override {
        auto read = read_socks5_datagram(datagram);
        if (read.fragment != 0) {
            throw Unexpected{
                "a whole datagram, with 0x00 as the number of its fragment (RFC 1928 §7)",
                bytes_around(datagram, Socks5Header::fragment)};
        }
        if (read.name) {
            return {std::move(read.data), std::nullopt};
        }
        // The scope of a link-local address is not carried.
        const bool is_target = read.endpoint.address.packed() == target_.address.packed() &&
                               read.endpoint.port == target_.port;
        return {std::move(read.data), is_target ? target_ : read.endpoint};
    }

    [[nodiscard]] std::size_t overhead(const Endpoint& target) const override {
        return encode({}, target).size();
    }

private:
    Endpoint target_;
    std::optional<std::string> name_;
};

/// What a client tells the server of where its datagrams will come from.
enum class ToldClient {
    /// Its true address and port.
    endpoint,
    /// Zeros: it does not know that itself.
    nothing
};

/// Makes the client's end of a flow: a connection to the tool, by which it is asked for an
/// association. Throws as `PairRun::open_flow` does.
Flow open_association(PairRun& run, const Socks5Options& options,
                      ToldClient told = ToldClient::endpoint);

} // namespace test_tunnel::detail

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/run/detail/association.ipp" // IWYU pragma: export
#endif
