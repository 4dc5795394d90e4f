#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config.hpp"
#include "detail/inline.hpp"
#include "handshakes/proxy_protocol.hpp"
#include "placeholders.hpp"
#include "protocol.hpp"
#include "server.hpp"
#include "tunnel.hpp"

namespace test_tunnel {

/// A command line: the program and its arguments, each of which may have placeholders.
using Command = std::vector<std::string>;

/// A file that a tool reads, of whose text the placeholders are replaced.
struct FileTemplate {
    /// Under which name it stands in the directory {dir}.
    std::string name;
    /// What is written into it when its placeholders have been replaced.
    std::string text;
};

/// All that there is to know of a tool that is told everything by its command line and files.
struct CommandOptions {
    /// The tool. Placeholders: those of `placeholders_of`, and {config} and {dir}, which are the
    /// path of the first of `files` and of their directory.
    Command command = {};
    /// What has to be started before it, in this order: the second half of a tool that comes in
    /// halves. Where the command lines or the files speak of {inner.port}, the tool itself is
    /// started only when a companion listens there.
    std::vector<Command> companions = {};
    /// Written, with placeholders, into a directory that is removed when the tool has ended.
    std::vector<FileTemplate> files = {};
    /// The user to which the tool drops its privileges, who has to read these files (TempDir).
    std::optional<std::string> readable_by = {};
    /// The name in reports. Empty: the program's, without its directory.
    std::string name = {};
    /// What the client sends first on each of its connections: a PROXY header of this version.
    std::optional<ProxyVersion> client_header = {};
    /// By which handshake the tool is then told where to connect.
    Protocol protocol = {};
    /// Whether it is told so by a name that this machine has for the target (`name_of`), in place
    /// of the name in `protocol`.
    bool by_name = false;
    /// What the tool sends first on each of its connections to the server: a PROXY header of this
    /// version, which must tell the true address of the client.
    std::optional<ProxyVersion> server_header = {};
    /// A tool that is nowhere told of {source.address} is not expected to connect from there:
    /// `binds_source` is false then.
    Traits traits = {};
};

/// The test of a tool without a class of its own:
///
///     CommandTunnel{{}, {.command = {"microsocks", "-i", "{listen.address}", "-p",
///                                    "{listen.port}", "-b", "{source.address}"},
///                        .protocol = Socks5Options{}}}.run();
class CommandTunnel : public TestTunnel {
public:
    /// Starts nothing. The program is the command's first word, whatever `config.prog` says. Throws
    /// InvalidConfig for no command or program, for a placeholder that there is not, for files of
    /// the same name, and for `by_name` without a protocol that has names.
    explicit CommandTunnel(ConfigProg config, CommandOptions options);

    [[nodiscard]] std::string slug() const override { return options_.name; }

    /// Throws NoAddresses, too, where the tool is to be asked by name and the target has none.
    Server spawn_server(const AddrPort& proxy_listen, const AddrPort& svc_listen) override;

    /// With the name of the target for which the tool was started last; before that, an empty one.
    [[nodiscard]] Protocol protocol() const override { return protocol_; }
    [[nodiscard]] Traits traits() const override { return options_.traits; }
    void open_client(Socket& client) override;
    std::optional<Endpoint> open_server(Socket& server) override;

    /// As they were given, and what follows from them for `name` and `traits`.
    [[nodiscard]] const CommandOptions& options() const noexcept { return options_; }

private:
    static ConfigProg with_program(ConfigProg config, const CommandOptions& options);
    void validate() const;
    [[nodiscard]] bool speaks_of(std::string_view text) const;

    CommandOptions options_;
    Protocol protocol_;
};

/// The words of a command line, as a POSIX shell takes them apart (quotes and backslashes), but
/// without all else that a shell would do. Throws InvalidConfig for a quote that is not closed, a
/// backslash at the end, or no word.
Command split_command(std::string_view line);

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "detail/impl/command_tunnel.hpp" // IWYU pragma: export
#endif
