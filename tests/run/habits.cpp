// What is believed of a tool by when its connections come. The tools are functions here, and no
// time passes: so each kind of slowness can be tried, to the hundredth of a second.

#include <test_tunnel/run/detail/habits.hpp>
#include <test_tunnel/run/detail/trial.hpp>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <functional>
#include <optional>
#include <random>

using namespace test_tunnel;
using namespace test_tunnel::detail;
using namespace std::chrono_literals;

namespace {

/// How long a tool takes to connect onwards for its i-th client: from when that has connected or,
/// where the tool waits for the client's first word, from then.
using Dial = std::function<Duration(int)>;

constexpr Duration io = 10s; // more than that is a failure anyway

Trial first_word_trial() {
    return Trial{{.first = 1s, .longest = 8s}};
}

/// What one more connection shows.
void connect(Trial& trial, Duration dial, bool waits) {
    if (trial.needs_act() == false) {
        return;
    }
    if (trial.needs_act() == true) {
        trial.came_after_prompt_act(dial);
        return;
    }
    const auto waited = trial.patience();
    if (!waits && dial <= waited) {
        trial.came_by_itself();
    } else {
        trial.came_after_act(waited, waits ? dial : dial - waited);
    }
}

/// After how many of `count` connections it was believed, once, that the tool waits; nothing: it
/// never was.
std::optional<int> believed_to_wait(const Dial& dial, bool waits, int count = 30) {
    auto trial = first_word_trial();
    for (int i = 0; i < count; ++i) {
        connect(trial, dial(i), waits);
        if (trial.needs_act() == true) {
            return i + 1;
        }
    }
    return std::nullopt;
}

} // namespace

TEST_CASE("a tool that is always slow is never taken for one that waits for a word", "[habits]") {
    for (Duration dial = 0s; dial < io * 3 / 4; dial += 10ms) {
        INFO(text_of(dial));
        CHECK_FALSE(believed_to_wait([&](int) { return dial; }, false));
    }
}

TEST_CASE("a tool whose first connection is slow is never taken for one that waits for a word",
          "[habits]") {
    for (const Duration usual : {0ms, 1ms, 50ms, 250ms, 900ms}) {
        for (Duration first = 0s; first < io; first += 10ms) {
            INFO(text_of(first) << ", then " << text_of(usual));
            CHECK_FALSE(believed_to_wait([&](int i) { return i == 0 ? first : usual; }, false));
        }
    }
}

TEST_CASE("a tool that is slow every second time is never taken for one that waits for a word",
          "[habits]") {
    for (const int odd : {0, 1}) {
        for (Duration slow = 0s; slow < io * 3 / 4; slow += 10ms) {
            INFO(text_of(slow) << " for " << odd);
            CHECK_FALSE(believed_to_wait([&](int i) { return i % 2 == odd ? slow : 1ms; }, false));
        }
    }
}

TEST_CASE(
    "a tool that is slow at random is hardly ever taken for one that waits for a word, and not "
    "for long",
    "[habits]") {
    for (const Duration most : {1200ms, 1500ms, 2000ms, 4000ms, 9000ms}) {
        std::minstd_rand random{1};
        int believed = 0;
        int still_believed = 0;
        constexpr int tools = 2000;
        for (int tool = 0; tool < tools; ++tool) {
            auto trial = first_word_trial();
            bool once = false;
            for (int i = 0; i < 50; ++i) {
                connect(trial, most * static_cast<int>(random() % 1000) / 1000, false);
                once = once || trial.needs_act() == true;
            }
            believed += once ? 1 : 0;
            still_believed += trial.needs_act() == true ? 1 : 0;
        }
        INFO(text_of(most) << ": " << believed << " of " << tools << ", " << still_believed);
        CHECK(believed <= tools / 50);
        CHECK(still_believed <= tools / 500);
    }
}

TEST_CASE("a tool that waits for a word is known after two connections", "[habits]") {
    for (Duration dial = 0s; dial <= 250ms; dial += 10ms) {
        INFO(text_of(dial));
        CHECK(believed_to_wait([&](int) { return dial; }, true) == 2);
    }
    for (const Duration dial : {500ms, 1000ms, 2000ms}) { // these take a further one or two
        INFO(text_of(dial));
        const auto after = believed_to_wait([&](int) { return dial; }, true);
        REQUIRE(after);
        CHECK(*after <= 4);
    }
}

TEST_CASE("a tool that waits for a word is known on a busy machine, too", "[habits]") {
    std::minstd_rand random{1};
    for (int tool = 0; tool < 1000; ++tool) {
        const auto after = believed_to_wait(
            [&](int) { return std::chrono::milliseconds{random() % 400}; }, true, 20);
        CHECK(after);
    }
}

TEST_CASE("what comes by itself is a proof, whenever it is seen", "[habits]") {
    auto trial = first_word_trial();
    trial.came_after_act(1s, 1ms);
    trial.came_after_act(400ms, 1ms);
    CHECK(trial.needs_act() == true);
    trial.came_by_itself();
    CHECK(trial.needs_act() == false);
    trial.came_after_act(1s, 1ms);
    CHECK(trial.needs_act() == false);
}

TEST_CASE("what comes late though the word was said at once is tried anew", "[habits]") {
    auto trial = first_word_trial();
    trial.came_after_act(1s, 1ms);
    trial.came_after_act(400ms, 1ms);
    trial.came_after_prompt_act(100ms);
    CHECK(trial.needs_act() == true);
    trial.came_after_prompt_act(700ms);
    CHECK_FALSE(trial.needs_act());
    CHECK(trial.patience() > 1s);
}

TEST_CASE("what is declared of a tool is believed until it shows otherwise", "[habits]") {
    const Config config;
    Habits waits{Traits{.speaks_first = true}, config};
    CHECK(waits.speaks_first());
    CHECK(waits.first_word().patience() < scaled(500ms));
    connect(waits.first_word(), 1ms, true);
    CHECK(waits.first_word().needs_act() == true);

    Habits does_better{Traits{.speaks_first = true}, config};
    connect(does_better.first_word(), 1ms, false);
    CHECK_FALSE(does_better.speaks_first());

    Habits at_once{Traits{.speaks_first = false}, config};
    CHECK_FALSE(at_once.speaks_first());
    CHECK(at_once.first_word().needs_act() == false);
}

TEST_CASE("a connection that need not come is awaited for as long as others have taken",
          "[habits]") {
    Habits habits{Traits{}, Config{}};
    CHECK(habits.time_to_connect(200ms, 5s) == 200ms);
    habits.learn_time(50ms);
    CHECK(habits.time_to_connect(200ms, 5s) == 200ms);
    habits.learn_time(300ms);
    CHECK(habits.time_to_connect(200ms, 5s) == 900ms);
    habits.learn_time(4s);
    CHECK(habits.time_to_connect(200ms, 5s) == 5s);
    for (int i = 0; i < 50; ++i) {
        habits.learn_time(1ms);
    }
    CHECK(habits.time_to_connect(200ms, 5s) == 200ms);
}

TEST_CASE("an end that was once not passed on is not expected any more", "[habits]") {
    Habits habits{Traits{}, Config{}};
    CHECK_FALSE(habits.passes_end(Direction::up));
    habits.learn_end(Direction::up, true);
    CHECK(habits.passes_end(Direction::up));
    CHECK_FALSE(habits.passes_end(Direction::down));
    habits.learn_end(Direction::up, false);
    habits.learn_end(Direction::up, true);
    CHECK_FALSE(habits.passes_end(Direction::up));
}
