#include <test_tunnel/process/temp_dir.hpp>
#include <test_tunnel/tls.hpp>

#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "support/scripted_peer.hpp"
#include "support/tls_ends.hpp"

using namespace test_tunnel;
using Catch::Matchers::ContainsSubstring;
using support::certificate;
using support::client_options;
using support::ScriptedPeer;
using support::server_options;
using support::text_of_error;

TEST_CASE("a certificate is for somebody", "[tls]") {
    CHECK_THAT(text_of_error<InvalidConfig>([] { make_certificate({}); }),
               ContainsSubstring("an address or a name"));
    CHECK_THAT(text_of_error<InvalidConfig>([] { make_certificate({.names = {"a,IP:1.2.3.4"}}); }),
               ContainsSubstring("is no name"));
    CHECK_THAT(certificate().pem(),
               ContainsSubstring("BEGIN PRIVATE KEY") && ContainsSubstring("BEGIN CERTIFICATE"));
    CHECK(certificate().certificate != make_certificate({.names = {"proxy.test"}}).certificate);
}

TEST_CASE("nobody else can read a key that is written into a file", "[tls]") {
    TempDir files;
    const auto path = files.write("tool.pem", certificate().pem());
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 07777U) == 0600);
}

TEST_CASE("a client's certificate is accepted where it is good, and only there", "[tls]") {
    const TlsAuthority clients;
    auto options = server_options();
    options.client_authority = clients.certificate();
    const auto version = GENERATE(TlsVersion::v1_2, TlsVersion::v1_3);
    options.highest = version;
    const auto end = tls_client(client_options(), clients);
    CHECK(end->shows_certificates());
    const auto refusal_of = [&](ClientCertificate which) {
        ScriptedPeer peer{[&](Socket& socket, ScriptedPeer&) {
            tls_accept(socket, options);
            socket.write("welcome");
            support::await_end(socket);
        }};
        try {
            end->open(peer.client(), {.certificate = which});
            const auto said = peer.client().read(7);
            CHECK(said == "welcome");
        } catch (const Unexpected&) { // by an alert
        }
        peer.client().close();
        return peer.finish();
    };
    CHECK(refusal_of(ClientCertificate::good).empty());
    CHECK(refusal_of(ClientCertificate::short_lived).empty());
    CHECK_THAT(refusal_of(ClientCertificate::none),
               ContainsSubstring("peer did not return a certificate"));
    CHECK_THAT(refusal_of(ClientCertificate::of_other_authority),
               ContainsSubstring("unable to get local issuer certificate"));
    CHECK_THAT(refusal_of(ClientCertificate::expired), ContainsSubstring("has expired"));
    CHECK_THAT(refusal_of(ClientCertificate::not_yet_valid), ContainsSubstring("not yet valid"));
    CHECK_THAT(refusal_of(ClientCertificate::for_servers),
               ContainsSubstring("unsuitable certificate purpose"));
}

TEST_CASE("a server that demands no certificate is shown none that it did not ask for", "[tls]") {
    const auto end = tls_client(client_options());
    CHECK_FALSE(end->shows_certificates());
    auto peer = support::tls_peer(support::await_end);
    CHECK_FALSE(end->open(peer.client(), {}));
    peer.client().close();
    CHECK(peer.finish().empty());
}
