#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/environment.hpp"
#include "test_tunnel/config/config.hpp"
#include "test_tunnel/config/transports.hpp"
#include "test_tunnel/discovery/ports.hpp"
#include "test_tunnel/handshakes/protocol.hpp"
#include "test_tunnel/handshakes/proxy_protocol.hpp"
#include "test_tunnel/process/server.hpp"
#include "test_tunnel/process/temp_dir.hpp"
#include "test_tunnel/run/placeholders.hpp"
#include "test_tunnel/run/tunnel.hpp"

namespace test_tunnel {

/// A command line: the program and its arguments. Each of these words may have placeholders.
using Command = std::vector<std::string>;

/// A file that a tool reads, of whose text the placeholders are replaced.
struct FileTemplate {
    /// The file's name in the directory {dir}.
    std::string name;
    /// The file's text, with placeholders.
    std::string text;
    /// The placeholder that stands for the file's path, "tls.pem" for {tls.pem}. Empty: there is
    /// none, unless it is the first of such files, whose path is {config}.
    std::string placeholder = {};
};

/// What is awaited of a companion before whatever comes next is started.
struct Readiness {
    /// What it is that a companion does when it is ready.
    enum class Sign {
        /// It writes `text` to one of its outputs.
        output,
        /// It, or one that was started before it, listens for TCP connections at `text`.
        tcp,
        /// It, or one that was started before it, has bound a UDP socket at `text`.
        udp,
        /// Nothing: it need not be ready.
        none
    };
    /// Which companion: its place in CommandOptions::companions.
    std::size_t companion = 0;
    /// What it does when it is ready.
    Sign sign = Sign::output;
    /// What it writes, or the endpoint: "{inner.endpoint}". May have placeholders.
    std::string text = {};
};

/// All that there is to know of a tool that is told everything by its command line, files and
/// environment.
struct CommandOptions {
    /// The command line of the tool. Placeholders are those of `placeholders_of`, {dir}, the path
    /// of the directory in which `files` and `copies` are, {config}, the path of the first of
    /// `files` without a placeholder of its own, those of the other ones, and {inner.…} and
    /// {inner2.…}: two endpoints at the address of {source.…}, with free ports of their own, where
    /// the halves of a tool can meet. {target.name} is a name for {target.address}
    /// (`TestTunnel::target_name`). A word of which nothing remains ("{listen.6=-6}" where the
    /// family is 4) is left out.
    Command command = {};
    /// The command lines of what has to be started before the tool, in this order: the second half
    /// of a tool that comes in halves. {config} in them is the first of `files`, too.
    std::vector<Command> companions = {};
    /// What is awaited of companions, in this order for each. Empty: where {inner.port} or
    /// {inner.endpoint} is used, the tool itself is started only when a companion listens there for
    /// TCP connections; so for {inner2.…}.
    std::vector<Readiness> readiness = {};
    /// The files that are written before the tool is started, into a directory that is removed when
    /// the tool has ended.
    std::vector<FileTemplate> files = {};
    /// The paths of files and directories that are copied into that directory, as they are, each
    /// time before the tool is started (see TempDir::copy): {dir}/NAME.
    std::vector<std::string> copies = {};
    /// What is added to the environment of the tool and its companions. The values may have
    /// placeholders.
    Environment environment = {};
    /// The user that has to read these files, since a tool that was started as root becomes that
    /// user (see TempDir).
    std::optional<std::string> readable_by = {};
    /// The signal on which the tool reloads: it is sent to the process of `command`.
    std::optional<int> reload_signal = {};
    /// The command line that has the tool reload, and then ends with status 0. Placeholders are
    /// those of `command`, and {pid}, the number of the tool's process. Empty: there is none.
    Command reload_command = {};
    /// The command line of a process that takes the tool's place, and has the process {pid} end
    /// when its connections have ended. It must stay in the foreground. Empty: there is none. At
    /// most one of these three can be given.
    Command reload_successor = {};
    /// The text, with placeholders, that takes the place of the file {config} while the tool is
    /// told to reload once more: with it, the tool must go on as it was (`life.broken_reload`).
    /// What has it reload, where that is a process, may then end with any status. Nothing: this is
    /// not tried.
    std::optional<std::string> broken_config = {};
    /// The tool's name in reports. Empty: the program's name without its directory.
    std::string name = {};
    /// The tool's version, for reports.
    std::string version = {};
    /// The version of the PROXY header that the client sends first on each of its connections.
    /// Nothing: it sends none.
    std::optional<ProxyVersion> client_header = {};
    /// What the tool carries.
    Transports transports = {.tcp = true};
    /// The handshake by which the client then tells the tool where to connect.
    Protocol protocol = {};
    /// Whether the tool is told a name that this machine has for the target (`host_name_of`), in
    /// place of the name in `protocol`.
    bool by_name = false;
    /// The handshake by which the tool asks its upstream proxy for the server, as the user and with
    /// the password that it has: where the tool is the client of one, which the library then plays
    /// (`TestTunnel::upstream`). Where that proxy is, and its user, are told by placeholders:
    /// {upstream.address} and so on, {upstream.user} and {upstream.password}.
    Protocol upstream = {};
    /// Over which family of addresses the tool talks to its upstream proxy. Nothing: that of
    /// {target.address}.
    std::optional<Family> upstream_family = {};
    /// The version of the PROXY header that the tool sends first on each of its connections to the
    /// server; it must tell the true address of the client. Nothing: the tool sends none.
    std::optional<ProxyVersion> server_header = {};
    /// What the tool does its own way. Where it is told no address to connect from
    /// (`CommandTunnel::is_told_source`), it may connect from any, unless `binds_source` is
    /// declared `false`: then it is judged by that.
    Traits traits = {};
};

/// The test of a tool without a class of its own:
///
///     CommandTunnel{{}, {.command = {"microsocks", "-i", "{listen.address}", "-p",
///                                    "{listen.port}", "-b", "{source.address}"},
///                        .protocol = Socks5Options{}}}.run();
class CommandTunnel : public TestTunnel {
public:
    /// Takes the program from the command's first word, whatever `config.prog` says, and starts
    /// nothing. Throws InvalidConfig for a command without a program, for an unknown placeholder,
    /// for two files of one name, for what can't be copied or awaited, and for `by_name` without a
    /// protocol.
    explicit CommandTunnel(ConfigProg config, CommandOptions options);

