#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <test_tunnel/private_network/host_name.hpp>
#include <test_tunnel/private_network/host_names.hpp>
#include <test_tunnel/private_network/private_network.hpp>
#include <test_tunnel/process/process.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <cstddef>
#include <fstream>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "support/forked.hpp"
#include "support/network.hpp"

using namespace test_tunnel;
using Catch::Matchers::ContainsSubstring;
using support::private_addresses;
using support::PrivateNetwork;
using Names = std::vector<std::string>;

namespace {

const Address ipv4 = Address::parse("192.0.2.1");
const Address ipv6 = Address::parse("2001:db8::1");

std::string file_text(const char* path) {
    return detail::read_file(path).value_or("(can't be read)");
}

void write_text(const char* path, std::string_view text) {
    std::ofstream{path} << text;
}

/// The paths on which something is mounted, in the order of mounting.
Names mount_points() {
    std::ifstream file{"/proc/self/mounts"};
    Names result;
    for (std::string device, path, rest;
         file >> device >> path && static_cast<bool>(std::getline(file, rest));) {
        result.push_back(path);
    }
    return result;
}

/// What a program that is started finds out about a name: each of its addresses once.
std::set<std::string> resolved(const std::string& database, const std::string& name) {
    SpawnOptions options;
    options.argv = {"getent", database, name};
    auto process = Process::spawn(std::move(options));
    process.wait(Deadline::after(std::chrono::seconds{30}));
    std::set<std::string> result;
    const auto out = process.out();
    for (std::string_view text = out; !text.empty();) {
        const auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        result.insert(std::string{line.substr(0, line.find(' '))});
    }
    return result;
}

/// An /etc of the calling process's own with nothing in it but nsswitch.conf(5).
void replace_etc(std::string_view hosts_line) {
    detail::checked(::unshare(CLONE_NEWNS), "unshare");
    detail::checked(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "mount");
    detail::checked(::mount("tmpfs", "/etc", "tmpfs", 0, "mode=755"), "mount");
    write_text("/etc/nsswitch.conf", hosts_line);
}

/// Skips where the names of private networks can't be: without them that is no failure.
class NetworkWithNames : public PrivateNetwork {
public:
    NetworkWithNames() {
        if (!host_name_of(ipv4)) {
            SKIP("this private network has no names");
        }
    }
};

} // namespace

TEST_CASE_METHOD(NetworkWithNames,
                 "each address of a private network has a usual, a short and a long name",
                 "[names]") {
    std::set<std::string> seen;
    for (const auto& address : private_addresses()) {
        INFO(address.text());
        const auto names = names_of(address);
        REQUIRE(names.size() >= 3);
        CHECK(host_name_of(address) == names.front());
        CHECK_THAT(names.front(), Catch::Matchers::EndsWith(".test-tunnel.test"));
        for (const std::size_t size : {std::size_t{1}, std::size_t{22}, std::size_t{253}}) {
            CHECK(std::count_if(names.begin(), names.end(),
                                [&](const auto& name) { return name.size() == size; }) == 1);
        }
        for (const auto& name : names) {
            CHECK(seen.insert(name).second); // no other address's
        }
    }
}

TEST_CASE_METHOD(NetworkWithNames, "a program that is started resolves all names of the network",
                 "[names]") {
    enter_private_network();
    for (const auto& address : private_addresses()) {
        for (const auto& name : names_of(address)) {
            INFO(name);
            CHECK(resolved("ahosts", name) == std::set{address.text()});
        }
    }
    CHECK(resolved("ahostsv4", "localhost") == std::set<std::string>{"127.0.0.1"});
    CHECK(resolved("ahostsv6", "localhost") == std::set<std::string>{"::1"});
}

TEST_CASE_METHOD(NetworkWithNames, "a name that has a second address is nobody's", "[names]") {
    for (const auto* const text : {"127.0.0.1", "::1"}) {
        const auto names = names_of(Address::parse(text));
        CHECK(std::find(names.begin(), names.end(), "localhost") == names.end());
    }
}

TEST_CASE_METHOD(NetworkWithNames, "the addresses of a name that was taken change at once",
                 "[names]") {
    auto name = HostName::take();
    REQUIRE(name);
    CHECK(resolved("ahosts", name->text()).empty());
    name->resolve_to({ipv4});
    CHECK(resolved("ahosts", name->text()) == std::set<std::string>{"192.0.2.1"});
    name->resolve_to({Address::parse("127.0.0.1"), ipv6});
    CHECK(name->addresses().size() == 2);
    CHECK(resolved("ahosts", name->text()) == std::set<std::string>{"127.0.0.1", "2001:db8::1"});
    CHECK(resolved("ahosts", "ip4-1.test-tunnel.test") == std::set<std::string>{"192.0.2.1"});
    CHECK(name->can_be(ipv4));
    const auto other = Address::parse("198.51.100.77");
    CHECK_FALSE(name->can_be(other));
    CHECK_THROWS_AS(name->resolve_to({other}), NoAddresses);
    CHECK(name->addresses().size() == 2);
    name->resolve_to({});
    CHECK(resolved("ahosts", name->text()).empty());
}

