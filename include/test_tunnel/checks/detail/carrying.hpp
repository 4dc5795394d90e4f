#pragma once

// Carrying streams through a tool that may end meanwhile.

#include <poll.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/error.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/net/stream.hpp"
#include "test_tunnel/net/supervisor.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Looks after the tool, but lets it end: a tool that serves just one connection may have ended
/// before the last of its bytes have been read.
class Lenient final : public Supervisor {
public:
    explicit Lenient(std::shared_ptr<Supervisor> supervisor) : supervisor_{std::move(supervisor)} {}

    void append_to(std::vector<pollfd>& fds) const override { supervisor_->append_to(fds); }
    void handle() override { supervisor_->handle(); }
    void require_running() const override {}
    void require_time(std::string_view awaited) const override {
        supervisor_->require_time(awaited);
    }
    [[nodiscard]] Duration longest_wait() const override { return supervisor_->longest_wait(); }

private:
    std::shared_ptr<Supervisor> supervisor_;
};

/// Returns a supervisor of the check's tool that lets it end.
inline std::shared_ptr<Supervisor> lenient(PairRun& run) {
    return std::make_shared<Lenient>(run.supervisor());
}

/// Waits for the next bytes of a stream, `most` at most, and compares them. Returns how many came,
/// 0 at the end of the stream. Throws Unexpected where they are not what was written, SystemError
/// for a reset, and TimedOut.
inline std::size_t read_piece(Stream& stream, std::uint64_t most) {
    std::array<char, 4096> buffer{};
    const auto count =
        stream.to.read_some(buffer.data(), std::min<std::uint64_t>(buffer.size(), most));
    stream.take({buffer.data(), count});
    return count;
}

/// Carries streams as `transfer` does, but lets the tool end: the streams show what has come of
/// them.
inline bool carry(PairRun& run, std::span<Stream> streams, const TransferOptions& options) {
    const auto supervisor = lenient(run);
    return transfer(streams, supervisor, options);
}

/// Writes `size` further bytes of an answer and reads them at the other end. Returns false where
/// the stream ends or breaks instead, and throws Unexpected where nothing comes.
inline bool answer(PairRun& run, Stream& stream, std::size_t size) {
    const auto before = stream.from.written();
    const auto bytes = stream.pattern.bytes(stream.written, size);
    stream.size = stream.written + size;
    try {
        stream.from.write(bytes);
    } catch (const SystemError&) {
        // The tool has closed this connection already: what the other side sees decides.
    }
    stream.written += stream.from.written() - before;
    try {
        while (stream.read < stream.size) {
            // More than is missing, so that what comes too much is seen.
            if (read_piece(stream, stream.size - stream.read + 1) == 0) {
                return false;
            }
        }
    } catch (const SystemError&) {
        return false;
    } catch (const TimedOut& error) {
        throw Unexpected{run.expected(),
                         fmt::format("neither came: {}\n({})", error.what(), stream.progress()),
                         Cause::timed_out};
    }
    return true;
}

} // namespace test_tunnel::check
