#pragma once

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "../../observer.hpp"
#include "../../report/console_style.hpp"
#include "../../report/progress.hpp"
#include "../fmt.hpp"
#include "../html_text.hpp"
#include "../inline.hpp"
#include "../text.hpp"

namespace test_tunnel {

namespace detail {

/// Back to the beginning of the line, and clears it (ECMA-48: CR, EL).
inline constexpr std::string_view clear_line = "\r\x1b[K";

/// See show_progress.
class ProgressLine : public Observer {
public:
    explicit ProgressLine(int fd) : fd_{fd} {}

    void check_begins(const Progress& progress) override {
        constexpr std::size_t bar_width = 20;
        const auto done = bar_width * progress.index / std::max<std::size_t>(progress.count, 1);
        const auto text = escape_controls(fmt::format(
            "{} {} [{}{}] {}/{} {}", progress.slug, progress.pair, std::string(done, '#'),
            std::string(bar_width - done, '.'), progress.index + 1, progress.count, progress.id));
        // What is longer than the line could not be cleared.
        show(fmt::format("{}{}", clear_line, cut(text, columns() - 1)));
    }
    void pair_ended(const Report& /*report*/) override { show(clear_line); }

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

    int fd_;
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
