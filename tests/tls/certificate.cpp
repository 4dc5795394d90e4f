#include <test_tunnel/process/temp_dir.hpp>
#include <test_tunnel/tls.hpp>

#include <openssl/pem.h>
#include <sys/stat.h>

#include <array>
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

TEST_CASE("a certificate has the name that it is for also as its common name", "[tls]") {
    const auto common_name_of = [](const TlsCertificateOptions& options) {
        const auto text = make_certificate(options).certificate;
        const auto source = detail::pem_source(text);
        const detail::X509Certificate made{
            PEM_read_bio_X509(source.get(), nullptr, nullptr, nullptr)};
        REQUIRE(made);
        std::array<char, 256> name{};
        X509_NAME_get_text_by_NID(X509_get_subject_name(made.get()), NID_commonName, name.data(),
                                  static_cast<int>(name.size()));
        return std::string{name.data()};
    };
    CHECK(common_name_of({.names = {"a.test", "b.test"}}) == "a.test");
    CHECK(common_name_of({.addresses = {Address::parse("::1")}}) == "::1");
    const std::string longest(64, 'a');
    CHECK(common_name_of({.names = {longest}}) == longest);
    CHECK_THAT(common_name_of({.names = {longest + "a"}}), ContainsSubstring("test-tunnel"));
}

TEST_CASE("a client shows a certificate for another name, or offers TLS 1.2 alone", "[tls]") {
    const TlsAuthority clients;
    const auto end = tls_client(client_options(), clients, {.name = true});
    CHECK(end->shows_names());
    CHECK(end->offers_1_2_and_1_3());
    const auto other = GENERATE(false, true);
    auto options = server_options();
    options.client_authority = clients.certificate();
    ScriptedPeer peer{[&](Socket& socket, ScriptedPeer&) {
        const auto session = tls_accept(socket, options);
        socket.write(text_of(session.version)); // it looks at no name
        support::await_end(socket);
    }};
    if (other) {
        end->open(peer.client(), {.certificate = ClientCertificate::other_name});
    } else {
        end->open(peer.client(), {.only_1_2 = true});
    }
    CHECK(peer.client().read(7) == (other ? "TLS 1.3" : "TLS 1.2"));
    peer.client().close();
    CHECK(peer.finish().empty());
}

TEST_CASE("a server that demands no certificate is shown none that it did not ask for", "[tls]") {
    const auto end = tls_client(client_options());
    CHECK_FALSE(end->shows_certificates());
    auto peer = support::tls_peer(support::await_end);
    CHECK_FALSE(end->open(peer.client(), {}));
    peer.client().close();
    CHECK(peer.finish().empty());
}