    [[nodiscard]] std::string slug() const override { return options_.name; }
    [[nodiscard]] std::string version() const override { return options_.version; }

    /// Writes the files, and starts the companions, whose readiness is awaited, and the tool.
    /// Throws NoAddresses where the tool is to be asked by name and the target has none, and
    /// whatever TestTunnel's hook may throw.
    Server spawn_server(const AddrPort& proxy_listen, const AddrPort& svc_listen) override;

    /// Returns the protocol. Where the tool is asked by name, it has the name of the target for
    /// which the tool was started last; before that, an empty one.
    [[nodiscard]] Protocol protocol() const override { return protocol_; }
    [[nodiscard]] Protocol upstream() const override { return options_.upstream; }
    [[nodiscard]] std::optional<Family> upstream_family() const override {
        return options_.upstream_family;
    }
    [[nodiscard]] Traits traits() const override { return options_.traits; }
    [[nodiscard]] Transports transports() const override { return options_.transports; }

    /// Whether {source.address}, {source.bracketed} or {source.endpoint} is used in a command line,
    /// a file or the environment.
    [[nodiscard]] bool is_told_source() const override;

    /// Reloads the tool as the options say. Throws NotApplicable where they don't.
    void reload(Server& tool) override;
    /// Reloads the tool with `CommandOptions::broken_config`, where there is one. Waits for the
    /// process that has it reload, if there is one, to end, for `timeouts.start` at most; throws
    /// Unexpected where it does not.
    bool reload_broken(Server& tool) override;

    [[nodiscard]] std::optional<ProxyVersion> client_header() const override {
        return options_.client_header;
    }
    [[nodiscard]] std::optional<ProxyVersion> server_header() const override {
        return options_.server_header;
    }

    /// Where the options say that clients send a PROXY header, and it is not for a connection,
    /// each datagram of the client begins with one. Throws InvalidConfig for version 1.
    Flow open_flow(PairRun& run) override;
    /// Takes the PROXY header away that the options want of the tool.
    std::optional<Endpoint> open_datagram(std::string& payload) override;

    /// Throws ToolMissing or ToolNotExecutable where a program of the command or of a companion
    /// can't be run. Starts nothing, and passes over programs whose names have placeholders.
    void require_programs() const;

    /// Whether {listen.port} or {listen.endpoint} is used there.
    [[nodiscard]] bool is_told_port() const override;

    /// The ports of {inner.…} and {inner2.…}.
    [[nodiscard]] std::vector<std::uint16_t> other_ports() const override;

    /// Whether a command line, a file or the environment has this placeholder: "listen.port".
    [[nodiscard]] bool uses(std::string_view placeholder) const;

    /// Returns the options as they were given, with what follows from them for `name`.
    [[nodiscard]] const CommandOptions& options() const noexcept { return options_; }

private:
    static ConfigProg with_program(ConfigProg config, const CommandOptions& options);
    void validate() const;
    void validate_files() const;
    void validate_reload() const;
    void validate_readiness(const Placeholders& values) const;
    void validate_placeholders(const Placeholders& values) const;
    [[nodiscard]] std::vector<Command> all_commands() const;
    [[nodiscard]] std::vector<std::string> config_files() const;
    void set_upstream_user(Placeholders& values) const;
    void set_paths(Placeholders& values, const std::string& directory) const;
    [[nodiscard]] std::optional<TempDir> make_files(Placeholders& values) const;
    void write_config(const std::string& text) const;
    void await_companion(Server& server, std::size_t companion, const Placeholders& values) const;
    void await_inner(Server& server) const;

    static constexpr std::string_view name_placeholder{"target.name"};

    CommandOptions options_;
    Protocol protocol_;
    /// Where halves can meet: {inner.…} and {inner2.…} of the tool that was started last.
    AddrPort inner_;
    /// What placeholders stood for when the tool was started last, and its environment.
    Placeholders values_;
    Environment environment_;
    /// Whether the first configuration file is not the tool's own, but a broken one.
    bool is_config_broken_ = false;
};

/// Returns the words of a command line. Quotes and backslashes mean what they mean to a POSIX
/// shell; nothing else does. Throws InvalidConfig for a quote that is not closed, for a backslash
/// at the end, and where there is no word.
Command split_command(std::string_view line);

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/run/detail/command_tunnel.ipp"     // IWYU pragma: export
#include "test_tunnel/run/detail/command_validation.ipp" // IWYU pragma: export
#endif
