#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "test_tunnel/handshakes/proxy_datagram.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/run/flow.hpp"

namespace test_tunnel::detail {

/// The header of the PROXY protocol before each of the client's datagrams. Answers have none.
class ProxyFlowLayer final : public FlowLayer {
public:
    ProxyFlowLayer(Endpoint client, Endpoint tool) : client_{client}, tool_{tool} {}

    [[nodiscard]] std::string encode(std::string_view payload,
                                     const Endpoint& /*target*/) const override {
        return proxy_datagram(client_, tool_, payload);
    }

    [[nodiscard]] Content decode(std::string_view datagram) const override {
        return {std::string{datagram}, std::nullopt};
    }

    [[nodiscard]] std::size_t overhead(const Endpoint& target) const override {
        return encode({}, target).size();
    }

private:
    Endpoint client_;
    Endpoint tool_;
};

} // namespace test_tunnel::detail
