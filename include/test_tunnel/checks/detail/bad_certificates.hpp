#pragma once

#include <array>
#include <string_view>

#include "test_tunnel/net/tls_end.hpp"

namespace test_tunnel::check {

/// A certificate that a tool which demands good ones must refuse.
struct TlsCertificateName {
    /// Its name in `Traits::accepts`: "tls.certificate.expired".
    std::string_view name;
    /// Who shows it, for a reader: "a client whose certificate has expired".
    std::string_view what;
    /// What the client shows.
    ClientCertificate certificate;
};

/// All that are refused at any time (RFC 5280 §6.1); the last one where names are demanded.
inline constexpr std::array bad_certificates{
    TlsCertificateName{"tls.certificate.none", "a client without a certificate",
                       ClientCertificate::none},
    TlsCertificateName{"tls.certificate.authority",
                       "a client whose certificate was signed by another authority",
                       ClientCertificate::of_other_authority},
    TlsCertificateName{"tls.certificate.expired", "a client whose certificate has expired",
                       ClientCertificate::expired},
    TlsCertificateName{"tls.certificate.future", "a client whose certificate is not valid yet",
                       ClientCertificate::not_yet_valid},
    TlsCertificateName{"tls.certificate.purpose",
                       "a client whose certificate is for servers only (RFC 5280 §4.2.1.12)",
                       ClientCertificate::for_servers},
    TlsCertificateName{"tls.certificate.name", "a client whose certificate is for another name",
                       ClientCertificate::other_name}};

/// One that was good when its session began, and expired before the session went on.
inline constexpr TlsCertificateName expired_since{
    "tls.certificate.expired_since",
    "a client that resumes a session, and whose certificate has expired since that began",
    ClientCertificate::expired};

} // namespace test_tunnel::check
