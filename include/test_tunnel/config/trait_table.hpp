#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/config/datagram_traits.hpp"
#include "test_tunnel/config/per_direction.hpp"
#include "test_tunnel/config/trait.hpp"
#include "test_tunnel/config/traits.hpp"

/// The table of all traits: `run.judge(trait::half_close, HalfClose::none)`. To add a trait, add a
/// member to Traits, a row here and the row's name to `for_each` below.
namespace test_tunnel::trait {

/// The row of `Traits::binds_source`.
inline constexpr Trait<bool> binds_source{
    .name = "binds_source",
    .member = &Traits::binds_source,
    .about = "connects onwards from the address that it was given (demanded)",
    .subject = "connecting from the address that it was given",
    .rule = true};

/// The row of `Traits::passes_eof`.
inline constexpr DirectedTrait<bool> passes_eof{
    .name = "passes_eof",
    .member = &Traits::passes_eof,
    .about = "tells a side that the other one has closed (demanded)",
    .subject = "the end of a stream is passed on",
    .rule = true};

/// The row of `Traits::half_close`.
inline constexpr DirectedTrait<HalfClose> half_close{
    .name = "half_close",
    .member = &Traits::half_close,
    .about = "what becomes of the other direction when a side ends its own",
    .subject = "half-close",
    .rule = HalfClose::full};

/// The row of `Traits::reset`.
inline constexpr DirectedTrait<ResetShows> reset{
    .name = "reset",
    .member = &Traits::reset,
    .about = "how a side learns that the other one has reset its connection",
    .subject = "a reset",
    .rule = ResetShows::as_reset};

/// The row of `Traits::reports_source`.
inline constexpr Trait<ReportsSource> reports_source{
    .name = "reports_source",
    .member = &Traits::reports_source,
    .about = "which address its handshake reports as the one from which it connects onwards",
    .subject = "the address that the handshake reports",
    .rule = ReportsSource::actual};

/// The row of `Traits::concurrent`.
inline constexpr Trait<bool> concurrent{.name = "concurrent",
                                        .member = &Traits::concurrent,
                                        .about = "serves several connections at once",
                                        .subject = "a second connection while one is open",
                                        .rule = true};

/// The row of `Traits::serves_again`.
inline constexpr Trait<bool> serves_again{
    .name = "serves_again",
    .member = &Traits::serves_again,
    .about = "serves a further connection when the first one has ended",
    .subject = "a further connection when the first one has ended",
    .rule = true};

/// The row of `Traits::speaks_first`.
inline constexpr Trait<bool> speaks_first{
    .name = "speaks_first",
    .member = &Traits::speaks_first,
    .about = "connects onwards only when the client has sent something after the handshake",
    .subject = "connecting only when the client has spoken",
    .rule = false};

/// The row of `Traits::connects_eagerly`.
inline constexpr Trait<bool> connects_eagerly{
    .name = "connects_eagerly",
    .member = &Traits::connects_eagerly,
    .about = "connects onwards for a client that has connected and sent nothing",
    .subject = "it connects to the server when a client has connected and said nothing",
    .rule_in_words = "none"};

/// The row of `Traits::refuses`.
inline constexpr Trait<Refuses> refuses{
    .name = "refuses",
    .member = &Traits::refuses,
    .about = "how the client learns that nobody listens at the target",
    .subject = "nobody listens at the target",
    .rule_in_words = "none"};

/// The row of `Traits::independent_directions`.
inline constexpr DirectedTrait<bool> independent_directions{
    .name = "independent_directions",
    .member = &Traits::independent_directions,
    .about = "one direction goes on while the other one waits for a slow reader",
    .subject = "one direction goes on while the other waits for a slow reader",
    .rule = true};

/// The row of `Traits::no_delay`.
inline constexpr Trait<bool> no_delay{.name = "no_delay",
                                      .member = &Traits::no_delay,
                                      .about = "sends small messages on at once (strict)",
                                      .subject = "small messages are sent on at once",
                                      .rule = true};

/// The row of `Traits::idle_timeout`.
inline constexpr Trait<Duration> idle_timeout{
    .name = "idle_timeout",
    .member = &Traits::idle_timeout,
    .about = "ends a connection that has been silent for this long",
    .rule_in_words = "never"};

/// The row of `Traits::binds_listener`.
inline constexpr Trait<bool> binds_listener{.name = "binds_listener",
                                            .member = &Traits::binds_listener,
                                            .about = "listens only where it was told to",
                                            .subject = "listening only where it was told to",
                                            .rule = true};

/// The row of `Traits::stops_connections`.
inline constexpr Trait<bool> stops_connections{
    .name = "stops_connections",
    .member = &Traits::stops_connections,
    .about = "its open connections end with it on SIGTERM",
    .subject = "on SIGTERM open connections end with the tool",
    .rule = true};

/// The row of `Traits::drains`.
inline constexpr Trait<bool> drains{
    .name = "drains",
    .member = &Traits::drains,
    .about = "what is under way when it gets SIGTERM still arrives (strict)",
    .subject = "what is under way at SIGTERM arrives",
    .rule_in_words = "none"};

/// The row of `Traits::keeps_on_reload`.
inline constexpr Trait<bool> keeps_on_reload{
    .name = "keeps_on_reload",
    .member = &Traits::keeps_on_reload,
    .about = "open connections go on when it reloads (strict)",
    .subject = "open connections go on when the tool reloads",
    .rule = true};

/// The row of `Traits::buffer_size`.
inline constexpr Trait<std::size_t> buffer_size{
    .name = "buffer_size",
    .member = &Traits::buffer_size,
    .about = "takes at most so many bytes that nobody reads",
    .rule = std::size_t{64} << 20U};

/// The row of `Traits::exit_statuses`.
inline constexpr ListTrait<int> exit_statuses{
    .name = "exit_statuses",
    .member = &Traits::exit_statuses,
    .about = "with which statuses it may exit after SIGTERM",
    .rule_in_words = "0, 15 or 143"};

/// The row of `Traits::busy_polls`.
inline constexpr Trait<bool> busy_polls{
    .name = "busy_polls",
    .member = &Traits::busy_polls,
    .about = "keeps a processor busy from its start on, whatever happens",
    .subject = "keeping a processor busy from its start on",
    .rule = false};

/// The row of `Traits::restarts_at_once`.
inline constexpr Trait<bool> restarts_at_once{
    .name = "restarts_at_once",
    .member = &Traits::restarts_at_once,
    .about = "can be started again at once where it has just been (strict)",
    .subject = "a start at once where it has just been",
    .rule = true};

/// The row of `Traits::blocks_on_output`.
inline constexpr Trait<bool> blocks_on_output{
    .name = "blocks_on_output",
    .member = &Traits::blocks_on_output,
    .about = "serves nobody while its outputs are full (strict)",
    .subject = "serving nobody while its outputs are full, since nobody reads them",
    .rule = false};

/// The row of `Traits::keep_alive`.
inline constexpr Trait<bool> keep_alive{
    .name = "keep_alive",
    .member = &Traits::keep_alive,
    .about = "asks the ends of silent connections whether they are still there (strict)",
    .subject = "keep-alive on both connections",
    .rule_in_words = "none"};

/// The row of `Traits::half_death`.
inline constexpr DirectedTrait<ResetShows> half_death{
    .name = "half_death",
    .member = &Traits::half_death,
    .about = "how a side learns that the tool's other half has died (strict)",
    .subject = "the death of the other half in the middle of a stream",
    .rule = ResetShows::as_reset};

/// The row of `Traits::comes_back_within`.
inline constexpr Trait<Duration> comes_back_within{
    .name = "comes_back_within",
    .member = &Traits::comes_back_within,
    .about = "works again so soon when a half of it has been restarted (strict)",
    .rule = std::chrono::seconds{10}};

/// The row of `Traits::resolves_again`.
inline constexpr Trait<bool> resolves_again{
    .name = "resolves_again",
    .member = &Traits::resolves_again,
    .about = "goes to the new address of a name in seconds (strict)",
    .subject = "going to the new address of a name",
    .rule = true};

/// The row of `Traits::tries_addresses`.
inline constexpr Trait<bool> tries_addresses{
    .name = "tries_addresses",
    .member = &Traits::tries_addresses,
    .about = "tries another address of a name where one refuses (strict)",
    .subject = "trying another address of a name where one refuses",
    .rule = true};

/// The row of `Traits::header_in_one_segment`.
inline constexpr Trait<bool> header_in_one_segment{
    .name = "header_in_one_segment",
    .member = &Traits::header_in_one_segment,
    .about = "wants a PROXY header to arrive in one segment (strict)",
    .subject = "wanting a PROXY header in one segment",
    .rule = false};

/// The row of `Traits::longest_header`.
inline constexpr Trait<std::size_t> longest_header{
    .name = "longest_header",
    .member = &Traits::longest_header,
    .about = "takes PROXY headers of at most so many bytes (strict)",
    .rule = std::size_t{4} << 10U};

/// The row of `Traits::requires_header`.
inline constexpr Trait<bool> requires_header{
    .name = "requires_header",
    .member = &Traits::requires_header,
    .about = "serves only clients that send a PROXY header (strict)",
    .subject = "serving only clients that send a PROXY header",
    .rule = true};

/// The row of `Traits::takes_unknown`.
inline constexpr Trait<bool> takes_unknown{
    .name = "takes_unknown",
    .member = &Traits::takes_unknown,
    .about = "serves clients of which a PROXY header says that they are unknown",
    .subject = "serving a client whose PROXY header says UNKNOWN",
    .rule = true};

/// The row of `Traits::passes_client_on`.
inline constexpr Trait<bool> passes_client_on{
    .name = "passes_client_on",
    .member = &Traits::passes_client_on,
    .about = "tells the server the client of which its own PROXY header has told",
    .subject = "telling the server the client of which the PROXY header has told",
    .rule = true};

/// The row of `Traits::takes_pieces`.
inline constexpr Trait<bool> takes_pieces{
    .name = "takes_pieces",
    .member = &Traits::takes_pieces,
    .about = "serves a request that arrives in pieces (strict)",
    .subject = "a request that arrives in pieces is served",
    .rule = true};

/// The row of `Traits::early_data`.
inline constexpr Trait<EarlyData> early_data{
    .name = "early_data",
    .member = &Traits::early_data,
    .about = "what a client may send without waiting for an answer (strict)",
    .subject = "what a client may send without waiting for an answer",
    .rule = EarlyData::with_handshake};

/// The row of `Traits::resolves_names`.
inline constexpr Trait<bool> resolves_names{
    .name = "resolves_names",
    .member = &Traits::resolves_names,
    .about = "can be asked for a target by name (strict)",
    .subject = "a target that is asked for by name is reached",
    .rule = true};

/// The row of `Traits::serves_bind`.
inline constexpr Trait<bool> serves_bind{
    .name = "serves_bind",
    .member = &Traits::serves_bind,
    .about = "lets a client be called by a peer, by SOCKS5's BIND (demanded where declared)",
    .subject = "letting a client be called by a peer (BIND)",
    .rule_in_words = "none"};

/// The row of `Traits::announces_content`.
inline constexpr Trait<bool> announces_content{
    .name = "announces_content",
    .member = &Traits::announces_content,
    .about = "announces a content in its reply of success to CONNECT",
    .subject = "announcing a content (Content-Length, Transfer-Encoding) in a reply of success",
    .rule = false};

/// The row of `Traits::accepts`.
inline constexpr ListTrait<std::string> accepts{
    .name = "accepts",
    .member = &Traits::accepts,
    .about = "which requests it serves although its protocol forbids them",
    .rule_in_words = "none"};

/// Calls `act` with each row, in the order of the members of Traits, of which none may be missing.
template <typename Act>
constexpr void for_each(Act act) {
    act(binds_source);
    act(passes_eof);
    act(half_close);
    act(reset);
    act(reports_source);
    act(concurrent);
    act(serves_again);
    act(speaks_first);
    act(connects_eagerly);
    act(refuses);
    act(independent_directions);
    act(no_delay);
    act(idle_timeout);
    act(binds_listener);
    act(stops_connections);
    act(drains);
    act(keeps_on_reload);
    act(buffer_size);
    act(exit_statuses);
    act(busy_polls);
    act(restarts_at_once);
    act(blocks_on_output);
    act(keep_alive);
    act(datagram_size);
    act(empty_datagrams);
    act(several_answers);
    act(one_source);
    act(answers_from_listener);
    act(flow_timeout);
    act(half_death);
    act(comes_back_within);
    act(resolves_again);
    act(tries_addresses);
    act(header_in_one_segment);
    act(longest_header);
    act(requires_header);
    act(takes_unknown);
    act(passes_client_on);
    act(takes_pieces);
    act(early_data);
    act(resolves_names);
    act(serves_bind);
    act(announces_content);
    act(accepts);
    act(drops_strangers);
    act(ends_associations);
}

} // namespace test_tunnel::trait
