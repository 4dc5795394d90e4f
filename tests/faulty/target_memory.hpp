// What it remembers of a target that could not be reached.

#pragma once

#include <atomic>

#include "behaviours.hpp"
#include "sockets.hpp"

class TargetMemory {
public:
    /// Whether it does not try to connect now.
    [[nodiscard]] bool keeps_from_dialling() const {
        constexpr int often = 5;
        return Clock::now() < pauses_until_.load() || (is("tires-of-target") && returns_ >= often);
    }

    void note_refusal() {
        constexpr int many = 5;
        is_gone_ = true;
        if (is("breaks-for-a-moment")) {
            pauses_until_ = Clock::now() + 100ms;
        }
        if (is("pauses-after-refusals") && ++in_a_row_ == many) {
            in_a_row_ = 0;
            pauses_until_ = Clock::now() + 300ms;
        }
    }

    void note_success() {
        in_a_row_ = 0;
        returns_ += is_gone_.exchange(false) ? 1 : 0;
    }

private:
    std::atomic<bool> is_gone_ = false;
    std::atomic<int> returns_ = 0;
    std::atomic<int> in_a_row_ = 0;
    std::atomic<Clock::time_point> pauses_until_{};
};
