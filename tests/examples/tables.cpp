// The tables in the READMEs that are facts of the code, compared with what the code prints. Those
// that have changed are written anew with TEST_TUNNEL_ACCEPT_TEXTS=1; read them.

#include <test_tunnel/config/detail/trait_markdown.hpp>
#include <test_tunnel/run/detail/checks_table.hpp>
#include <test_tunnel/run/detail/options_table.hpp>

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

using namespace test_tunnel;

namespace {

std::string read(const std::string& path) {
    std::ifstream file{path};
    return {std::istreambuf_iterator<char>{file}, {}};
}

/// That the file, whose path is relative to the project's directory, has the table between the
/// marks of this name.
void check_table(std::string_view file, std::string_view name, const std::string& table) {
    const auto path = fmt::format("{}/{}", SOURCE_DIRECTORY, file);
    auto text = read(path);
    const auto first = fmt::format("<!-- {} -->\n", name);
    const auto last = fmt::format("<!-- /{} -->\n", name);
    const auto mark = text.find(first);
    REQUIRE(mark != std::string::npos);
    const auto begin = mark + first.size();
    const auto end = text.find(last, begin);
    REQUIRE(end != std::string::npos);
    const char* accept = std::getenv("TEST_TUNNEL_ACCEPT_TEXTS");
    if (accept != nullptr && *accept == '1') {
        text.replace(begin, end - begin, table);
        std::ofstream{path} << text;
        return;
    }
    CHECK(text.substr(begin, end - begin) == table);
}

} // namespace

TEST_CASE("the table of options is what the code prints", "[tables]") {
    check_table("include/test_tunnel/config/README.md", "options", detail::options_table());
}

TEST_CASE("the table of traits is what the code prints", "[tables]") {
    check_table("include/test_tunnel/config/TRAITS.md", "traits", detail::traits_table());
    check_table("include/test_tunnel/checks/datagram/README.md", "traits",
                detail::traits_table({.udp = true}));
}

TEST_CASE("the table of checks is what the code prints", "[tables]") {
    check_table("include/test_tunnel/checks/README.md", "checks", detail::checks_table());
    check_table("include/test_tunnel/checks/datagram/README.md", "checks",
                detail::checks_table({.udp = true}));
}
