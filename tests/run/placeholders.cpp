#include <test_tunnel/run/command_tunnel.hpp>
#include <test_tunnel/run/placeholders.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace test_tunnel;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

namespace {

AddrPort entry(const char* address, std::uint16_t port, const char* client,
               std::uint16_t client_port) {
    AddrPort result;
    result.address = Address::parse(address);
    result.svc_port = port;
    result.proxy_port = client_port;
    result.clients.push_back(Address::parse(client));
    return result;
}

Placeholders example() {
    auto values = placeholders_of(entry("::1", 6374, "2001:db8::1", 6375),
                                  entry("192.0.2.1", 80, "192.0.2.2", 81));
    values.set("dir", "/files");
    return values;
}

} // namespace

TEST_CASE("placeholders stand for the addresses and ports of a pair", "[placeholders]") {
    const auto values = example();
    for (const auto& [text, rendered] : std::vector<std::pair<std::string, std::string>>{
             {"TCP{listen.family}-LISTEN:{listen.port},bind={listen.bracketed}",
              "TCP6-LISTEN:6374,bind=[::1]"},
             {"{listen.address} {listen.endpoint}", "::1 [::1]:6374"},
             {"{target.address} {target.port} {target.family} {target.bracketed} {target.endpoint}",
              "192.0.2.1 80 4 192.0.2.1 192.0.2.1:80"},
             {"{source.address}:{source.port}", "192.0.2.2:81"},
             {"{client.address} {client.bracketed} {client.family}", "2001:db8::1 [2001:db8::1] 6"},
             {"{inner.endpoint}", "192.0.2.2:81"},
             {"{dir}/x", "/files/x"},
             {"", ""},
             {"none", "none"}}) {
        CHECK(values.render(text) == rendered);
    }
}

TEST_CASE("braces that are no placeholder stay as they are", "[placeholders]") {
    const auto values = example();
    for (const auto* const text :
         {"{", "}", "{}", "{ }", "a{", "{\"a\": {\"b\": 1}}", "frontend = {\n  host = x\n}",
          "[0-9]{3,5}", "{print $1}", "${", "{ print }", "{print", "}}", "{{", "{{}}"}) {
        CHECK(values.render(text) == text);
    }
    CHECK(values.render("awk '{{print}'") == "awk '{print}'");
    CHECK(values.render("${{HOME}") == "${HOME}");
    CHECK(values.render("{\"port\": {listen.port}}") == "{\"port\": 6374}");
}

TEST_CASE("a text may be for one family only", "[placeholders]") {
    const auto values = example(); // listens on IPv6, connects on IPv4
    const auto render = [&](std::string_view text) { return values.render(text); };
    CHECK(render("TCP{listen.4=4}{listen.6=6}-LISTEN") == "TCP6-LISTEN");
    CHECK(render("{target.4=0.0.0.0}{target.6=::}") == "0.0.0.0");
    CHECK(render("a{listen.4=x}b") == "ab");
    CHECK(render("{listen.6=}").empty());
    // Up to the brace that closes it, with placeholders and other braces.
    CHECK(render("{listen.6=[{listen.address}]:{listen.port}}!") == "[::1]:6374!");
    CHECK(render("{listen.4=[{listen.address}]}!") == "!");
    CHECK(render("{source.4={\"from\": \"{source.address}\"}}") == "{\"from\": \"192.0.2.2\"}");
    CHECK(render("{client.6=a}{inner.4=b}") == "ab");
    CHECK(render("{{listen.6=x}") == "{listen.6=x}");
    const Command words{"tool", "{listen.4=-4}", "{listen.6=-6}", "{target.6=-o}",
                        "",     "x{target.6=y}"};
    CHECK(values.render(words) == Command{"tool", "-6", "", "x"});
    for (const auto& [text, reason] : std::vector<std::pair<std::string, std::string>>{
             {"{listen.6}", "is written {listen.6=TEXT}"},
             {"{ listen.6=x}", "is written {listen.6=TEXT}"},
             {"{listen.6=x", "has no closing brace"},
             {"{lisen.6=x}", "did you mean {listen.6=TEXT}?"},
             {"{listen.6={listen.prt}}", "did you mean {listen.port}?"}}) {
        CHECK_THROWS_MATCHES(render(text), InvalidConfig,
                             MessageMatches(ContainsSubstring(reason)));
    }
    CHECK(render("{a=b} {a.b=c} {upstream.7=x}") == "{a=b} {a.b=c} {upstream.7=x}");
}

TEST_CASE("a client has no port that could be told", "[placeholders]") {
    const auto values = example();
    for (const auto* const text : {"{client.port}", "{client.endpoint}"}) {
        CHECK_THROWS_MATCHES(values.render(std::string_view{text}), InvalidConfig,
                             MessageMatches(ContainsSubstring("{inner.port} is")));
    }
}

TEST_CASE("what a placeholder stands for is not looked at again", "[placeholders]") {
    auto values = example();
    values.set("dir", "{listen.port}{nothing}");
    CHECK(values.render("{dir}") == "{listen.port}{nothing}");
}

TEST_CASE("a misspelt placeholder is refused, with the nearest and all that there are",
          "[placeholders]") {
    const auto values = example();
    for (const auto& [text, nearest] : std::vector<std::pair<std::string, std::string>>{
             {"{listen.prot}", "did you mean {listen.port}?"},
             {"{Listen.Port}", "did you mean {listen.port}?"},
             {"{target.addres}", "did you mean {target.address}?"},
             {"{tagret.family}", "did you mean {target.family}?"},
             {"{sock}", "is no placeholder; there are: "}}) {
        CHECK_THROWS_MATCHES(
            values.render("x" + text), InvalidConfig,
            MessageMatches(ContainsSubstring(text + " is no placeholder") &&
                           ContainsSubstring(nearest) && ContainsSubstring("{listen.address}, ") &&
                           ContainsSubstring("{inner.family}, {dir}")));
    }
    for (const auto* const text : {"{listen.port", "{ listen.port }", "{listen.port }",
                                   "{{listen.port}}", "{listen.port:"}) {
        CHECK_THROWS_MATCHES(values.render(text), InvalidConfig,
                             MessageMatches(ContainsSubstring("is written {listen.port}")));
    }
}

TEST_CASE("the nearest word is one that could have been meant", "[placeholders]") {
    const std::vector<std::string> all{"half_close", "reset", "no_delay"};
    CHECK(detail::nearest("half_clos", all) == "half_close");
    CHECK(detail::nearest("halfclosed", all) == "half_close");
    CHECK(detail::nearest("rest", all) == "reset");
    CHECK(detail::nearest("no", all) == "no_delay");
    CHECK(detail::nearest("something", all).empty());
    CHECK(detail::nearest("", all).empty());
    CHECK(detail::nearest("x", {}).empty());
    CHECK(detail::edits("", "abc") == 3);
    CHECK(detail::edits("kitten", "sitting") == 3);
}