TEST_CASE_METHOD(NetworkWithNames, "nobody else has a name that was taken", "[names]") {
    const auto for_good = names_of(ipv4);
    std::vector<HostName> all;
    std::set<std::string> seen;
    for (auto name = HostName::take(); name; name = HostName::take()) {
        CHECK(seen.insert(name->text()).second);
        name->resolve_to({ipv4});
        all.push_back(*std::move(name));
    }
    CHECK(seen.size() == static_cast<std::size_t>(detail::moving_count));
    {
        support::Forked child{[]() -> std::string { return HostName::take() ? "one" : "none"; }};
        CHECK(child.text() == "none");
    }
    CHECK(names_of(ipv4) == for_good);
    all.pop_back();
    const auto again = HostName::take();
    REQUIRE(again);
    CHECK(again->addresses().empty());
    CHECK(resolved("ahosts", again->text()).empty());
}

TEST_CASE("an address that no hosts file knows has no name", "[names]") {
    CHECK_FALSE(host_name_of(Address::parse("198.51.100.77")));
    CHECK(names_of(Address::parse("2001:db8:77::1")).empty());
}

TEST_CASE_METHOD(NetworkWithNames, "the names of a private network are seen in it only",
                 "[names]") {
    // This process is the outside of the one that is forked.
    const auto text = file_text(detail::hosts_path);
    const auto mounted = mount_points();
    support::Forked inside{[]() -> std::string {
        enter_private_network();
        if (!(std::ofstream{detail::hosts_path, std::ios::app} << "192.0.2.1 changed.test\n")) {
            return "not writable";
        }
        return host_name_of(ipv4).value_or("none") + '\n' + file_text(detail::hosts_path);
    }};
    const auto seen = inside.text();
    CHECK_THAT(seen, ContainsSubstring("ip4-1.test-tunnel.test\n") &&
                         ContainsSubstring("192.0.2.1 changed.test"));
    CHECK(file_text(detail::hosts_path) == text);
    CHECK(mount_points() == mounted);
    inside.kill();
    CHECK(file_text(detail::hosts_path) == text);
}

TEST_CASE_METHOD(NetworkWithNames, "the hosts file is all that is mounted, and what it said stays",
                 "[names]") {
    const auto before = mount_points();
    const auto text = file_text(detail::hosts_path);
    const int another_file = ::access("/etc/passwd", F_OK);
    enter_private_network();
    auto expected = before;
    expected.emplace_back(detail::hosts_path);
    CHECK(mount_points() == expected);
    // It had the names already. Those that move stand for whatever they stood for last.
    const auto now = file_text(detail::hosts_path);
    CHECK(now.size() == text.size());
    CHECK(detail::without_moving(now) == detail::without_moving(text));
    CHECK(::access("/etc/passwd", F_OK) == another_file);
}

TEST_CASE_METHOD(NetworkWithNames, "every user can read the names, whatever the umask", "[names]") {
    support::require_root();
    support::Forked nobody{[]() -> std::string {
        ::umask(077);
        enter_private_network();
        support::become_nobody();
        return host_name_of(ipv6).value_or("none");
    }};
    CHECK(nobody.text() == "ip6-1.test-tunnel.test");
}

TEST_CASE_METHOD(NetworkWithNames, "a user without any right has the names too", "[names]") {
    support::require_root();
    support::Forked nobody{[]() -> std::string {
        replace_etc("hosts: files\n");
        write_text(detail::hosts_path, "127.0.0.1 localhost"); // with no names, and no line's end
        support::become_nobody();
        try {
            enter_private_network();
        } catch (const PrivateNetworkUnavailable& error) {
            return std::string{"unavailable: "} + error.what();
        }
        if (resolved("ahosts", "ip6-2.test-tunnel.test") != std::set<std::string>{"2001:db8::2"}) {
            return "not resolved";
        }
        return file_text(detail::hosts_path);
    }};
    const auto text = nobody.text();
    if (text.find("unavailable: ") == 0) {
        SKIP(text);
    }
    CHECK_THAT(text, Catch::Matchers::StartsWith("127.0.0.1 localhost\n127.0.0.1 ip4-0."));
}

TEST_CASE_METHOD(NetworkWithNames, "a hosts file that is a symbolic link stays one", "[names]") {
    support::require_root();
    support::Forked linked{[]() -> std::string {
        replace_etc("hosts: files\n");
        write_text("/etc/true-hosts", "192.0.2.1 old.test\n");
        detail::checked(::symlink("true-hosts", detail::hosts_path), "symlink");
        enter_private_network();
        struct stat status {};
        detail::checked(::lstat(detail::hosts_path, &status), "lstat");
        const auto names = names_of(ipv4);
        return fmt::format("{} {}: {}", S_ISLNK(status.st_mode), names.size(), names.at(0));
    }};
    CHECK(linked.text() == "true 4: ip4-1.test-tunnel.test");
}

