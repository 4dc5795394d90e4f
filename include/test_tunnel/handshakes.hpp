#pragma once

// The client's side of the protocols by which a tool is told where to connect, for `handshake`:
//
//     return socks5_connect(client, svc_listen.listen());
//
// and the PROXY protocol, by which a tool tells the server who its client is. Each is strict: what
// the protocol does not allow is an Unexpected that quotes the bytes, and a refusal in due form a
// HandshakeRefused. Not a byte is read beyond the end of the handshake.
#include "handshakes/http_connect.hpp"   // IWYU pragma: export
#include "handshakes/proxy_protocol.hpp" // IWYU pragma: export
#include "handshakes/refused.hpp"        // IWYU pragma: export
#include "handshakes/socks4.hpp"         // IWYU pragma: export
#include "handshakes/socks5.hpp"         // IWYU pragma: export
