#pragma once

#include <spdlog/sinks/ringbuffer_sink.h>
#include <test_tunnel/config/config.hpp>

#include <cstddef>
#include <memory>
#include <string>

namespace support {

/// Keeps what the library logs, at `debug`. What it gives out may outlive it.
class RecordingLog {
public:
    RecordingLog() {
        log_->set_pattern("%l: %v");
        log_->set_level(spdlog::level::debug);
    }

    /// A configuration that logs here.
    [[nodiscard]] test_tunnel::Config config() const {
        test_tunnel::Config result;
        result.log = log_;
        return result;
    }

    /// One line an entry: "info: 4 combinations to test".
    [[nodiscard]] std::string text() const {
        std::string result;
        for (const auto& line : sink_->last_formatted()) {
            result += line;
        }
        return result;
    }

    [[nodiscard]] bool contains(const std::string& words) const {
        return text().find(words) != std::string::npos;
    }

    [[nodiscard]] std::size_t lines() const { return sink_->last_formatted().size(); }

private:
    static constexpr std::size_t most_lines = 1000;

    std::shared_ptr<spdlog::sinks::ringbuffer_sink_mt> sink_ =
        std::make_shared<spdlog::sinks::ringbuffer_sink_mt>(most_lines);
    std::shared_ptr<test_tunnel::Logger> log_ =
        std::make_shared<test_tunnel::Logger>("recording", sink_);
};

} // namespace support
