// The ways in which faulty_tls_tunnel can treat clients that speak TLS.

#pragma once

#include <array>

#include "behaviour.hpp"

inline constexpr std::string_view tls = "tls";           // clients have to show certificates
inline constexpr std::string_view passed = "tls-passed"; // it only looks at the hello

// One line each, however long.
// clang-format off
inline constexpr auto tls_behaviours = std::to_array<Behaviour>({
    {"tls-none", "correct", tls, "-", "takes TLS off, and nothing is wrong with it"},
    {"tls-one-two", "awkward", tls, "-", "speaks TLS 1.2 only"},
    {"tls-without-tickets", "awkward", tls, "-", "gives no tickets, and resumes no session"},
    {"tls-refuses-by-reset", "awkward", tls, "-", "resets who has no good certificate, without an alert"},
    {"tls-dials-first", "awkward", tls, "-", "connects onwards before it shakes hands, and says nothing there to the server when it refuses"},
    {"tls-slow-handshake", "awkward", tls, "-", "takes 200 ms for a handshake"},
    {"tls-renews-keys", "awkward", tls, "-", "uses new keys after each of its records, and asks for such"},
    {"tls-leaves-with-alert", "awkward", tls, "-", "where TCP ends without close_notify, tells the client so by an alert, and resets the server"},
    {"tls-cut-is-end", "trait", tls, "tls.close", "takes TCP's end without close_notify for the end of the stream"},
    {"tls-without-half-close", "trait", tls, "tls.close", "ends both directions when the client ends its own"},

    {"tls-asks-only", "fault", tls, "tls.client_certificate", "asks for a certificate, and serves who has none"},
    {"tls-any-authority", "fault", tls, "tls.client_certificate", "takes certificates whoever has signed them"},
    {"tls-takes-expired", "fault", tls, "tls.client_certificate", "takes certificates that have expired"},
    {"tls-takes-future", "fault", tls, "tls.client_certificate", "takes certificates that are not valid yet"},
    {"tls-any-purpose", "fault", tls, "tls.client_certificate", "takes certificates that are for servers only"},
    {"tls-any-name", "fault", tls, "tls.client_certificate", "takes certificates for whatever name"},
    {"tls-verifies-late", "fault", tls, "tls.client_certificate", "verifies the client when it has connected onwards, and what has come till then goes on"},
    {"tls-resumes-refused", "fault", tls, "tls.client_certificate", "verifies the client after the handshake, but not where a session is resumed"},
    {"tls-resumes-expired", "fault", tls, "tls.client_certificate", "goes on with a session although the client's certificate has expired since (strict)"},
    {"tls-forgets-to-refuse", "fault", tls, "tls.client_certificate", "leaves who has no good certificate without an answer"},
    {"tls-ends-with-bad", "fault", tls, "tls.client_certificate", "serves nobody any more when three were refused"},

    {"tls-hello-in-one-piece", "fault", tls, "tls.hello", "resets who sends a hello in two pieces"},
    {"tls-hello-below-1500", "fault", tls, "tls.hello", "resets who sends a hello of more than 1,500 bytes"},
    {"tls-hello-in-one-record", "fault", tls, "tls.hello", "resets who sends a hello in two records (strict)"},
    {"tls-hangs-on-long-hello", "fault", tls, "tls.hello", "leaves a hello of more than 1,500 bytes without an answer"},

    {"tls-resets-resumed", "fault", tls, "tls.resumption", "resets who comes again with a session"},
    {"tls-refuses-ticket-twice", "fault", tls, "tls.resumption", "resets who comes with a session for the second time"},
    {"tls-crosses-resumed", "fault", tls, "tls.resumption", "loses the first data of who comes again with a session"},

    {"tls-ends-at-new-keys", "fault", tls, "tls.key_update", "ends the connection when the client uses new keys"},
    {"tls-ends-when-asked-for-keys", "fault", tls, "tls.key_update", "ends the connection when the client asks for new keys"},
    {"tls-loses-at-new-keys", "fault", tls, "tls.key_update", "loses what comes first under new keys"},
    {"tls-ignores-asked-keys", "fault", tls, "tls.key_update", "goes on with its old keys when it is asked for new ones (strict)"},

    {"tls-keeps-when-cut", "fault", tls, "tls.close", "keeps the server's connection when TCP ends without close_notify"},
    {"tls-1-2-keeps-when-cut", "fault", tls, "tls.close", "does so in TLS 1.2"},
    {"tls-spins-when-cut", "fault", tls, "tls.close", "computes without end when TCP ends without close_notify, until the server closes"},
    {"tls-crashes-when-cut", "fault", tls, "tls.close", "crashes when TCP ends without close_notify"},
    {"tls-answers-close-notify-alone", "fault", tls, "tls.close", "loses the answer where TCP's end comes with close_notify (strict)"},

    {"sni-none", "correct", passed, "-", "passes on who asks for proxy.test, and resets others"},
    {"sni-default", "awkward", passed, "-", "passes on others, too, as they are"},
    {"sni-ends-others", "awkward", passed, "-", "ends the connections of others"},
    {"sni-one-record", "correct", passed, "-", "resets who sends a hello in two records, which no client is known for"},
    {"sni-byte-by-byte", "awkward", passed, "-", "reads the hello byte by byte"},
    {"sni-waits-for-a-moment", "correct", passed, "-", "passes on what has come, when the rest of a hello does not come for 50 ms"},

    {"sni-one-piece", "fault", passed, "tls.hello", "looks at what has come first only, and resets who has not said the name there"},
    {"sni-below-1500", "fault", passed, "tls.hello", "resets who sends a hello of more than 1,500 bytes"},
    {"sni-keeps-long-tail", "fault", passed, "tls.hello", "passes on 1,500 bytes of a hello, and loses the rest"},
    {"sni-hangs-on-others", "fault", passed, "tls.invalid", "leaves who asks for nothing without an answer (strict)"},
    {"sni-crashes-on-garbage", "fault", passed, "tls.invalid", "crashes when something comes that is no hello (strict)"},
    {"sni-cuts-others", "fault", passed, "tls.invalid", "passes on others without their first bytes (strict)"},
    {"sni-tells-a-part", "fault", passed, "tls.invalid", "passes on a half of what others say, and then resets them (strict)"},
    {"sni-one-slow-stops-all", "fault", passed, "tls.invalid", "serves nobody while it waits for a hello (strict)"},
    {"tls-hangs-on-garbage", "fault", tls, "tls.invalid", "leaves who sends something else than TLS without an answer (strict)"},
    {"tls-crashes-on-cut-hello", "fault", tls, "tls.invalid", "crashes when a hello is cut short (strict)"},
});
// clang-format on
