#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/run/detail/journal.hpp"

namespace test_tunnel::detail {

/// What checks have done ahead (`Check::prepare`), until they are run.
class Prepared {
public:
    /// What one check has done.
    struct Item {
        /// What its `prepare` has returned.
        std::shared_ptr<void> state;
        /// To which tool: the number of its start.
        int start = 0;
        /// What was written down meanwhile.
        Entries entries;
    };

    void keep(std::string_view id, Item item) { items_.insert_or_assign(id, std::move(item)); }

    /// What the check has done, which is then no longer kept.
    [[nodiscard]] std::optional<Item> take(std::string_view id) {
        const auto found = items_.find(id);
        if (found == items_.end()) {
            return std::nullopt;
        }
        std::optional result{std::move(found->second)};
        items_.erase(found);
        return result;
    }

    /// Whether it was done to the tool that runs now, and not so long ago that on a slow machine
    /// the tool may have taken the connection for dead.
    [[nodiscard]] static bool is_fresh(const Item& item, int start) {
        constexpr auto stale = std::chrono::seconds{4};
        return item.start == start && Clock::now() - item.entries.began < stale;
    }

    /// Whether checks may still do something ahead.
    [[nodiscard]] bool is_possible() const noexcept { return is_possible_; }

    /// Gives up all that was done, and does nothing ahead any more: it is in the way of a tool that
    /// serves only some connections at once. Returns whether there was anything.
    bool give_up() {
        is_possible_ = false;
        return !std::exchange(items_, {}).empty();
    }

private:
    std::map<std::string_view, Item> items_;
    bool is_possible_ = true;
};

} // namespace test_tunnel::detail
