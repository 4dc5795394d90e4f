#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/checks/detail/bad_certificates.hpp"
#include "test_tunnel/checks/detail/odd_kinds.hpp"
#include "test_tunnel/checks/detail/tls_client.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Tries clients that a tool which demands certificates must refuse, and collects what is wrong.
class BadCertificates {
public:
    BadCertificates(PairRun& run, const TlsEnd& end) : run_{run}, end_{end} {}

    /// Tries one, and once more in the session that it was given, where it was given one: a tool
    /// that verifies clients behind the handshake may forget to do so when they come again.
    void attempt(const TlsCertificateName& row) {
        const auto session = attempt(row, {.certificate = row.certificate}, row.what);
        if (!session.empty()) {
            attempt(row, {.certificate = row.certificate, .session = session},
                    fmt::format("{}, in the session that it got when it was refused", row.what));
        }
    }

    /// Tries one in another manner, and returns the session that it was given.
    std::string attempt(const TlsCertificateName& row, const TlsManner& manner,
                        std::string_view what) {
        auto client = run_.connect_client();
        run_.step(std::string{row.name},
                  fmt::format("{} is refused, and no byte of it reaches the server", what),
                  Party::client, Party::tool);
        const auto result = try_refused_client(run_, std::move(client), end_, manner);
        const auto& declared = run_.traits().accepts;
        if (std::find(declared.begin(), declared.end(), row.name) != declared.end()) {
            run_.note(fmt::format("{}: {} ({})", what,
                                  result.complaint.empty() ? "refused, better than declared"
                                                           : "served, as declared",
                                  detail::wording_of_accepts(run_.config().dialect,
                                                             {std::string{row.name}})),
                      trait::accepts.name);
        } else if (!result.complaint.empty()) {
            undeclared_.emplace_back(row.name);
            complaints_ += fmt::format("\n{}: {}", what, result.complaint);
        } else if (result.has_arrived) {
            run_.note("it connects to the server for clients whom it then refuses");
        }
        const auto steps = run_.steps();
        run_.sentinel();
        run_.forget_steps(steps);
        return result.session;
    }

    /// Throws Unexpected where one was not refused.
    void judge() {
        run_.step("bad certificates", "each client without a good certificate is refused",
                  Party::client, Party::tool);
        undeclared_.erase(std::unique(undeclared_.begin(), undeclared_.end()), undeclared_.end());
        if (!undeclared_.empty()) {
            throw Unexpected{
                run_.expected(),
                fmt::format("not so; a tool that is known for that has to declare {}{}",
                            detail::wording_of_accepts(run_.config().dialect, undeclared_),
                            complaints_)};
        }
    }

private:
    PairRun& run_;
    const TlsEnd& end_;
    std::vector<std::string> undeclared_;
    std::string complaints_;
};

/// Returns the session of a client whose certificate is good for a few seconds only; empty where it
/// was given none, or where the machine is so busy that it has expired meanwhile.
inline std::string short_session(PairRun& run, const TlsEnd& end) {
    const auto began = Clock::now();
    auto client = run.connect_client();
    run.step("short life", "a client whose certificate expires in a few seconds is served",
             Party::client, Party::tool);
    try {
        open_for_step(run, client, {.certificate = ClientCertificate::short_lived});
        auto connection = connection_of(run, std::move(client));
        run.say(connection.server, connection.client, Party::server); // a ticket may come with that
        return end.session_of(connection.client);
    } catch (const SetupError&) {
        throw;
    } catch (const Error&) {
        if (Clock::now() - began < TlsEnd::short_life) {
            throw;
        }
        run.note("this machine is too busy to try a certificate that expires in seconds");
        return {};
    }
}

/// Has a client come again in its session when its certificate has expired.
inline void come_again_too_late(PairRun& run, const TlsEnd& end, BadCertificates& bad) {
    using namespace std::chrono_literals;
    const auto session = short_session(run, end);
    if (session.empty()) {
        return;
    }
    // Whole seconds are told, of which the last one counts.
    run.pause(TlsEnd::short_life + 3s, "a certificate to expire");
    bad.attempt(expired_since, {.certificate = expired_since.certificate, .session = session},
                expired_since.what);
}

/// Has clients come that show none of the certificates that the tool demands.
inline void show_bad_certificates(PairRun& run) {
    require_known(run);
    const auto end = need_client_tls(run);
    if (!end->shows_certificates()) {
        throw NotApplicable{
            fmt::format("it demands no certificates of its clients, as far as is declared ({})",
                        detail::wording_of_client_certificates(run.config().dialect))};
    }
    BadCertificates bad{run, *end};
    for (const auto& row : bad_certificates) {
        if (row.certificate != ClientCertificate::other_name || end->shows_names()) {
            bad.attempt(row);
        }
    }
    if (run.strict()) {
        come_again_too_late(run, *end, bad);
    }
    bad.judge();
}

inline constexpr Check tls_client_certificate{
    .id = "tls.client_certificate",
    .title = "clients whose certificate is not good are refused, and reach no server",
    .trait = trait::accepts.name,
    .run = show_bad_certificates};

} // namespace test_tunnel::check
