// Every way in which faulty_tunnel can behave, declared here and nowhere else.

#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <string_view>

struct Behaviour {
    std::string_view name;
    std::string_view kind; // correct, awkward (but correct), fault, trait (correct tools differ)
    std::string_view modes;
    std::string_view check; // the check that is to find it
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
    "announce,forward,socks5,connect,socks4,socks5-password,connect-password";

// One line each, however long.
// clang-format off
inline constexpr auto behaviours = std::to_array<Behaviour>({
    {"none", "correct", everything, "-", "nothing is wrong with it"},

    {"slow-start", "awkward", all, "-", "listens 300 ms after its start"},
    {"listens-twice", "awkward", all, "-", "listens anew when the first client has come, or nobody has for 200 ms"},
    {"slow-stop", "awkward", all, "-", "ends 300 ms after SIGTERM"},
    {"single-bytes", "awkward", all, "-", "writes byte by byte (after 64 KiB in pieces of up to 512)"},
    {"noisy", "awkward", all, "-", "writes 1 MiB to stderr for each of its first four pieces of data, then a line for each"},
    {"no-newline", "awkward", all, "-", "says 'ready' on stdout, without a newline"},
    {"slow-child", "awkward", all, "-", "has a child that ignores SIGTERM and ends 200 ms after the start"},
    {"helper", "awkward", all, "-", "has a grandchild, orphaned, that ends 200 ms after the start"},
    {"latency", "awkward", all, "-", "passes everything on 50 ms later, at full throughput"},
    {"random-pieces", "awkward", all, "-", "writes in pieces of 1 to 512 bytes"},
    {"first-byte-alone", "awkward", all, "-", "writes the first byte of each piece on its own"},
    {"tiny-buffer", "awkward", all, "-", "holds 16 bytes in each direction (512 after 64 KiB)"},
    {"big-buffer", "awkward", all, "-", "holds up to 1 MiB in each direction"},
    {"small-socket-buffers", "awkward", all, "-", "has the least socket buffers that the system gives"},
    {"coalesces", "awkward", all, "-", "collects data for 20 ms before it is written"},
    {"late-accept", "awkward", all, "-", "accepts 200 ms after the client has connected (20 ms after ten times)"},
    {"slow-dial", "awkward", all, "-", "connects onwards 200 ms after it has accepted (20 ms after ten times)"},
    {"late-end", "awkward", all, "-", "passes an end of stream on 50 ms later"},
    {"late-reset", "awkward", all, "-", "passes a reset on 50 ms later"},
    {"forks", "awkward", all, "-", "has a process for each connection, that ends with it or with its parent"},
    {"one-thread", "awkward", plain, "-", "serves all connections from one poll loop"},
    {"nagle", "awkward", all, "-", "leaves Nagle's algorithm on"},
    {"keepalive", "awkward", all, "-", "has TCP keep-alive on"},
    {"renames-itself", "awkward", all, "-", "changes the name of its process"},
    {"never-rests", "awkward", "forward", "-", "has a thread that never waits for anything"},
    {"closes-standard-streams", "awkward", all, "-", "closes stdin and stdout, so that its sockets have their numbers"},
    {"reply-in-single-bytes", "awkward", any_protocol, "-", "writes its part of the handshake byte by byte, 1 ms apart"},
    {"late-reply", "awkward", any_protocol, "-", "replies 200 ms after it has connected (20 ms after ten times)"},
    {"glued-reply", "awkward", any_protocol, "-", "holds its reply back for 20 ms, for the first data to come in one piece with it"},
    {"extra-headers", "awkward", http, "-", "adds header lines to its reply"},
    {"odd-reason", "awkward", http, "-", "gives 200 an odd reason phrase"},
    {"http-1.0", "awkward", http, "-", "replies as HTTP/1.0, without a reason phrase"},

    {"other-2xx", "awkward", http, "-", "replies 299 where others reply 200"},
    {"interim-reply", "awkward", http, "-", "replies 103 before it replies 200"},
    {"reply-with-name", "awkward", socks5, "-", "reports its outgoing address by a name"},
    {"mapped-address", "awkward", socks5, "-", "reports IPv4 addresses as IPv6 ones (::ffff:192.0.2.1)"},

    {"wildcard", "trait", all, "address.binding", "listens on all addresses"},
    {"wrong-source", "trait", all, "address.source", "does not bind its outgoing side"},
    {"null-address", "trait", reporting, "address.source", "reports 0.0.0.0:0 as its outgoing address"},
    {"listener-address", "trait", reporting, "address.source", "reports its listening address as its outgoing one"},
    {"destination-address", "trait", reporting, "address.source", "reports the target's address as its outgoing one"},
    {"no-half-close", "trait", all, "close.half.up", "ends both directions when one ends"},
    {"no-half-close-up", "trait", all, "close.half.up", "ends both directions when the client ends its own"},
    {"no-half-close-down", "trait", all, "close.half.down", "ends both directions when the server ends its own"},
    {"timed-half-close", "trait", all, "close.half.up", "ends both directions 0.5 s after one has ended"},
    {"reset-becomes-end", "trait", all, "reset.client.idle", "passes a reset on as an end of stream"},
    {"one-at-a-time", "trait", all, "connections.isolation", "serves a connection when the last has ended"},
    {"serves-once", "trait", all, "hello", "serves one connection, then ends"},
    {"lazy", "trait", plain, "hello", "connects onwards when the client has spoken"},
    {"blocking-relay", "trait", all, "flow.pressure.up", "reads nothing while it can't write, in whichever direction"},
    {"refuses-by-end", "trait", plain, "target.unreachable", "ends the client's connection properly where the target can't be reached"},
    {"retries-target", "trait", all, "target.unreachable", "tries a target that can't be reached for 1 s"},
    {"child-serves-on", "trait", all, "stop.busy", "has a process for each connection, that outlives SIGTERM until the connection ends"},
    {"finishes-connections", "trait", all, "stop.busy", "ends after SIGTERM when its last connection has ended"},
    {"no-address-reuse", "trait", all, "stop.busy", "listens without SO_REUSEADDR"},
    {"status-3-on-sigterm", "trait", all, "stop.idle", "ends with status 3 after SIGTERM"},

    {"needs-whole-messages", "trait", any_protocol, "handshake.cut", "takes what it reads at once for a message of the handshake"},
    {"reads-ahead", "trait", any_protocol, "handshake.early_data", "loses what comes in one piece with a message of the handshake"},
    {"waits-its-turn", "trait", socks5, "handshake.early_data", "loses what comes in one piece with a greeting"},
    {"knows-no-names", "trait", any_protocol, "handshake.name", "connects to addresses only"},
    {"cuts-names-at-nul", "trait", socks5, "handshake.invalid", "takes a NUL for the end of a name"},
    {"needs-no-host", "trait", http, "handshake.invalid", "does without Host"},
    {"takes-urls", "trait", http, "handshake.invalid", "connects where a URL leads"},

    // Start-up
    {"exits", "fault", all, "hello", "ends at once with status 4"},
    {"daemonizes", "fault", all, "hello", "goes into the background"},
    {"crashes-at-start", "fault", all, "hello", "crashes at once"},
    {"bound-but-not-listening", "fault", all, "hello", "binds its port, but does not listen"},
    {"never-listens", "fault", all, "hello", "runs, and does nothing"},
    {"port-in-use", "fault", all, "hello", "complains of a port in use, and ends"},

    // Connection
    {"closes-client", "fault", all, "hello", "closes each connection"},
    {"resets-client", "fault", all, "hello", "resets each connection"},
    {"never-connects", "fault", all, "hello", "does not connect onwards"},
    {"never-speaks", "fault", all, "hello", "does nothing with a connection"},
    {"greets-early", "fault", all, "hello", "greets the client in words of its own"},
    {"floods", "fault", all, "hello", "sends the client data without end"},

    // Handshake
    {"wrong-version", "fault", asking, "hello", "replies with a version that does not exist"},
    {"wrong-method", "fault", socks5, "hello", "chooses a method that was not offered"},
    {"no-blank-line", "fault", http, "hello", "leaves out the blank line after its reply"},
    {"stray-byte-after-reply", "fault", asking, "hello", "adds a byte to its reply"},
    {"replies-twice", "fault", asking, "hello", "sends its reply twice"},
    {"success-then-close", "fault", asking, "hello", "reports success, then closes"},
    {"resets-first-client", "fault", all, "hello", "resets its first connection"},
    {"loses-first-data", "fault", asking, "hello", "loses what the server sends first, up to 50 ms after the reply"},
    {"success-without-connecting", "fault", asking, "target.unreachable", "reports success before it connects (strict)"},
    {"loses-data-after-request", "fault", any_protocol, "handshake.early_data", "loses what the client sends before the reply (strict)"},
    {"dials-early", "fault", asking, "connections.one_to_one", "connects onwards before the handshake (strict)"},
    {"data-before-reply", "fault", any_protocol, "handshake.glued", "passes what the server says within 50 ms on before its reply"},
    {"accepts-any-password", "fault", with_password, "handshake.password", "accepts every user and password"},
    {"accepts-no-password", "fault", with_password, "handshake.password", "serves those who don't offer a password"},
    {"compares-beginnings", "fault", with_password, "handshake.password", "accepts a password that the right one begins with"},
    {"ignores-user", "fault", with_password, "handshake.password", "looks at the password only"},
    {"dials-before-password", "fault", with_password, "handshake.password", "connects onwards before it looks at the password"},
    {"hangs-on-wrong-password", "fault", with_password, "handshake.password", "keeps the client waiting whose password is wrong"},
    {"merges-pieces-wrongly", "fault", any_protocol, "handshake.cut", "loses a byte where a message comes in pieces (strict)"},
    {"crashes-on-pieces", "fault", any_protocol, "handshake.cut", "crashes where a message comes in pieces (strict)"},
    {"mangles-early-data", "fault", any_protocol, "handshake.early_data", "changes what the client sends before the reply (strict)"},
    {"cuts-long-names", "fault", any_protocol, "handshake.name", "cuts names down to 64 bytes (strict)"},
    {"crashes-on-long-names", "fault", any_protocol, "handshake.limits", "crashes on a name of more than 253 bytes (strict)"},
    {"crashes-on-long-passwords", "fault", with_password, "handshake.limits", "crashes on a user and password of 255 bytes each (strict)"},
    {"counts-methods-to-127", "fault", socks5, "handshake.limits", "serves nobody who offers more than 127 methods (strict)"},
    {"hangs-on-long-headers", "fault", http, "handshake.limits", "keeps the client waiting whose header is too long (strict)"},
    {"ignores-version", "fault", socks, "handshake.invalid", "takes every version for its own (strict)"},
    {"ignores-command", "fault", any_protocol, "handshake.invalid", "takes every command for CONNECT (strict)"},
    {"ignores-address-type", "fault", socks5, "handshake.invalid", "connects for address types that do not exist (strict)"},
    {"needs-no-method", "fault", socks5, "handshake.invalid", "takes no authentication for granted, also where it is not offered (strict)"},
    {"wraps-ports", "fault", http, "handshake.invalid", "keeps 16 bits of a port (strict)"},
    {"refuses-out-of-form", "fault", any_protocol, "handshake.invalid", "refuses by a line of text (strict)"},
    {"dials-before-refusing", "fault", any_protocol, "handshake.invalid", "connects onwards before it refuses (strict)"},
    {"hangs-on-nonsense", "fault", any_protocol, "handshake.invalid", "keeps the client waiting whose request is bad (strict)"},
    {"stops-after-nonsense", "fault", any_protocol, "handshake.invalid", "accepts nothing after a bad request (strict)"},
    {"crashes-on-nonsense", "fault", any_protocol, "handshake.invalid", "crashes on a bad request (strict)"},
    {"serves-truncated", "fault", any_protocol, "handshake.truncated", "connects onwards for a request that is cut off (strict)"},
    {"hangs-on-truncated", "fault", any_protocol, "handshake.truncated", "keeps the client waiting whose request is cut off (strict)"},
    {"accepts-bad-requests", "fault", asking, "connections.one_to_one", "connects onwards whatever it was asked (strict)"},

    // Data, seen at once
    {"changes-up", "fault", all, "hello", "changes a bit of each piece from the client"},
    {"changes-down", "fault", all, "hello", "changes a bit of each piece from the server"},
    {"loses-up", "fault", all, "hello", "loses the last byte of each piece from the client"},
    {"loses-down", "fault", all, "hello", "loses the last byte of each piece from the server"},
    {"adds-up", "fault", all, "hello", "adds a byte to each piece from the client"},
    {"adds-down", "fault", all, "hello", "adds a byte to each piece from the server"},
    {"doubles-up", "fault", all, "hello", "doubles each piece from the client"},
    {"reorders-down", "fault", all, "hello", "swaps the first two bytes of each piece from the server"},
    {"stalls-up", "fault", all, "hello", "loses all from the client"},
    {"stalls-down", "fault", all, "hello", "loses all from the server"},
    {"crashes-in-transfer", "fault", all, "hello", "crashes on data from the client"},
    {"exits-in-transfer", "fault", all, "hello", "ends with status 7 on data from the client"},
    {"adds-at-end", "fault", all, "hello", "adds a byte at the end from the client"},
    {"resets-at-end", "fault", all, "hello", "resets the server when the client ends"},
    {"never-ends", "fault", all, "hello", "passes no end of stream on"},
    {"exits-after-transfer", "fault", all, "hello", "ends with status 5 after a connection"},
    {"exits-after-work", "fault", all, "hello", "works on after the second connection, and ends with status 5 then"},
    {"ends-with-worker", "fault", all, "hello", "its worker works on after the second connection and ends, and it ends with status 5 then"},
    {"crashes-after-transfer", "fault", all, "hello", "crashes after a connection"},

    // Data, many
    {"loses-byte-at-64k-up", "fault", all, "data.bulk.up", "loses the last of the first 65,536 bytes from the client"},
    {"ignores-partial-writes", "fault", all, "data.bulk.up", "loses what a write to the server did not take"},
    {"corrupts-late-up", "fault", all, "data.bulk.up", "changes a bit 700,000 bytes from the client on"},
    {"stops-at-64k-down", "fault", all, "data.bulk.down", "passes on 65,536 bytes from the server, and no more"},
    {"repeats-after-partial-write", "fault", all, "data.bulk.down", "writes a piece anew when the client's side took a part"},
    {"full-buffer-is-end", "fault", all, "data.bulk.down", "takes a full buffer of the client's side for an end"},
    {"swaps-blocks-down", "fault", all, "data.bulk.down", "swaps the halves of each piece from the server after 128 KiB"},

    // Data, odd
    {"stops-at-nul", "fault", all, "data.bytes", "cuts pieces at a NUL"},
    {"text-mode", "fault", all, "hello", "makes CR LF of LF"},
    {"loses-carriage-returns", "fault", all, "data.bytes", "makes LF of CR LF"},
    {"strips-eighth-bit", "fault", all, "data.bytes", "clears the highest bit of each byte"},
    {"doubles-0xff", "fault", all, "data.bytes", "doubles 0xFF, as telnet does"},
    {"ends-at-0xff", "fault", all, "data.bytes", "takes 0xFF for EOF, and passes nothing on from there"},
    {"loses-xon-xoff", "fault", all, "data.bytes", "takes 0x11 and 0x13 for flow control"},
    {"formats-percent", "fault", all, "data.bytes", "makes one of two percent signs"},
    {"elides-zeros", "fault", all, "data.bytes", "cuts runs of zeros down to 64"},

    // Data, small, both ways, or none
    {"stops-after-500-turns", "fault", all, "data.ping_pong", "passes nothing on after 500 changes of direction"},
    {"delays-small-pieces", "fault", all, "data.ping_pong", "holds pieces of fewer than 1,460 bytes back for 40 ms (strict)"},
    {"loses-small-pieces", "fault", all, "data.tiny", "loses small pieces from the ninth in a row on"},
    {"mixes-directions", "fault", all, "data.duplex", "sends a piece back once both directions have carried 2 MiB"},
    {"stalls-in-duplex", "fault", all, "data.duplex", "passes nothing on once both directions have carried 4 MiB"},
    {"keep-alive-bytes", "fault", all, "data.extra", "sends the client a NUL after 60 ms of silence"},
    {"probes-server", "fault", all, "data.extra", "sends the server a line after 60 ms of silence"},
    {"announces-timeout", "fault", all, "data.extra", "tells the client of 0.7 s of silence (strict)"},

    // Close
    {"loses-late-answers", "fault", all, "close.half.up", "loses what the server sends 50 ms after the client's end"},
    {"resets-half-closed-up", "fault", all, "close.half.up", "resets both 50 ms after the client's end"},
    {"one-answer-after-end", "fault", all, "close.half.up", "ends both after one piece from the server after the client's end"},
    {"loses-late-requests", "fault", all, "close.half.down", "loses what the client sends 50 ms after the server's end"},
    {"resets-half-closed-down", "fault", all, "close.half.down", "resets both 50 ms after the server's end"},
    {"cuts-echo-at-end", "fault", all, "close.half.bulk", "passes on 256 bytes after the client's end, if it sent more than 64 KiB, then an end"},
    {"loses-tail-up", "fault", all, "close.tail.up", "gives the last data from the client 25 ms, then ends"},
    {"loses-tail-down", "fault", all, "close.tail.down", "gives the last data from the server 25 ms, then ends"},
    {"resets-tail-up", "fault", all, "close.tail.up", "gives the last data from the client 25 ms, then resets"},
    {"resets-tail-down", "fault", all, "close.tail.down", "gives the last data from the server 25 ms, then resets"},

    // Pressure
    {"unbounded-up", "fault", all, "flow.pressure.up", "reads from the client without bound (256 MiB)"},
    {"unbounded-down", "fault", all, "flow.pressure.down", "reads from the server without bound (256 MiB)"},
    {"unbounded-at-times", "fault", all, "flow.pressure.up", "reads without bound, and computes for 60 ms every 8 MiB"},
    {"drops-under-pressure-up", "fault", all, "flow.pressure.up", "drops what a server that has stopped reading does not take"},
    {"drops-under-pressure-down", "fault", all, "flow.pressure.down", "drops what a client that has stopped reading does not take"},
    {"never-resumes-up", "fault", all, "flow.pressure.up", "writes no more to a server that had stopped reading"},
    {"never-resumes-down", "fault", all, "flow.pressure.down", "writes no more to a client that had stopped reading"},

    // Reset
    {"dies-of-early-reset", "fault", all, "reset.client.early", "accepts no more after a client that has reset before it was accepted"},
    {"hides-client-reset", "fault", all, "reset.client.idle", "keeps the server's connection when the client resets"},
    {"stops-after-client-reset", "fault", all, "reset.client.idle", "accepts nothing after a client has reset"},
    {"hides-client-reset-in-bulk", "fault", all, "reset.client.bulk", "the same, after 64 KiB"},
    {"repeats-at-client-reset", "fault", all, "reset.client.bulk", "sends the last piece again when the client resets after 64 KiB"},
    {"dies-of-client-reset", "fault", all, "reset.client.bulk", "is killed by SIGPIPE when the client resets after 64 KiB"},
    {"hides-server-reset", "fault", all, "reset.server.idle", "keeps the client's connection when the server resets"},
    {"stops-after-server-reset", "fault", all, "reset.server.idle", "connects onwards no more after a server has reset"},
    {"hides-server-reset-in-bulk", "fault", all, "reset.server.bulk", "the same as hides-server-reset, after 64 KiB"},
    {"pads-at-server-reset", "fault", all, "reset.server.bulk", "sends zeros when the server resets after 64 KiB"},
    {"dies-of-server-reset", "fault", all, "reset.server.bulk", "is killed by SIGPIPE when the server resets after 64 KiB"},

    // Several connections
    {"crosses-connections", "fault", all, "connections.isolation", "sends data of one client as another's, with five or more"},
    {"shares-buffer", "fault", all, "connections.isolation", "has one buffer for all connections, with five or more"},
    {"one-of-burst", "fault", all, "connections.burst", "serves one connection where several wait, and forgets the others"},
    {"four-at-most", "fault", all, "connections.isolation", "closes the fifth connection at once"},
    {"one-stalled-stalls-all", "fault", all, "connections.stalled", "carries nothing while another connection is blocked"},
    {"one-stalled-resets-all", "fault", all, "connections.stalled", "resets all others when a connection is blocked"},
    {"one-reset-ends-all", "fault", all, "connections.reset", "ends all connections when one is reset"},
    {"crashes-on-reset-of-two", "fault", all, "connections.reset", "crashes when one of several is reset"},
    {"dials-ahead", "fault", all, "hello", "keeps a connection to the target in store"},
    {"stops-after-60", "fault", all, "connections.reuse", "accepts nothing after 60 connections that were alone"},
    {"every-fiftieth-fails", "fault", all, "connections.reuse", "resets each fiftieth connection that is alone"},
    {"leaks-descriptors", "fault", all, "connections.reuse", "leaves a descriptor open for each connection (strict)"},
    {"leaks-threads", "fault", all, "connections.reuse", "leaves a thread for each connection (strict)"},
    {"leaves-zombies", "fault", all, "connections.reuse", "leaves a zombie for each connection (strict)"},
    {"waits-for-silent", "fault", plain, "connections.silent", "carries nothing while four earlier connections are silent"},
    {"limits-silent", "fault", asking, "connections.silent", "accepts nothing while eight clients have not asked"},

    // Address
    {"forgets-source", "fault", all, "address.source", "does not bind its outgoing side from the third connection on"},
    {"listen-source", "fault", all, "hello", "connects onwards from its listening address"},
    {"lying-address", "fault", reporting, "hello", "reports an address of the documentation's"},
    {"lying-port", "fault", reporting, "hello", "reports the next port"},
    {"second-port", "fault", all, "address.binding", "listens on a second port (strict)"},

    // Target
    {"hangs-when-unreachable", "fault", all, "target.unreachable", "keeps the client waiting where the target can't be reached"},
    {"dies-when-unreachable", "fault", all, "target.unreachable", "ends with status 6 where the target can't be reached"},
    {"refuses-ever-after", "fault", all, "target.unreachable", "connects onwards no more once the target could not be reached"},
    {"hangs-when-target-resets", "fault", all, "target.resets", "keeps the client where the server resets before any data"},
    {"dies-when-target-resets", "fault", all, "target.resets", "crashes where the server resets before any data"},
    {"loses-early-data", "fault", all, "target.late", "loses what the client sends while connecting takes 50 ms or more (strict)"},
    {"impatient-dial", "fault", all, "target.late", "gives up where connecting takes 100 ms (strict)"},
    {"closes-when-target-silent", "fault", all, "target.silent", "ends both where the server has not spoken, and the client is silent for 150 ms"},

    // Silence
    {"closes-when-idle", "fault", all, "idle", "ends both after 0.2 s of silence"},
    {"loses-after-idle", "fault", all, "idle", "loses the first piece after 0.2 s of silence"},
    {"minute-timeout", "fault", all, "idle", "ends both after 60 s of silence (strict)"},

    // Stop
    {"leaves-child", "fault", all, "stop.idle", "leaves a child that ignores SIGTERM"},
    {"child-keeps-port", "fault", all, "stop.idle", "leaves a child that holds its port"},
    {"alarms", "fault", all, "stop.idle", "prints what a sanitizer does"},
    {"ignores-sigterm", "fault", all, "stop.idle", "ignores SIGTERM"},
    {"crashes-on-sigterm", "fault", all, "stop.idle", "crashes on SIGTERM"},
    {"ignores-sigterm-when-busy", "fault", all, "stop.busy", "ignores SIGTERM while a connection is open"},
    {"crashes-when-stopped-busy", "fault", all, "stop.busy", "crashes on SIGTERM while a connection is open"},
    {"leaves-port-when-busy", "fault", all, "stop.busy", "leaves a child that holds its port, if a connection is open on SIGTERM"},
});
// clang-format on

/// A behaviour by its name: one that is not declared above does not compile.
class Name {
public:
    // NOLINTNEXTLINE(google-explicit-constructor): so that a plain string will do
    consteval Name(const char* name) {
        const std::string_view wanted{name};
        while (behaviours.at(index_).name != wanted) {
            ++index_; // a name that is not there ends in an exception, which can't be compiled
        }
    }

