#pragma once

// What the parts of tls.hpp have in common. Not part of the core: it needs OpenSSL 3.

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "test_tunnel/base/error.hpp"

namespace test_tunnel {

/// A call of OpenSSL failed that has nothing to do with what the other side has said.
class OpensslError : public SetupError {
public:
    using SetupError::SetupError;
};

namespace detail {

template <auto release>
struct OpensslDelete {
    template <typename T>
    void operator()(T* object) const noexcept {
        release(object);
    }
};

template <typename T, auto release>
using OpensslPtr = std::unique_ptr<T, OpensslDelete<release>>;

using Bio = OpensslPtr<BIO, BIO_free>;
using PrivateKey = OpensslPtr<EVP_PKEY, EVP_PKEY_free>;
using X509Certificate = OpensslPtr<X509, X509_free>;
using SslContext = OpensslPtr<SSL_CTX, SSL_CTX_free>;
using SslConnection = OpensslPtr<SSL, SSL_free>;

/// Returns what OpenSSL says of its last error, in its own words: "wrong version number". Forgets
/// all errors.
inline std::string openssl_reason() {
    const auto code = ERR_peek_last_error();
    const char* const reason = ERR_reason_error_string(code);
    std::string text = reason != nullptr ? reason
                       : code != 0       ? fmt::format("error {:#x}", code)
                                         : "no reason given";
    ERR_clear_error();
    return text;
}

/// Returns the result of a call of OpenSSL. Throws OpensslError where it is 0, a null pointer or
/// less.
template <typename T>
T openssl_checked(T result, std::string_view attempted) {
    if (!(result > T{})) {
        throw OpensslError{fmt::format("{}: {}", attempted, openssl_reason())};
    }
    return result;
}

/// Returns a pointer that OpenSSL has returned, as owned. Throws OpensslError where it is null.
template <typename Owner, typename T>
Owner openssl_owned(T* object, std::string_view attempted) {
    if (object == nullptr) {
        throw OpensslError{fmt::format("{}: {}", attempted, openssl_reason())};
    }
    return Owner{object};
}

/// Keeps where a stream of TLS stands: within a record, or between two (RFC 8446 §5.1). OpenSSL
/// does not tell of a record of which only a part has come.
class RecordPlace {
public:
    void pass(std::string_view bytes) {
        while (!bytes.empty()) {
            const auto count = std::min(bytes.size(), left_);
            if (in_header_) {
                for (const char byte : bytes.substr(0, count)) { // the last two are its length
                    length_ = (length_ << 8U | static_cast<unsigned char>(byte)) & 0xffffU;
                }
            }
            left_ -= count;
            bytes.remove_prefix(count);
            if (left_ == 0) {
                in_header_ = !in_header_ || length_ == 0;
                left_ = in_header_ ? header_size : length_;
            }
        }
    }

    [[nodiscard]] bool is_within_record() const noexcept {
        return !in_header_ || left_ < header_size;
    }

private:
    static constexpr std::size_t header_size = 5;

    bool in_header_ = true;
    std::size_t left_ = header_size;
    std::size_t length_ = 0;
};

/// Returns what OpenSSL reads a text in PEM from.
inline Bio pem_source(std::string_view pem) {
    return openssl_owned<Bio>(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                              "read a text in PEM");
}

} // namespace detail

} // namespace test_tunnel
