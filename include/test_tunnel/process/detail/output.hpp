#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "test_tunnel/base/detail/escape.hpp"
#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/detail/system.hpp"
#include "test_tunnel/base/detail/unique_fd.hpp"
#include "test_tunnel/base/log.hpp"
#include "test_tunnel/process/detail/capture.hpp"

namespace test_tunnel::detail {

/// Returns whether a line of output is the report of a sanitizer, or of valgrind with errors in it.
inline bool is_alarm(std::string_view line) {
    const auto contains = [&](std::string_view text) {
        return line.find(text) != std::string_view::npos;
    };
    constexpr std::string_view summary = "ERROR SUMMARY: ";
    if (const auto found = line.find(summary); found != std::string_view::npos) {
        const auto count = line.substr(found + summary.size());
        return !count.empty() && count.front() != '0';
    }
    return contains("runtime error:") || contains("ERROR: AddressSanitizer") ||
           contains("ERROR: LeakSanitizer") || contains("WARNING: ThreadSanitizer") ||
           contains("WARNING: MemorySanitizer") || contains("ERROR: HWAddressSanitizer");
}

/// Fills the pipe of which this is the read end, and returns with how many bytes; 0 where the
/// system can't open its other end, as only Linux can.
inline std::size_t fill_pipe(int read_end) {
    const auto path = fmt::format("/proc/self/fd/{}", read_end);
    const UniqueFd other{::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC)};
    const std::string filling(std::size_t{4096}, '\0');
    std::size_t result = 0;
    for (auto size = filling.size(); other && size > 0;) {
        const auto count = retry_eintr([&] { return ::write(other.get(), filling.data(), size); });
        if (count > 0) {
            result += static_cast<std::size_t>(count);
        } else {
            size /= 2; // what fits no more in one piece
        }
    }
    return result;
}

/// One output of a process, from the first byte on: drained without waiting, its beginning and end
/// kept, its lines logged and looked through for alarms.
class Output {
public:
    Output() = default;
    /// `pipe` does not block. `title` stands before each line in the log; null: no log.
    Output(UniqueFd pipe, std::string title, std::shared_ptr<Logger> log)
        : pipe_{std::move(pipe)}, title_{std::move(title)}, log_{std::move(log)} {}

    /// Returns the descriptor on which there may be something to read; -1 once nobody can write to
    /// it any more, and while nothing is read.
    [[nodiscard]] int fd() const noexcept { return is_held_ ? -1 : pipe_.get(); }

    /// Returns all of it, or its beginning and its end.
    [[nodiscard]] std::string text() const { return capture_.text(); }

    /// Returns the first line that is an alarm, without control bytes; empty where there was none.
    [[nodiscard]] const std::string& alarm() const noexcept { return alarm_; }

    /// Takes what is there, once: a process that never stops to print must not keep it from
    /// returning.
    void drain() {
        if (!pipe_ || is_held_) {
            return;
        }
        // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): read() fills it
        std::array<char, std::size_t{16} * 1024> buffer;
        const auto count =
            retry_eintr([&] { return ::read(pipe_.get(), buffer.data(), buffer.size()); });
        if (count > 0) {
            std::string_view text{buffer.data(), static_cast<std::size_t>(count)};
            const auto skipped = std::min(filling_, text.size());
            filling_ -= skipped;
            text.remove_prefix(skipped);
            capture_.add(text);
            split(text);
        } else if (count == 0 || errno != EAGAIN) {
            pipe_.reset();
            if (!line_.empty()) {
                end_line();
            }
        }
    }

    /// Closes this end: whoever writes from now on has lost its reader (EPIPE, SIGPIPE).
    void close() {
        drain();
        pipe_.reset();
    }

    /// Reads nothing until `release`, and fills the pipe: whoever writes has to wait. Returns
    /// false, and does nothing, where the system has no way to that.
    bool hold() {
        if (!pipe_) {
            return false;
        }
        drain();
        const auto filled = fill_pipe(pipe_.get());
        is_held_ = filled > 0;
        filling_ += filled;
        return is_held_;
    }
    void release() noexcept { is_held_ = false; }

private:
    void split(std::string_view text) {
        constexpr std::size_t longest_line = 1000;
        while (!text.empty()) {
            const auto part =
                text.substr(0, std::min(text.find('\n'), longest_line - line_.size()));
            line_ += part;
            text.remove_prefix(part.size());
            const bool ends = !text.empty() && text.front() == '\n';
            if (ends || line_.size() == longest_line) {
                end_line();
            }
            if (ends) {
                before_.clear();
                text.remove_prefix(1);
            }
        }
    }

    void end_line() {
        // What tells an alarm may begin in one piece of a long line and end in the next.
        constexpr std::size_t longest_sign = 32;
        before_ += line_;
        if (alarm_.empty() && is_alarm(before_)) {
            alarm_ = escape_controls(before_);
        }
        before_.erase(0, before_.size() - std::min(before_.size(), longest_sign));
        if (log_ && log_->should_log(spdlog::level::debug)) {
            log_->debug(fmt::format("{}: {}", title_, escape_controls(line_)));
        }
        line_.clear();
    }

    UniqueFd pipe_;
    std::string title_;
    std::shared_ptr<Logger> log_;
    Capture capture_;
    std::string line_;
    /// The end of what came before on the same line.
    std::string before_;
    std::string alarm_;
    bool is_held_ = false;
    /// How many bytes will come first that are not the process's.
    std::size_t filling_ = 0;
};

} // namespace test_tunnel::detail
