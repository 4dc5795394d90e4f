// check_command on tools that speak TLS, at either end.

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "support/network.hpp"
#include "support/program_result.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Arguments = std::vector<std::string>;

namespace {

support::ProgramResult run(Arguments arguments) {
    auto environment = utf8_environment();
    environment["TEST_TUNNEL_NETWORK"] = "host"; // this test's
    arguments.insert(arguments.begin(), CHECK_COMMAND);
    return support::run_program(std::move(arguments), std::move(environment), 100s);
}

/// socat with these two addresses, TLS being at this end.
support::ProgramResult run_socat(const std::string& end, const std::string& listen,
                                 const std::string& connect) {
    auto result = run({"--level", "hello", end, "--", "socat", listen, connect});
    if (result.code == 77) {
        SKIP(result.err);
    }
    return result;
}

const std::string port = "{listen.port},bind={listen.bracketed},fork,reuseaddr";
const std::string plain_listen = "TCP{listen.family}-LISTEN:" + port;
const std::string plain_connect = "TCP{target.family}:{target.endpoint}";
const std::string tls_listen = "OPENSSL-LISTEN:" + port + ",pf=ip{listen.family},verify=0,cert=";
const std::string tls_connect =
    "OPENSSL:{target.endpoint},pf=ip{target.family},commonname=proxy.test,cafile=";

} // namespace

TEST_CASE("a tool passes that terminates TLS with the certificate it is given", "[check_command]") {
    const auto result = run_socat("--client-tls", tls_listen + "{tls.pem}", plain_connect);
    INFO(result.err);
    CHECK(result.code == 0);
}

TEST_CASE("a tool passes that originates TLS and trusts the authority it is given",
          "[check_command]") {
    const auto result = run_socat("--server-tls", plain_listen, tls_connect + "{tls.authority}");
    INFO(result.err);
    CHECK(result.code == 0);
}

TEST_CASE("a tool passes that demands certificates of its clients, and fails where it does not",
          "[check_command]") {
    const auto run_level = [](const std::string& verify) {
        auto result = run({"--check", "hello", "--check", "tls.client_certificate", "--pair", "4-4",
                           "--client-tls", "--client-certificate", "--", "socat",
                           "OPENSSL-LISTEN:" + port + ",pf=ip{listen.family},verify=" + verify +
                               ",cafile={tls.clients},cert={tls.pem}",
                           plain_connect});
        if (result.code == 77) {
            SKIP(result.err);
        }
        return result;
    };
    const auto good = run_level("1");
    INFO(good.err);
    CHECK(good.code == 0);
    const auto bad = run_level("0");
    CHECK(bad.code == 1);
    CHECK_THAT(bad.err, ContainsSubstring("tls.certificate.none"));
}

TEST_CASE("a tool passes that demands a name of its clients, and fails where it does not",
          "[check_command]") {
    const auto run_with = [](const std::string& more) {
        return run({"--check", "hello", "--check", "tls.client_certificate", "--pair", "4-4",
                    "--client-tls", "--client-certificate", "--client-name", "--", "socat",
                    "OPENSSL-LISTEN:" + port + ",pf=ip{listen.family},verify=1" + more +
                        ",cafile={tls.clients},cert={tls.pem}",
                    plain_connect});
    };
    const auto good = run_with(",commonname=client.test");
    if (good.code == 77) {
        SKIP(good.err);
    }
    INFO(good.err);
    CHECK(good.code == 0);
    const auto bad = run_with("");
    CHECK(bad.code == 1);
    CHECK_THAT(bad.err, ContainsSubstring("tls.certificate.name"));
}

TEST_CASE("a tool shows its own certificate to the server", "[check_command]") {
    const auto shows = plain_listen;
    const auto connect = tls_connect + "{tls.authority}";
    const auto run_with = [&](const std::string& more) {
        return run({"--level", "hello", "--pair", "4-4", "--server-tls", "--tool-certificate", "--",
                    "socat", shows, connect + more});
    };
    const auto good = run_with(",cert={tls.client.pem}");
    if (good.code == 77) {
        SKIP(good.err);
    }
    INFO(good.err);
    CHECK(good.code == 0);
    CHECK(run_with("").code == 1);
}

TEST_CASE("a tool fails that does not speak TLS, or trusts nobody", "[check_command]") {
    const auto plain = run_socat("--client-tls", plain_listen, plain_connect);
    CHECK(plain.code == 1);
    CHECK_THAT(plain.err, ContainsSubstring("TLS"));
    CHECK(run_socat("--server-tls", plain_listen, tls_connect + "/dev/null").code == 1);
}

TEST_CASE("wrong usage of TLS is refused with what would be right", "[check_command]") {
    const auto check_usage = [](const Arguments& arguments, const std::string& text) {
        const auto [code, out, err] = run(arguments);
        CHECK(code == 2);
        CHECK_THAT(err, ContainsSubstring(text));
    };
    check_usage({"--tls-version", "1.2", "--", "x"}, "needs --client-tls or --server-tls");
    check_usage({"--omits-close-notify", "--", "x"}, "needs --client-tls or --server-tls");
    check_usage({"--client-tls", "--tls-version", "1.1", "--", "x"}, "is no version of TLS");
    check_usage({"--client-certificate", "--", "x"}, "--client-certificate needs --client-tls");
    check_usage({"--client-tls", "--client-name", "--", "x"}, "needs --client-certificate");
    check_usage({"--tool-certificate", "--", "x"}, "--tool-certificate needs --server-tls");
    check_usage({"--passed-tls", "--client-tls", "--", "x"}, "--passed-tls needs neither");
    check_usage({"--client-tls", "--", "x", "{tls.pen}"}, "did you mean {tls.pem}?");
}
