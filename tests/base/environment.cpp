#include <langinfo.h>
#include <locale.h>
#include <test_tunnel/base/environment.hpp>
#include <test_tunnel/process/process.hpp>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstdlib>
#include <string>

using namespace test_tunnel;

TEST_CASE("the locale that is found is there, and its encoding is UTF-8", "[utf8_env]") {
    const auto name = utf8_locale();
    if (name == "C") {
        SKIP("this system has no UTF-8 locale");
    }
    locale_t locale = newlocale(LC_ALL_MASK, name.c_str(), locale_t{});
    REQUIRE(locale != locale_t{});
    CHECK(std::string{nl_langinfo_l(CODESET, locale)} == "UTF-8");
    freelocale(locale);
}

TEST_CASE("looking for a locale leaves that of the process alone", "[utf8_env]") {
    const std::string before = setlocale(LC_ALL, nullptr);
    utf8_locale();
    CHECK(setlocale(LC_ALL, nullptr) == before);
}

TEST_CASE("the environment has the locale in LC_ALL and an empty LANGUAGE", "[utf8_env]") {
    ::setenv("LC_ALL", "tlh_KX.KOI8", 1);
    ::setenv("LANGUAGE", "tlh", 1);
    const auto environment = utf8_environment();
    CHECK(environment.at("LC_ALL") == utf8_locale());
    CHECK(environment.at("LANGUAGE").empty());
}

TEST_CASE("the environment has the locale where the caller has none", "[utf8_env]") {
    ::unsetenv("LC_ALL");
    ::unsetenv("LANGUAGE");
    CHECK(utf8_environment().at("LC_ALL") == utf8_locale());
    CHECK(utf8_environment().at("LANGUAGE").empty());
}

TEST_CASE("the rest of the environment is kept", "[utf8_env]") {
    ::setenv("TEST_TUNNEL_KEPT", "a=b c\n=", 1);
    ::setenv("TEST_TUNNEL_EMPTY", "", 1);
    auto kept = utf8_environment();
    CHECK(kept.at("TEST_TUNNEL_KEPT") == "a=b c\n=");
    CHECK(kept.at("TEST_TUNNEL_EMPTY").empty());

    auto current = current_environment();
    for (const auto* const name : {"LC_ALL", "LANGUAGE"}) {
        kept.erase(name);
        current.erase(name);
    }
    CHECK(kept == current);
}

TEST_CASE("the caller's own environment is not changed", "[utf8_env]") {
    ::setenv("LC_ALL", "POSIX", 1);
    const auto before = current_environment();
    utf8_environment();
    CHECK(current_environment() == before);
}

TEST_CASE("an environment with odd entries is read", "[utf8_env]") {
    // As execve allows it: no '=', no name, a name twice (getenv takes the first).
    std::array entries{std::string{"nothing"}, std::string{"=C:=x"}, std::string{"A=1"},
                       std::string{"A=2"}, std::string{"=y"}};
    std::array<char*, 6> pointers{entries[0].data(), entries[1].data(), entries[2].data(),
                                  entries[3].data(), entries[4].data(), nullptr};
    char** const before = environ;
    environ = pointers.data();
    const auto odd = current_environment();
    environ = nullptr;
    const auto none = current_environment();
    environ = before;
    CHECK(odd == Environment{{"=C:", "x"}, {"A", "1"}});
    CHECK(none.empty());
}

TEST_CASE("a program sees a UTF-8 encoding", "[utf8_env]") {
    if (utf8_locale() == "C") {
        SKIP("this system has no UTF-8 locale");
    }
    SpawnOptions options;
    options.argv = {"sh", "-c", "locale charmap"};
    options.environment = utf8_environment();
    auto process = Process::spawn(std::move(options));
    REQUIRE(process.wait(Deadline::after(std::chrono::seconds{10})));
    if (process.status()->code() != 0) {
        SKIP("there is no command `locale`");
    }
    CHECK(process.out() == "UTF-8\n");
    CHECK(process.err().empty());
}