TEST_CASE_METHOD(NetworkWithNames,
                 "where names can't be, there are none, and the private network is there",
                 "[names]") {
    support::require_root();
    const auto outcome = []() -> std::string {
        enter_private_network();
        return fmt::format("{} addresses, {} names, hosts file {}", support::own_addresses().size(),
                           names_of(ipv4).size(),
                           ::access(detail::hosts_path, F_OK) == 0 ? "there" : "missing");
    };
    SECTION("no hosts file") {
        support::Forked forked{[&] {
            replace_etc("hosts: files\n");
            return outcome();
        }};
        CHECK(forked.text() == "6 addresses, 0 names, hosts file missing");
    }
    SECTION("a resolver that does not read it") {
        support::Forked forked{[&] {
            replace_etc("hosts: dns\n");
            write_text(detail::hosts_path, "");
            return outcome();
        }};
        CHECK(forked.text() == "6 addresses, 0 names, hosts file there");
    }
    SECTION("no right to mount") {
        support::Forked forked{[&]() -> std::string {
            replace_etc("hosts: files\n");
            write_text(detail::hosts_path, "192.0.2.2 old.test\n");
            detail::checked(::unshare(CLONE_NEWUSER), "unshare");
            detail::write_file("/proc/self/setgroups", "deny");
            if (!detail::write_file("/proc/self/uid_map", "0 0 1") ||
                !detail::write_file("/proc/self/gid_map", "0 0 1") ||
                !detail::write_file("/proc/sys/user/max_mnt_namespaces", "0")) {
                return "skip";
            }
            return outcome();
        }};
        const auto text = forked.text();
        if (text == "skip") {
            SKIP("mount namespaces can't be forbidden here");
        }
        CHECK(text == "6 addresses, 0 names, hosts file there");
    }
}

TEST_CASE("a hosts file is read as the resolver reads it", "[names]") {
    const std::string text =
        "# 192.0.2.1 comment\n"
        "192.0.2.1 one two\tthree # four\n"
        "\n"
        "   \t192.0.2.1\tindented\r\n"
        "192.0.2.10 other\n"
        "192.0.2.1\n"
        "no-address 192.0.2.1 wrong\n"
        "2001:DB8:0::1 six\n"
        "192.0.2.1 one last";
    CHECK(detail::names_in_hosts(text, ipv4) == Names{"one", "two", "three", "indented", "last"});
    CHECK(detail::names_in_hosts(text, ipv6) == Names{"six"});
    CHECK(detail::names_in_hosts(text, Address::parse("192.0.2.2")).empty());
    CHECK(detail::names_in_hosts("", ipv4).empty());
    CHECK(detail::names_in_hosts("\n\n#\n192.0.2.1#x\n", ipv4).empty());
}

TEST_CASE("what is no file that can be read has no names", "[names]") {
    CHECK_FALSE(detail::read_file("/"));
    CHECK_FALSE(detail::read_file("/nonexistent"));
    CHECK(detail::read_file("/dev/null") == "");
}

TEST_CASE("the names are added to what stands in a hosts file, once", "[names]") {
    const std::vector<Address> addresses{Address::parse("127.0.0.1"), ipv4};
    const auto text = detail::hosts_with_names("192.0.2.1 old", addresses);
    CHECK_THAT(text, Catch::Matchers::StartsWith("192.0.2.1 old\n127.0.0.1 localhost\n"
                                                 "127.0.0.1 ip4-0.test-tunnel.test\n"
                                                 "127.0.0.1 u\n"));
    CHECK_THAT(text, !ContainsSubstring("::1") && !ContainsSubstring("192.0.2.2")); // not there
    CHECK(detail::names_in_hosts(text, ipv4).size() == 4);
    CHECK(detail::hosts_with_names(text, addresses) == text);
    CHECK(detail::hosts_with_names("127.0.0.1 localhost\n", addresses).find("localhost\n127") !=
          std::string::npos);
}

TEST_CASE("a long name is as long as DNS allows, and so is each label", "[names]") {
    const auto name = detail::longest_name("ip4-1.test-tunnel.test");
    CHECK(name.size() == 253);
    CHECK_THAT(name, Catch::Matchers::StartsWith("ip4-1.xxx") &&
                         Catch::Matchers::EndsWith("xxx.test-tunnel.test"));
    for (std::string_view rest = name; !rest.empty();) {
        const auto label = rest.substr(0, rest.find('.'));
        CHECK(!label.empty());
        CHECK(label.size() <= 63);
        rest.remove_prefix(std::min(label.size() + 1, rest.size()));
    }
}
