// One way in which faulty_tunnel can behave.
//
// Its modes: announce (the client is first told in a line of text where the tunnel connects from),
// forward (it is told nothing), by-name (as forward, but the target's address is a name),
// associate (SOCKS5 with UDP ASSOCIATE, which relays to any target), first-half and second-half (as
// forward, two of a chain), socks5, socks4 or connect (HTTP); udp carries datagrams, tcp-and-udp
// both; udp-proxy puts a header of the PROXY protocol before each datagram to the server, and
// udp-proxy-both is sent one by its clients, which it passes on; socks5-password and
// connect-password want the user "user" with the password "password". proxy-v1 and proxy-v2 (as
// forward) expect a PROXY header first, and so does proxy-both, which sends one of version 2 to the
// server. socks5-bind serves BIND, too. A client may ask for any target of the same family.
// via-socks5, via-socks4 and via-connect, and those with -password, are as forward, but the target
// is asked for at an upstream proxy, of which FAULTY_TUNNEL_UPSTREAM says where it is: "ADDRESS
// PORT"; so are connect-via-connect, socks5-via-socks5 and socks5-via-connect, of which the first
// word is the handshake with the client, and proxy-v1-via-socks4 and its like, of which it is the
// PROXY header. FAULTY_TUNNEL_PROXY says with which header of the PROXY protocol the server's
// connections begin: true, wrong-port, wrong-address, unknown, garbage, half or silence. On SIGHUP
// it reloads, which means nothing to most; FAULTY_TUNNEL_REPLACES is the number of a process of
// which it takes the place.

#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

struct Behaviour {
    std::string_view name;
    std::string_view kind;  // correct, awkward (but correct), fault, trait (correct tools differ)
    std::string_view modes; // in which it can be had
    std::string_view check; // that is to find it, or to leave it alone
    std::string_view description;
};

inline constexpr std::string_view all = "announce,forward,socks5,connect";
inline constexpr std::string_view plain = "announce,forward";
inline constexpr std::string_view asking = "socks5,connect"; // the client asks for a target
inline constexpr std::string_view reporting = "announce,socks5";
inline constexpr std::string_view socks5 = "socks5";
inline constexpr std::string_view http = "connect";
inline constexpr std::string_view socks = "socks5,socks4";
inline constexpr std::string_view any_protocol = "socks5,connect,socks4";
inline constexpr std::string_view with_password = "socks5-password,connect-password";
inline constexpr std::string_view everything =
    "announce,forward,by-name,chain,socks5,connect,socks4,socks5-password,connect-password,"
    "via-socks5,associate";
inline constexpr std::string_view chain =
    "chain"; // two tunnels, that know each other's ends of streams
inline constexpr std::string_view named = "by-name"; // the tool is told a name
inline constexpr std::string_view by_names = "by-name,socks5,connect,socks4";

/// All of some tables in one.
template <std::size_t... sizes>
constexpr auto joined(const std::array<Behaviour, sizes>&... tables) {
    std::array<Behaviour, (sizes + ...)> result{};
    auto end = result.begin();
    ((end = std::copy(tables.begin(), tables.end(), end)), ...);
    return result;
}
