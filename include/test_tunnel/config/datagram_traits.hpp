#pragma once

#include <cstddef>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/config/trait.hpp"
#include "test_tunnel/config/traits.hpp"

/// The rows of the table of traits (trait_table.hpp) for tools that carry datagrams.
namespace test_tunnel::trait {

/// The row of `Traits::datagram_size`.
inline constexpr Trait<std::size_t> datagram_size{
    .name = "datagram_size",
    .member = &Traits::datagram_size,
    .about = "carries datagrams of up to so many bytes",
    .rule = std::size_t{65507}};

/// The row of `Traits::empty_datagrams`.
inline constexpr Trait<bool> empty_datagrams{.name = "empty_datagrams",
                                             .member = &Traits::empty_datagrams,
                                             .about = "carries datagrams without a byte",
                                             .subject = "a datagram without a byte arrives",
                                             .rule = true};

/// The row of `Traits::several_answers`.
inline constexpr Trait<bool> several_answers{
    .name = "several_answers",
    .member = &Traits::several_answers,
    .about = "the server may answer one datagram by several",
    .subject = "several answers to one datagram arrive",
    .rule = true};

/// The row of `Traits::one_source`.
inline constexpr Trait<bool> one_source{
    .name = "one_source",
    .member = &Traits::one_source,
    .about = "all datagrams of a client come to the server from one endpoint",
    .subject = "all datagrams of a client come from one endpoint",
    .rule = true};

/// The row of `Traits::answers_from_listener`.
inline constexpr Trait<bool> answers_from_listener{
    .name = "answers_from_listener",
    .member = &Traits::answers_from_listener,
    .about = "answers come from where the client has sent to",
    .subject = "an answer comes from where the client has sent to",
    .rule = true};

/// The row of `Traits::flow_timeout`.
inline constexpr Trait<Duration> flow_timeout{
    .name = "flow_timeout",
    .member = &Traits::flow_timeout,
    .about = "forgets a flow of datagrams that has been silent for this long",
    .rule_in_words = "none"};

/// The row of `Traits::drops_strangers`.
inline constexpr Trait<bool> drops_strangers{
    .name = "drops_strangers",
    .member = &Traits::drops_strangers,
    .about =
        "relays no datagrams of strangers, to a client or from a SOCKS5 client's port (demanded)",
    .subject = "datagrams that a stranger sends are dropped",
    .rule = true};

/// The row of `Traits::ends_associations`.
inline constexpr Trait<bool> ends_associations{
    .name = "ends_associations",
    .member = &Traits::ends_associations,
    .about = "relays nothing more when a SOCKS5 association's connection has ended (demanded)",
    .subject = "an association ends with its connection",
    .rule = true};

} // namespace test_tunnel::trait
