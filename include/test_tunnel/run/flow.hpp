#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "test_tunnel/net/address.hpp"
#include "test_tunnel/net/datagram_socket.hpp"
#include "test_tunnel/net/socket.hpp"

namespace test_tunnel {

/// What the client's datagrams carry besides what is said to the server: the header of SOCKS5 (RFC
/// 1928, section 7), for instance. A forwarder has none.
class FlowLayer {
public:
    /// What a datagram of the tool's brings to the client.
    struct Content {
        /// What the server has said.
        std::string payload;
        /// Who has said it, as the datagram tells it; nothing where it does not.
        std::optional<Endpoint> sender{};
    };

    FlowLayer() = default;
    FlowLayer(const FlowLayer&) = delete;
    FlowLayer& operator=(const FlowLayer&) = delete;
    virtual ~FlowLayer() = default;

    /// Returns the datagram that has the tool send `payload` to `target`.
    [[nodiscard]] virtual std::string encode(std::string_view payload,
                                             const Endpoint& target) const = 0;

    /// Returns what a datagram of the tool's brings. Throws Unexpected where it is not as it should
    /// be.
    [[nodiscard]] virtual Content decode(std::string_view datagram) const = 0;

    /// Returns by how many bytes `encode` makes a payload for `target` longer.
    [[nodiscard]] virtual std::size_t overhead(const Endpoint& target) const = 0;
};

/// What a client and the server say to each other by datagrams: to UDP what a connection is to TCP.
/// Made by `PairRun::open_flow` or `PairRun::flow`.
struct Flow {
    /// The client's socket, which no other flow has.
    DatagramSocket client;
    /// Where the client sends its datagrams, and from where the answers have to come: where the
    /// tool listens, or the relay that it has named.
    Endpoint relay;
    /// The server that the client means.
    Endpoint target;
    /// From where the server has seen the client's last datagram come; nothing as long as it has
    /// seen none.
    std::optional<Endpoint> source{};
    /// What is around each payload between the client and the tool; null: nothing.
    std::shared_ptr<const FlowLayer> layer{};
    /// The connection of TCP with which the flow lives and ends, where there is one.
    std::optional<Socket> control{};

    /// Has the client send `payload` for the target. Throws SystemError, TimedOut.
    void send(std::string_view payload) { send(payload, target); }
    /// Has the client send `payload` for another target than the flow's own. A forwarder, which is
    /// told no target, sends it to its own.
    void send(std::string_view payload, const Endpoint& to) {
        client.send(layer ? layer->encode(payload, to) : std::string{payload}, relay);
    }

    /// Returns the most that the client can say in one datagram.
    [[nodiscard]] std::size_t largest_payload() const {
        return largest_datagram(relay.address.family()) - (layer ? layer->overhead(target) : 0);
    }
};

} // namespace test_tunnel
