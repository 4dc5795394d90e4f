#pragma once

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "test_tunnel/base/detail/escape.hpp"
#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/config/console_style.hpp"
#include "test_tunnel/config/observer.hpp"
#include "test_tunnel/report/html_text.hpp"
#include "test_tunnel/report/progress.hpp"
#include "test_tunnel/report/report.hpp"

namespace test_tunnel {

namespace detail {

/// Back to the beginning of the line, and clears it (ECMA-48: CR, EL).
inline constexpr std::string_view clear_line = "\r\x1b[K";

/// Shows the checks that are run, one for each pair, on the last line of a terminal: see
/// show_progress.
class ProgressLine : public Observer {
public:
    explicit ProgressLine(int fd) : fd_{fd} {}

    void check_begins(const Progress& progress) override {
        auto& entry = pairs_[std::string{progress.pair}];
        entry = {progress.index, progress.count, std::string{progress.id}};
        std::size_t index = 0;
        std::size_t count = 0;
        std::string where;
        for (const auto& [pair, state] : pairs_) {
            index += state.index;
            count += state.count;
            where += fmt::format("{}{} {}", where.empty() ? "" : ", ", pair, state.id);
        }
        constexpr std::size_t bar_width = 20;
        const auto done = bar_width * index / std::max<std::size_t>(count, 1);
        const auto text = escape_controls(
            fmt::format("{} [{}{}] {}/{} {}", progress.slug, std::string(done, '#'),
                        std::string(bar_width - done, '.'), index + 1, count, where));
        // What is longer than the line could not be cleared.
        show(fmt::format("{}{}", clear_line, cut(text, columns() - 1)));
    }
    void pair_ended(const Report& report) override {
        for (const auto& entry : report.pairs) {
            pairs_.erase(entry.pair.name());
        }
        show(clear_line);
    }

private:
    [[nodiscard]] std::size_t columns() const {
        constexpr std::size_t usual = 80;
        winsize size{};
        return ::ioctl(fd_, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : usual;
    }
    void show(std::string_view text) const {
        // A terminal that takes no more loses a line that is gone soon anyway.
        static_cast<void>(::write(fd_, text.data(), text.size()) < 0);
    }

    struct State {
        std::size_t index = 0;
        std::size_t count = 0;
        std::string id{};
    };

    int fd_;
    /// The pairs that are being tested, by their names.
    std::map<std::string, State> pairs_;
};

} // namespace detail

TEST_TUNNEL_INLINE void show_progress(Config& config) {
    if (config.verbose || !detail::is_terminal(STDERR_FILENO)) {
        return;
    }
    config.log->set_pattern(fmt::format("{}{}", detail::clear_line, log_pattern));
    config.observers.push_back(std::make_shared<detail::ProgressLine>(STDERR_FILENO));
}

} // namespace test_tunnel
