#pragma once

#include <openssl/pem.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/base/error.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/tls/detail/openssl.hpp"

namespace test_tunnel {

/// For what a certificate may be used (RFC 5280 §4.2.1.12).
enum class TlsPurpose {
    /// By servers and by clients.
    any,
    /// By servers only.
    server,
    /// By clients only.
    client
};

/// For whom a certificate is made, and how long it is valid.
struct TlsCertificateOptions {
    /// The addresses by which the server is reached.
    std::vector<Address> addresses{};
    /// The names by which the server is reached, such as "localhost". The first one is the
    /// subject's common name, too, by which older tools go.
    std::vector<std::string> names{};
    /// How long it is valid from now on; a negative duration makes one that has expired so long
    /// ago.
    std::chrono::seconds valid_for = std::chrono::hours{24};
    /// In how long it comes to be valid. The default: it has been since the day before it was made,
    /// or since the day before it expired.
    std::chrono::seconds valid_in = std::chrono::seconds::zero();
    /// For what it is (RFC 5280 §4.2.1.12).
    TlsPurpose purpose = TlsPurpose::any;
};

/// A certificate that was made for a test, with its key and with the authority that has signed it:
/// texts in PEM, to be written into files of a TempDir, which nobody else can read, or to be given
/// to `tls_connect` and `tls_accept`.
struct TlsCertificate {
    /// What a server shows: one certificate, without that of the authority.
    std::string certificate;
    /// Its private key (PKCS #8), not encrypted.
    std::string key;
    /// The certificate of the authority: what a client needs in order to verify the other one.
    std::string authority;

    /// Returns the key and the certificate in one text, as haproxy, hitch and stunnel take them.
    [[nodiscard]] std::string pem() const { return key + certificate; }
};

namespace detail {

inline PrivateKey make_key() {
    return openssl_owned<PrivateKey>(EVP_EC_gen("P-256"), "make a key");
}

template <typename Write>
std::string pem_of(Write write) {
    const auto memory = openssl_owned<Bio>(BIO_new(BIO_s_mem()), "make a text in PEM");
    openssl_checked(write(memory.get()), "make a text in PEM");
    char* data = nullptr;
    const auto size = BIO_get_mem_data(memory.get(), &data); // NOLINT(*-cstyle-cast): OpenSSL's
    return {data, static_cast<std::size_t>(size)};
}

inline std::string pem_of(X509* certificate) {
    return pem_of([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
}

inline std::string pem_of(EVP_PKEY* key) {
    return pem_of([&](BIO* bio) {
        return PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
    });
}

/// Returns "IP:127.0.0.1,DNS:localhost" (RFC 5280 §4.2.1.6, as OpenSSL writes it). Throws
/// InvalidConfig.
inline std::string alternative_names(const TlsCertificateOptions& options) {
    std::string result;
    for (const auto& address : options.addresses) {
        result += fmt::format("{}IP:{}", result.empty() ? "" : ",",
                              Address::from_packed(address.packed())); // without its scope
    }
    for (const auto& name : options.names) {
        constexpr std::string_view allowed =
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._*";
        if (name.empty() || name.find_first_not_of(allowed) != std::string::npos) {
            throw InvalidConfig{fmt::format("'{}' is no name for a certificate", name)};
        }
        result += fmt::format("{}DNS:{}", result.empty() ? "" : ",", name);
    }
    if (result.empty()) {
        throw InvalidConfig{"a certificate needs an address or a name that it is for"};
    }
    return result;
}

/// Returns a name by which a certificate's subject is known: the first one that it is for, where
/// that is no longer than such a name may be (RFC 5280 §A.1, ub-common-name).
inline std::string common_name(const TlsCertificateOptions& options) {
    constexpr std::size_t longest = 64;
    auto name = options.names.empty()
                    ? Address::from_packed(options.addresses.front().packed()).text()
                    : options.names.front();
    return name.size() <= longest ? name : "test-tunnel's certificate";
}

/// Makes a certificate that is still to be signed, valid until `valid_for` from now.
inline X509Certificate make_unsigned(EVP_PKEY* key, std::string_view name,
                                     std::chrono::seconds valid_for,
                                     std::chrono::seconds valid_in = std::chrono::seconds::zero()) {
    constexpr std::string_view attempted = "make a certificate";
    constexpr long a_day = 86400;
    auto result = openssl_owned<X509Certificate>(X509_new(), attempted);
    auto* const certificate = result.get();
    openssl_checked(X509_set_version(certificate, X509_VERSION_3), attempted);

    // Different each time: some refuse two certificates of one number (RFC 5280 §4.1.2.2).
    std::array<unsigned char, 16> number{};
    openssl_checked(RAND_bytes(number.data(), static_cast<int>(number.size())), attempted);
    number[0] = (number[0] & 0x7fU) | 0x40U;
    const auto serial = openssl_owned<OpensslPtr<BIGNUM, BN_free>>(
        BN_bin2bn(number.data(), static_cast<int>(number.size()), nullptr), attempted);
    if (BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate)) == nullptr) {
        throw OpensslError{fmt::format("{}: {}", attempted, openssl_reason())};
    }

    // From the day before: clocks differ, and one that has expired was valid once.
    const auto until = static_cast<long>(valid_for.count());
    const auto since =
        valid_in.count() > 0 ? static_cast<long>(valid_in.count()) : std::min(until, 0L) - a_day;
    if (X509_gmtime_adj(X509_getm_notBefore(certificate), since) == nullptr ||
        X509_gmtime_adj(X509_getm_notAfter(certificate), until) == nullptr) {
        throw OpensslError{fmt::format("{}: {}", attempted, openssl_reason())};
    }
    const std::string text{name};
    const auto* const bytes = reinterpret_cast<const unsigned char*>(text.c_str()); // NOLINT
    openssl_checked(X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN",
                                               MBSTRING_UTF8, bytes, -1, -1, 0),
                    attempted);
    openssl_checked(X509_set_pubkey(certificate, key), attempted);
    return result;
}

/// Adds an extension; `text` is as in OpenSSL's configuration files: x509v3_config(5).
inline void add_extension(X509* certificate, X509* issuer, int nid, const std::string& text) {
    X509V3_CTX context{};
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    const auto extension = openssl_owned<OpensslPtr<X509_EXTENSION, X509_EXTENSION_free>>(
        X509V3_EXT_conf_nid(nullptr, &context, nid, text.c_str()), text);
    openssl_checked(X509_add_ext(certificate, extension.get(), -1), text);
}

inline void sign(X509* certificate, X509* issuer, EVP_PKEY* key) {
    openssl_checked(X509_set_issuer_name(certificate, X509_get_subject_name(issuer)), "sign");
    add_extension(certificate, issuer, NID_subject_key_identifier, "hash");
    add_extension(certificate, issuer, NID_authority_key_identifier, "keyid");
    openssl_checked(X509_sign(certificate, key, EVP_sha256()), "sign a certificate");
}

} // namespace detail

