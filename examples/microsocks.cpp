// microsocks: a SOCKS5 server (RFC 1928), asked to connect by address, without authentication.

#include <catch2/catch_test_macros.hpp>
#include <test_tunnel/catch2.hpp>
#include <test_tunnel/test_tunnel.hpp>

using namespace test_tunnel;
using namespace std::string_view_literals;

namespace {

class MicrosocksTunnel : public TestTunnel {
public:
    using TestTunnel::TestTunnel;

    std::string slug() const override { return "microsocks"; }

    Server spawn_server(const AddrPort& proxy_listen, const AddrPort& svc_listen) override {
        const auto listen = proxy_listen.listen();
        return spawn({config().prog, "-i", listen.address.text(), "-p", std::to_string(listen.port),
                      "-b", svc_listen.client().address.text()});
    }

    std::optional<Endpoint> handshake(Socket& client, const AddrPort& svc_listen) override {
        client.write("\x05\x01\x00"sv); // version 5, one method: no authentication (section 3)
        expect_read(client, "\x05\x00"sv, "the method that the tool chose");

        const auto target = svc_listen.listen();
        const bool ipv4 = target.address.family() == Family::ipv4;
        std::string request{"\x05\x01\x00"sv}; // version 5, CONNECT, reserved (section 4)
        request += ipv4 ? '\x01' : '\x04';
        request += target.address.packed();
        request += {static_cast<char>(target.port >> 8), static_cast<char>(target.port & 0xff)};
        client.write(request);

        // Version 5, succeeded, reserved; then where the tool connects from (section 6).
        expect_read(client, "\x05\x00\x00"sv, "the tool's answer to CONNECT");
        if (replies_with_null_address()) {
            expect_read(client, "\x01\0\0\0\0\0\0"sv, "a null IPv4 address and port");
            return std::nullopt;
        }
        expect_read(client, ipv4 ? "\x01"sv : "\x04"sv, "the type of the tool's address");
        const auto address = Address::from_packed(client.read(ipv4 ? 4 : 16));
        const auto port = client.read(2);
        return Endpoint{address,
                        static_cast<std::uint16_t>(static_cast<unsigned char>(port[0]) << 8 |
                                                   static_cast<unsigned char>(port[1]))};
    }

protected:
    /// microsocks answers 0.0.0.0:0, whatever it has done. For a server that tells the truth
    /// (Dante), override this with false: its address is then checked against the connection that
    /// arrives.
    virtual bool replies_with_null_address() const { return true; }
};

} // namespace

TEST_CASE("microsocks connects", "[microsocks]") {
    MicrosocksTunnel{catch2::config_for("microsocks")}.run();
}

int main(int argc, char** argv) {
    return catch2::main(argc, argv);
}
