#pragma once

#include <spdlog/sinks/sink.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "test_tunnel/base/log.hpp"

namespace test_tunnel::detail {

/// A sink that hands each line to a function, without the logger's pattern.
class LogRelay final : public spdlog::sinks::sink {
public:
    using Take = std::function<void(int level, std::string text)>;

    explicit LogRelay(Take take) : take_{std::move(take)} {}

    void log(const spdlog::details::log_msg& message) override {
        take_(message.level, std::string{message.payload.data(), message.payload.size()});
    }
    void flush() override {}
    void set_pattern(const std::string& /*pattern*/) override {}
    void set_formatter(std::unique_ptr<spdlog::formatter> /*formatter*/) override {}

private:
    Take take_;
};

/// Has `log` hand its lines to `take`, and to nobody else, from now on.
inline void relay_log(Logger& log, LogRelay::Take take) {
    log.sinks() = {std::make_shared<LogRelay>(std::move(take))};
}

} // namespace test_tunnel::detail
