#pragma once

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "../log.hpp"
#include "capture.hpp"
#include "fmt.hpp"
#include "system.hpp"
#include "text.hpp"
#include "unique_fd.hpp"

namespace test_tunnel::detail {

/// Whether a line of output is the report of a sanitizer, or of valgrind with errors in it.
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

/// One output of a process, from the first byte on: drained without waiting, its beginning and end
/// kept, its lines logged and looked through for alarms.
class Output {
public:
    Output() = default;
    /// `pipe` does not block. `title` stands before each line in the log; null: no log.
    Output(UniqueFd pipe, std::string title, std::shared_ptr<Logger> log)
        : pipe_{std::move(pipe)}, title_{std::move(title)}, log_{std::move(log)} {}

    /// -1 once nobody can write to it any more.
    [[nodiscard]] int fd() const noexcept { return pipe_.get(); }

    /// All of it, or its beginning and its end.
    [[nodiscard]] std::string text() const { return capture_.text(); }

    /// The first line that is an alarm, without control bytes; empty where there was none.
    [[nodiscard]] const std::string& alarm() const noexcept { return alarm_; }

    /// Takes what is there, once: a process that never stops to print must not keep it from
    /// returning.
    void drain() {
        if (!pipe_) {
            return;
        }
        // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): read() fills it
        std::array<char, std::size_t{16} * 1024> buffer;
        const auto count =
            retry_eintr([&] { return ::read(pipe_.get(), buffer.data(), buffer.size()); });
        if (count > 0) {
            const std::string_view text{buffer.data(), static_cast<std::size_t>(count)};
            capture_.add(text);
            split(text);
        } else if (count == 0 || errno != EAGAIN) {
            pipe_.reset();
            if (!line_.empty()) {
                end_line();
            }
        }
    }

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
};

} // namespace test_tunnel::detail
