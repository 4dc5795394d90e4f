// What a pair's run is made of, each part by itself: what is written down, what is done
// ahead, and the tool's life. What is learnt of a tool is in habits.cpp.

#include <test_tunnel/run/detail/habits.hpp>
#include <test_tunnel/run/detail/journal.hpp>
#include <test_tunnel/run/detail/prepared.hpp>
#include <test_tunnel/run/detail/tool_life.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <memory>
#include <utility>

#include "support/child.hpp"
#include "support/quiet_config.hpp"

using namespace test_tunnel;
using namespace test_tunnel::detail;
using Catch::Matchers::ContainsSubstring;

namespace {

Journal quiet_journal() {
    return Journal{support::quiet_config().log};
}

void step(Journal& journal, const std::string& name) {
    journal.step(StepKind::other, name, "it goes well", Party::tool, Party::tool);
}

} // namespace

TEST_CASE("a journal has the steps of one check, and notes each text once", "[journal]") {
    auto journal = quiet_journal();
    journal.begin("first");
    CHECK(journal.expected() == "the check passes");
    step(journal, "one");
    step(journal, "two");
    journal.note({"reset", "it is odd"});
    journal.note({"reset", "it is odd"});
    CHECK(journal.expected() == "it goes well");
    CHECK(journal.entries().notes.size() == 1);
    journal.forget_steps(1);
    const auto first = journal.take();
    REQUIRE(first.steps.size() == 1);
    CHECK(first.steps.front().name == "one");

    journal.begin("second");
    journal.note({"reset", "it is odd"});
    CHECK(journal.entries().notes.empty());
    journal.forget(first); // nobody has been told
    journal.note({"reset", "it is odd"});
    CHECK(journal.entries().notes.size() == 1);
}

TEST_CASE("a journal goes on with a page that was torn out", "[journal]") {
    auto journal = quiet_journal();
    journal.begin("ahead");
    step(journal, "one");
    auto page = journal.take();
    const auto began = page.began;
    journal.begin("now");
    journal.resume(std::move(page));
    step(journal, "two");
    CHECK(journal.entries().steps.size() == 2);
    CHECK(journal.entries().began == began);
}

TEST_CASE("what a check has done ahead is taken once, of the same tool, and not when it is old",
          "[prepared]") {
    Prepared prepared;
    prepared.keep("a.check", {.state = std::make_shared<int>(7), .start = 2, .entries = {}});
    CHECK_FALSE(prepared.take("another").has_value());
    auto item = prepared.take("a.check");
    REQUIRE(item.has_value());
    CHECK_FALSE(prepared.take("a.check").has_value());
    CHECK(Prepared::is_fresh(*item, 2));
    CHECK_FALSE(Prepared::is_fresh(*item, 3));
    item->entries.began -= std::chrono::seconds{5};
    CHECK_FALSE(Prepared::is_fresh(*item, 2));
}

TEST_CASE("after what was done ahead was given up, nothing is done ahead", "[prepared]") {
    Prepared prepared;
    CHECK(prepared.is_possible());
    prepared.keep("a.check", {});
    CHECK(prepared.give_up());
    CHECK_FALSE(prepared.give_up());
    CHECK_FALSE(prepared.is_possible());
    CHECK_FALSE(prepared.take("a.check").has_value());
}

namespace {

/// The life of a tool that does `commands`.
struct Life {
    explicit Life(support::Words to_do, Traits declared = {}, Level level = Level::standard)
        : config{support::quiet_config(level)},
          traits{std::move(declared)},
          habits{traits, config},
          journal{config.log},
          commands{std::move(to_do)},
          life{config,
               traits,
               support::any_pair(config),
               [this](const AddrPort&, const AddrPort&) {
                   return Server{Process::spawn(support::child(commands))};
               },
               journal,
               habits} {}

    ConfigProg config;
    Traits traits;
    Habits habits{traits, config};
    Journal journal;
    support::Words commands;
    ToolLife life;
};

} // namespace

TEST_CASE(
    "a tool is started when it is needed, behind a server that listens, and anew on other ports",
    "[tool life]") {
    Life it{{"wait"}};
    CHECK_FALSE(it.life.has_tool());
    const auto first = it.life.pair().svc_listen.listen();
    static_cast<void>(it.life.tool());
    CHECK(it.life.has_tool());
    CHECK(it.life.starts() == 1);
    CHECK(it.life.pair().svc_listen.listen() == first);
    Socket client{first.address.family()};
    CHECK(client.try_connect(first));

    it.life.kill();
    CHECK_FALSE(it.life.has_tool());
    static_cast<void>(it.life.listener());
    CHECK(it.life.starts() == 2);
    CHECK(it.life.pair().svc_listen.listen() != first);
}

TEST_CASE("a tool that ends by itself may do so after just one connection", "[tool life]") {
    Life it{{"exit", "0"}};
    static_cast<void>(it.life.tool());
    CHECK(it.life.ends_well());
    SECTION("after one, which is noted") {
        it.life.count_connection();
        it.life.end_by_itself();
        CHECK_FALSE(it.life.has_tool());
        REQUIRE(it.journal.entries().notes.size() == 1);
        CHECK(it.journal.entries().notes.front().declaration ==
              NamedTrait{"serves_again", "false"});
    }
    SECTION("not after two") {
        it.life.set_connections(2);
        CHECK_THROWS_MATCHES(
            it.life.end_by_itself(), Unexpected,
            Catch::Matchers::MessageMatches(ContainsSubstring("after 2 connections")));
    }
}
