#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace support {

/// The other side of a handshake that has already said all that it ever will: no sockets, no
/// waiting. Gives at most `piece` bytes at once.
class MemoryStream {
public:
    explicit MemoryStream(std::string_view input, std::size_t piece = std::string_view::npos)
        : input_{input}, piece_{piece} {}

    std::size_t read_some(char* buffer, std::size_t size) {
        const auto count = input_.substr(consumed_, std::min(size, piece_)).copy(buffer, size);
        consumed_ += count;
        return count;
    }

    void write(std::string_view data) { written_ += data; }

    [[nodiscard]] std::size_t consumed() const noexcept { return consumed_; }
    [[nodiscard]] const std::string& written() const noexcept { return written_; }

private:
    std::string_view input_;
    std::size_t piece_;
    std::size_t consumed_ = 0;
    std::string written_;
};

} // namespace support