    [[nodiscard]] constexpr std::size_t index() const { return index_; }

private:
    std::size_t index_ = 0;
};

/// Set once, before there is a second thread.
inline std::size_t chosen_behaviour = 0;

inline bool is(Name name) {
    return name.index() == chosen_behaviour;
}

inline bool has_mode(const Behaviour& behaviour, std::string_view mode) {
    for (auto modes = behaviour.modes; !modes.empty();) {
        const auto end = std::min(modes.find(','), modes.size());
        if (modes.substr(0, end) == mode) {
            return true;
        }
        modes.remove_prefix(std::min(end + 1, modes.size()));
    }
    return false;
}

/// Whether a behaviour of this name can be had in this mode; it is chosen by that.
inline bool choose(std::string_view name, std::string_view mode) {
    for (std::size_t index = 0; index < behaviours.size(); ++index) {
        const auto& behaviour = behaviours.at(index);
        if (behaviour.name == name) {
            chosen_behaviour = index;
            return has_mode(behaviour, mode);
        }
    }
    return false;
}

inline void list_behaviours() {
    const auto print = [](std::string_view text, char separator) {
        std::fwrite(text.data(), 1, text.size(), stdout);
        std::putchar(separator);
    };
    for (const auto& behaviour : behaviours) {
        print(behaviour.name, '\t');
        print(behaviour.kind, '\t');
        print(behaviour.modes, '\t');
        print(behaviour.check, '\t');
        print(behaviour.description, '\n');
    }
}
