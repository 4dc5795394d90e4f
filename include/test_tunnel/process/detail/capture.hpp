#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "test_tunnel/base/detail/fmt.hpp"

namespace test_tunnel::detail {

/// Keeps the beginning and the end of a text that may be endless; what was cut is counted.
class Capture {
public:
    static constexpr std::size_t head_limit = std::size_t{16} * 1024;
    static constexpr std::size_t tail_limit = std::size_t{48} * 1024;

    void add(std::string_view text) {
        total_ += text.size();
        const auto first = text.substr(0, head_limit - head_.size());
        head_ += first;
        tail_ += text.substr(first.size());
        // Cut rarely, so that the cost a byte stays constant.
        if (tail_.size() > 2 * tail_limit) {
            tail_.erase(0, tail_.size() - tail_limit);
        }
    }

    [[nodiscard]] std::size_t total() const noexcept { return total_; }

    [[nodiscard]] std::string text() const {
        const std::string_view tail = std::string_view{tail_}.substr(
            tail_.size() > tail_limit ? tail_.size() - tail_limit : 0);
        const std::size_t cut = total_ - head_.size() - tail.size();
        return cut == 0 ? fmt::format("{}{}", head_, tail)
                        : fmt::format("{}\n[... {} bytes cut ...]\n{}", head_, cut, tail);
    }

private:
    std::string head_;
    std::string tail_;
    std::size_t total_ = 0;
};

} // namespace test_tunnel::detail
