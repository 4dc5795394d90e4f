#pragma once

// TLS between the harness and the tool, at either end, and certificates for tools. Where the
// program is built without OpenSSL, asking for it is an error.

#include <test_tunnel/handshakes/passed_tls.hpp>
#include <test_tunnel/run/command_tunnel.hpp>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "options.hpp"

#if CHECK_COMMAND_HAS_TLS
#include <test_tunnel/tls.hpp>
#endif

namespace check_command {

/// Whether a command line, a template, or whatever else has placeholders, has one for a certificate
/// or key.
inline bool uses_certificate(const CommandOptions& tool) {
    const auto has = [](const std::string& text) {
        return text.find("{tls.") != std::string::npos;
    };
    const auto any = [&](const Command& words) {
        return std::any_of(words.begin(), words.end(), has);
    };
    return any(tool.command) || std::any_of(tool.companions.begin(), tool.companions.end(), any) ||
           std::any_of(tool.files.begin(), tool.files.end(),
                       [&](const FileTemplate& file) { return has(file.text); }) ||
           std::any_of(tool.environment.begin(), tool.environment.end(),
                       [&](const auto& variable) { return has(variable.second); });
}

/// A tool that passes TLS on, and looks at the hello.
class PassedTlsTunnel : public CommandTunnel {
public:
    PassedTlsTunnel(ConfigProg config, CommandOptions options, std::string name)
        : CommandTunnel{std::move(config), std::move(options)}, name_{std::move(name)} {}

    [[nodiscard]] std::shared_ptr<const TlsEnd> client_tls() const override {
        return passed_tls_client(name_);
    }
    [[nodiscard]] std::shared_ptr<const TlsEnd> server_tls() const override {
        return passed_tls_server(name_);
    }

private:
    std::string name_;
};

#if CHECK_COMMAND_HAS_TLS

/// A tool that terminates TLS, or originates it, or has certificates for ends of its own.
class TlsCommandTunnel : public CommandTunnel {
public:
    TlsCommandTunnel(ConfigProg config, CommandOptions options, const TlsSettings& tls)
        : TlsCommandTunnel{std::move(config), std::move(options), tls,
                           make_certificate({.names = {tls.name}}), TlsAuthority{}} {}

    [[nodiscard]] std::shared_ptr<const TlsEnd> client_tls() const override { return client_; }
    [[nodiscard]] std::shared_ptr<const TlsEnd> server_tls() const override { return server_; }

private:
    TlsCommandTunnel(ConfigProg config, CommandOptions options, const TlsSettings& tls,
                     const TlsCertificate& certificate, const TlsAuthority& clients)
        : CommandTunnel{std::move(config), with_files(std::move(options), certificate, clients)},
          tls_{tls} {
        const auto version = [&](std::string_view other, TlsVersion usual, TlsVersion only) {
            return tls_.version == other ? only : usual;
        };
        const auto lowest = version("1.3", TlsVersion::v1_2, TlsVersion::v1_3);
        const auto highest = version("1.2", TlsVersion::v1_3, TlsVersion::v1_2);
        if (tls_.client) {
            client_ = tls_client({.authority = certificate.authority,
                                  .name = tls_.name,
                                  .lowest = lowest,
                                  .highest = highest,
                                  .may_omit_close_notify = tls_.omits_close_notify},
                                 tls_.client_certificate ? std::optional{clients} : std::nullopt,
                                 {.name = tls_.client_name});
        }
        if (tls_.server) {
            server_ = tls_server(
                {.certificate = certificate.certificate,
                 .key = certificate.key,
                 .client_authority = tls_.tool_certificate ? clients.certificate() : std::string{},
                 .lowest = lowest,
                 .highest = highest,
                 .may_omit_close_notify = tls_.omits_close_notify});
        }
    }

    static CommandOptions with_files(CommandOptions options, const TlsCertificate& certificate,
                                     const TlsAuthority& clients) {
        const auto add = [&](const std::string& name, std::string text) {
            options.files.push_back({"tls-" + name + ".pem", std::move(text), "tls." + name});
        };
        add("pem", certificate.pem());
        add("certificate", certificate.certificate);
        add("key", certificate.key);
        add("authority", certificate.authority);
        const auto client = clients.make({.names = {"client.test"}, .purpose = TlsPurpose::client});
        add("clients", clients.certificate());
        add("client.pem", client.pem());
        add("client.certificate", client.certificate);
        add("client.key", client.key);
        return options;
    }

    TlsSettings tls_;
    std::shared_ptr<const TlsEnd> client_;
    std::shared_ptr<const TlsEnd> server_;
};

#endif

/// The tunnel that is asked for. Throws InvalidConfig for one that can't be.
inline std::unique_ptr<CommandTunnel> make_tunnel(ConfigProg config, const Request& request) {
    const auto& tls = request.tls;
    const bool needs_tls = tls.client || tls.server || uses_certificate(request.tool);
    const auto require = [](bool is_met, std::string_view option, std::string_view other) {
        if (!is_met) {
            throw InvalidConfig{fmt::format("{} needs {}", option, other)};
        }
    };
    require(!tls.passed || !needs_tls, "--passed-tls", "neither --client-tls nor --server-tls");
    require(tls.client || !tls.client_certificate, "--client-certificate", "--client-tls");
    require(tls.client_certificate || !tls.client_name, "--client-name", "--client-certificate");
    require(tls.server || !tls.tool_certificate, "--tool-certificate", "--server-tls");
    if (!needs_tls && (!tls.version.empty() || tls.omits_close_notify)) {
        throw InvalidConfig{
            fmt::format("{} needs --client-tls or --server-tls",
                        tls.omits_close_notify ? "--omits-close-notify" : "--tls-version")};
    }
    if (tls.passed) {
        return std::make_unique<PassedTlsTunnel>(std::move(config), request.tool, tls.name);
    }
    if (!needs_tls) {
        return std::make_unique<CommandTunnel>(std::move(config), request.tool);
    }
#if CHECK_COMMAND_HAS_TLS
    return std::make_unique<TlsCommandTunnel>(std::move(config), request.tool, tls);
#else
    throw InvalidConfig{
        "--client-tls, --server-tls and {tls.…} need a check_command that is built with OpenSSL 3"};
#endif
}

} // namespace check_command
