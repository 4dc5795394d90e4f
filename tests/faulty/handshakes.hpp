// How the client says where it wants to go, and is told whether it got there.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "asked_target.hpp"
#include "behaviours.hpp"
#include "keeping.hpp"
#include "names.hpp"
#include "sockets.hpp"

/// How one refuses that does not know how to.
inline const std::string out_of_form = "go away\n";

enum class Verdict { connected, target_refused, not_allowed };

/// In a handshake the client is answered once; what comes after that is its data.
class Handshake {
public:
    Handshake() = default;
    Handshake(const Handshake&) = delete;
    Handshake& operator=(const Handshake&) = delete;
    virtual ~Handshake() = default;

    /// Reads the request; false: it was bad, and has been answered. `target` is the only one
    /// allowed.
    virtual bool read_request(int client, const Endpoint& target) = 0;

    /// Whether the client wants to be called, and not to be connected.
    [[nodiscard]] virtual bool wants_bind() const { return false; }

    /// Whether the request was for the target that is allowed.
    [[nodiscard]] bool is_allowed() const { return is_allowed_; }

    /// From where the client will send datagrams, if it has asked for an association; its address
    /// has no meaning.
    [[nodiscard]] virtual std::optional<Endpoint> association() const { return std::nullopt; }

    /// The answer; `source` is the outgoing side's address.
    [[nodiscard]] virtual std::string reply(Verdict verdict, const Endpoint& source) const = 0;

protected:
    void allow(bool allowed) { is_allowed_ = allowed; }

private:
    bool is_allowed_ = true;
};

/// Refuses a request by these words.
inline bool say_no(int client, const std::string& reply) {
    if (is("hangs-on-nonsense")) {
        hang();
    }
    write_all(client, is("refuses-out-of-form") ? out_of_form : reply);
    return false;
}

/// Whether this host, as a client has written it, and port are a target: an address of the family
/// of the tool's own, or a name that has one. Remembers what it is.
inline bool is_target(const std::string& host, std::uint16_t port, const Endpoint& target) {
    const auto found = look_up(host, target.family(), port);
    constexpr std::uint16_t highest_signed = 0x7fff;
    constexpr std::uint16_t last_byte = 0xff;
    if (found.empty() || port == 0 || (is("reads-signed-ports") && port > highest_signed) ||
        (is("takes-zero-in-port-for-end") && (port & last_byte) == 0)) {
        return false;
    }
    const auto own = std::find_if(found.begin(), found.end(), [&](const Endpoint& each) {
        return each.packed() == target.packed();
    });
    if (host.ends_with(".moving.test-tunnel.test")) { // at any address that it may have
        asked_name = host;
    } else if (is("serves-its-target-only") && (own == found.end() || port != target.port())) {
        return false;
    }
    return choose_target(host, own == found.end() ? found.front() : *own);
}

inline std::string lower(std::string text) {
    for (char& each : text) {
        each = each >= 'A' && each <= 'Z' ? static_cast<char>(each + 'a' - 'A') : each;
    }
    return text;
}

inline std::string trimmed(const std::string& text) {
    const auto first = text.find_first_not_of(" \t");
    return first == std::string::npos
               ? ""
               : text.substr(first, text.find_last_not_of(" \t") + 1 - first);
}

/// What a client of a tool that wants one has to know.
inline constexpr std::string_view right_user = "user";
inline constexpr std::string_view right_password = "password";

/// Whether a tool that compares them its own way takes them for the right ones.
inline bool is_nearly_right(std::string_view user, const std::string& password) {
    if (user == right_user) {
        return (is("compares-beginnings") && right_password.starts_with(password)) ||
               (is("compares-as-long-as-its-own") && password.starts_with(right_password)) ||
               (is("ignores-case-of-password") && lower(password) == right_password) ||
               (is("trims-password") && trimmed(password) == right_password);
    }
    return (is("ignores-user") && password == right_password) ||
           (is("looks-for-user") && user.starts_with(right_user) && password == right_password) ||
           (is("joins-user-and-password") &&
            std::string{user} + password == std::string{right_user} + std::string{right_password});
}

inline bool is_right(std::string_view user, std::string password) {
    constexpr char seven_bits = 0x7f;
    for (char& each : password) {
        each = is("strips-high-bits") ? static_cast<char>(each & seven_bits) : each;
    }
    if (is("cuts-password-at-nul")) {
        password = password.c_str();
    }
    if (is("crashes-on-long-passwords") && user.size() == 255 && password.size() == 255) {
        crash();
    }
    const bool result = is("accepts-any-password") ||
                        (user == right_user && password == right_password) ||
                        is_nearly_right(user, password);
    if (!result && is("leaks-at-wrong-password")) {
        keep_descriptor();
    }
    if (!result && is("hangs-on-wrong-password")) {
        hang();
    }
    return result;
}

/// What is done to a name before it is looked up.
inline std::string looked_up(std::string name) {
    constexpr std::size_t longest = 253;
    constexpr std::size_t too_short = 64;
    if (is("crashes-on-long-names") && name.size() > longest) {
        crash();
    }
    if (is("cuts-long-names")) {
        name.resize(std::min(name.size(), too_short));
    }
    return is("cuts-names-at-nul") ? name.c_str() : name;
}

/// No request; `announce` says in a line of text where it connects from, `forward` says nothing.
class PlainHandshake : public Handshake {
public:
    explicit PlainHandshake(bool announces) : announces_{announces} {}

    bool read_request(int client, const Endpoint& /*target*/) override {
        if (is("lazy") || is("lazy-and-slow")) {
            is_readable(client, -1);
        }
        return true;
    }

    [[nodiscard]] std::string reply(Verdict verdict, const Endpoint& source) const override {
        if (verdict != Verdict::connected || !announces_ || is("greets-early")) {
            return {};
        }
        return source.address_text() + " " + std::to_string(source.port()) + "\n";
    }

private:
    bool announces_;
};