/// An authority that was made for a test: it signs certificates for as long as it is there, and its
/// key is nowhere else. It may be copied; copies sign for one another.
class TlsAuthority {
public:
    /// Makes its key and its own certificate, which is valid as long as `valid_for` says. Throws
    /// OpensslError.
    explicit TlsAuthority(std::chrono::seconds valid_for = std::chrono::hours{24})
        : key_{detail::make_key()},
          own_{detail::make_unsigned(key_.get(), "test-tunnel's authority", valid_for)} {
        detail::add_extension(own_.get(), own_.get(), NID_basic_constraints, "critical,CA:TRUE");
        detail::add_extension(own_.get(), own_.get(), NID_key_usage,
                              "critical,keyCertSign,cRLSign");
        detail::sign(own_.get(), own_.get(), key_.get());
    }

    /// Returns its certificate, in PEM: what is needed in order to verify those that it signs.
    [[nodiscard]] std::string certificate() const { return detail::pem_of(own_.get()); }

    /// Makes a key (EC, P-256) and a certificate for it. Throws InvalidConfig where it is for
    /// nobody; OpensslError.
    [[nodiscard]] TlsCertificate make(const TlsCertificateOptions& options) const {
        const auto alternative_names = detail::alternative_names(options);
        const auto key = detail::make_key();
        const auto made = detail::make_unsigned(key.get(), detail::common_name(options),
                                                options.valid_for, options.valid_in);
        const auto add = [&](int nid, const std::string& text) {
            detail::add_extension(made.get(), own_.get(), nid, text);
        };
        add(NID_basic_constraints, "critical,CA:FALSE");
        add(NID_key_usage, "critical,digitalSignature");
        add(NID_ext_key_usage, options.purpose == TlsPurpose::any      ? "serverAuth,clientAuth"
                               : options.purpose == TlsPurpose::server ? "serverAuth"
                                                                       : "clientAuth");
        add(NID_subject_alt_name, alternative_names);
        detail::sign(made.get(), own_.get(), key_.get());
        return {detail::pem_of(made.get()), detail::pem_of(key.get()), certificate()};
    }

private:
    std::shared_ptr<EVP_PKEY> key_;
    std::shared_ptr<X509> own_;
};

/// Makes a key (EC, P-256) and a certificate for it, signed by an authority that is made for this
/// one and whose own key is thrown away. Throws InvalidConfig where it is for nobody; OpensslError.
inline TlsCertificate make_certificate(const TlsCertificateOptions& options) {
    return TlsAuthority{options.valid_for}.make(options);
}

} // namespace test_tunnel
