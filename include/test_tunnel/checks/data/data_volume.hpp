#pragma once

#include <poll.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/checks/detail/both_ways.hpp"
#include "test_tunnel/config/detail/trait_text.hpp"
#include "test_tunnel/config/detail/wording.hpp"
#include "test_tunnel/net/stream.hpp"
#include "test_tunnel/net/supervisor.hpp"
#include "test_tunnel/process/server.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Looks after the tool without a limit on the whole: what goes on may do so for as long as it
/// takes.
class Unlimited final : public Supervisor {
public:
    explicit Unlimited(PairRun& run)
        : supervisor_{run.supervisor()}, tool_{run.tool()}, longest_{run.config().timeouts.check} {}

    void append_to(std::vector<pollfd>& fds) const override { supervisor_->append_to(fds); }
    void handle() override { supervisor_->handle(); }
    void require_running() const override { supervisor_->require_running(); }
    void require_time(std::string_view awaited) const override {
        tool_.limit(longest_);
        supervisor_->require_time(awaited);
    }
    [[nodiscard]] Duration longest_wait() const override { return supervisor_->longest_wait(); }

private:
    std::shared_ptr<Supervisor> supervisor_;
    Server& tool_;
    Duration longest_;
};

/// Carries as much as was asked for, both ways at once, through one connection: what counts bytes,
/// or makes its keys anew, may come to an end of that. It fails where nothing happens for a while,
/// however long all of it takes.
inline void carry_volume(PairRun& run) {
    const auto volume = run.config().volume;
    if (volume == 0) {
        throw NotApplicable{fmt::format("no volume is asked for ({})",
                                        detail::wording_of_volume(run.config().dialect))};
    }
    auto size = detail::TraitText<std::size_t>::write(volume); // "5GiB"
    const auto unit = size.find_first_not_of("0123456789");
    size = unit == std::string::npos ? size + " bytes" : size.insert(unit, " ");
    auto connection = run.connect();
    run.step("volume", fmt::format("{} arrive as they were written, both ways at once", size),
             Party::client, Party::server);
    auto streams = both_ways(run, connection, volume);
    const auto began = Clock::now();
    const auto supervisor = std::make_shared<Unlimited>(run);
    test_tunnel::transfer(streams, std::shared_ptr<Supervisor>{supervisor},
                          {.patience = run.config().timeouts.io});
    const auto taken = Clock::now() - began;
    constexpr double million = 1e6;
    run.note(fmt::format("{} each way, both at once, took {}: {:.0f} MB/s each", size,
                         text_of(taken),
                         double(volume) / std::chrono::duration<double>{taken}.count() / million));
    run.round_trip(connection);
}

inline constexpr Check data_volume{
    .id = "data.volume",
    .title = "as many bytes as Config::volume (--volume) says go each way in one connection",
    .presumes = {"data.duplex"},
    .is_asked_for = [](const Config& config) { return config.volume > 0; },
    .run = carry_volume};

} // namespace test_tunnel::check
