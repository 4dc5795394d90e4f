// A run as JSON.

#include <test_tunnel/report/detail/report_text.hpp>
#include <test_tunnel/report/json.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <string>
#include <string_view>

#include "support/programs.hpp"
#include "support/reports.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using namespace std::string_view_literals;
using Catch::Matchers::ContainsSubstring;
using support::ask_python;

TEST_CASE("a JSON string holds whatever bytes there are", "[report]") {
    using detail::json_string;
    CHECK(json_string("") == R"("")");
    CHECK(json_string("plain → text") == R"("plain → text")");
    CHECK(json_string(R"("quoted" \ /)") == R"("\"quoted\" \\ /")");
    CHECK(json_string("\0\x01\t\n\r\x1b[2J\x7f"sv) ==
          R"("\u0000\u0001\u0009\n\u000d\u001b[2J\u007f")");
    // What is no UTF-8 becomes plain text, as everywhere.
    CHECK(json_string("a\xff\x80z") == R"("a\\xff\\x80z")");
    CHECK(json_string("\xe2\x86") == R"("\\xe2\\x86")");
    CHECK(json_string("\xc2\x9b"
                      "2J") == R"("\\xc2\\x9b2J")");
    CHECK(json_string("\xf0\x9f\x9a\x87\"") == "\"\xf0\x9f\x9a\x87\\\"\"");
}

TEST_CASE("all that is known of a run is in its JSON", "[report]") {
    const auto json = to_json({support::report()});
    // All members, with the types of their values: a change of it is a change of the schema.
    CHECK(ask_python(json,
                     "def walk(value, path):\n"
                     "    if isinstance(value, dict) and not path.endswith('traits'):\n"
                     "        for key in value: yield from walk(value[key], path+'.'+key)\n"
                     "    elif isinstance(value, list):\n"
                     "        for entry in value: yield from walk(entry, path+'[]')\n"
                     "    else: yield path[1:] + ' ' + type(value).__name__\n"
                     "print(*sorted(set(walk(document, ''))), sep='\\n')") ==
          R"(library str
passed bool
runs[].began str
runs[].command str
runs[].duration_ms float
runs[].error NoneType
runs[].level str
runs[].pairs[].checks[].duration_ms float
runs[].pairs[].checks[].failure NoneType
runs[].pairs[].checks[].failure.account str
runs[].pairs[].checks[].failure.actual str
runs[].pairs[].checks[].failure.expected str
runs[].pairs[].checks[].failure.same_as NoneType
runs[].pairs[].checks[].failure.step str
runs[].pairs[].checks[].failure.steps[].begin_ms float
runs[].pairs[].checks[].failure.steps[].expected str
runs[].pairs[].checks[].failure.steps[].from str
runs[].pairs[].checks[].failure.steps[].name str
runs[].pairs[].checks[].failure.steps[].to str
runs[].pairs[].checks[].id str
runs[].pairs[].checks[].notes[].text str
runs[].pairs[].checks[].notes[].trait NoneType
runs[].pairs[].checks[].notes[].trait str
runs[].pairs[].checks[].outcome str
runs[].pairs[].checks[].reason NoneType
runs[].pairs[].checks[].reason str
runs[].pairs[].checks[].shown[].trait str
runs[].pairs[].checks[].shown[].value str
runs[].pairs[].checks[].title str
runs[].pairs[].client.address str
runs[].pairs[].client.port int
runs[].pairs[].cpu_ms float
runs[].pairs[].duration_ms float
runs[].pairs[].listen.address str
runs[].pairs[].listen.port int
runs[].pairs[].name str
runs[].pairs[].passed bool
runs[].pairs[].peak_descriptors int
runs[].pairs[].peak_memory int
runs[].pairs[].rounds int
runs[].pairs[].seed str
runs[].pairs[].soak NoneType
runs[].pairs[].source.address str
runs[].pairs[].source.port int
runs[].pairs[].start_ms NoneType
runs[].pairs[].start_ms float
runs[].pairs[].stop_ms NoneType
runs[].pairs[].stop_ms float
runs[].pairs[].target.address str
runs[].pairs[].target.port int
runs[].passed bool
runs[].program str
runs[].tool str
runs[].tool_version str
runs[].traits dict
schema str
version int
)");
}

TEST_CASE("the JSON says what came of each check", "[report]") {
    const auto json = to_json({support::report()});
    CHECK(ask_python(json,
                     "run = document['runs'][0]\n"
                     "print(document['schema'], document['version'], document['passed'])\n"
                     "print(run['tool'], run['program'], run['level'], run['passed'],\n"
                     "      run['error'], run['began'], run['duration_ms'], run['traits'])\n"
                     "for pair in run['pairs']:\n"
                     "    print(ascii(pair['name']), pair['passed'], pair['seed'],\n"
                     "          pair['client'], pair['target'])\n"
                     "    for check in pair['checks']:\n"
                     "        print(check['id'], check['outcome'], check['reason'])\n"
                     "failure = run['pairs'][0]['checks'][1]['failure']\n"
                     "print(failure['step'], failure['actual'], failure['steps'][-1])\n"
                     "print(run['pairs'][0]['checks'][2]['notes'])") ==
          R"(test-tunnel-report 1 False
tool /usr/bin/tool standard False None 2026-01-31T12:34:56.789Z 512.0 {'half_close': 'timed', 'exit_statuses': '0,1'}
'4\u21924' False 18446744073709551615 {'address': '192.0.2.1', 'port': 6375} {'address': '192.0.2.1', 'port': 6376}
hello passed None
data.bulk failed None
data.tiny passed None
idle not_applicable it waits for nobody (Traits::idle_timeout)
stop.busy skipped not tried, since so it is
'6\u21924' True 18446744073709551615 {'address': '2001:db8::1', 'port': 6375} {'address': '192.0.2.1', 'port': 6376}
hello passed None
data.bulk passed None
data.tiny passed None
idle not_applicable it waits for nobody (Traits::idle_timeout)
stop.busy passed None
echo other bytes {'name': 'echo', 'expected': 'it comes back', 'from': 'server', 'to': 'client', 'begin_ms': 2.5}
[{'trait': 'half_close', 'text': 'half-close: timed'}, {'trait': None, 'text': 'it is odd'}]
)");
}

TEST_CASE("whatever a tool prints, its report is JSON", "[report]") {
    std::string every_byte;
    for (int byte = 0; byte < 256; ++byte) {
        every_byte += static_cast<char>(byte);
    }
    for (const std::string& text :
         {every_byte, std::string{"\"},{\\u0000\\"}, std::string{"</script>\xed\xa0\x80"}}) {
        auto report = support::report(text);
        report.slug = report.program = report.error = text;
        const auto shown = ask_python(to_json({report}),
                                      "run = document['runs'][0]\n"
                                      "assert run['tool'] == run['program'] == run['error']\n"
                                      "failure = run['pairs'][0]['checks'][1]['failure']\n"
                                      "assert failure['actual'] == run['tool']\n"
                                      "print(ascii(run['tool']))");
        CHECK_THAT(shown, ContainsSubstring(text == every_byte ? "\\x00\\x01" : text.substr(0, 4)));
    }
}

TEST_CASE("the JSON of nothing is no pass", "[report]") {
    CHECK(ask_python(to_json({}), "print(document['passed'], document['runs'])") == "False []\n");
    Report untested;
    untested.slug = "tool";
    CHECK(ask_python(to_json({untested}), "print(document['passed'])") == "False\n");
}

TEST_CASE("a time is written in UTC, to the millisecond", "[report]") {
    using detail::utc_text;
    using Time = std::chrono::system_clock::time_point;
    CHECK(utc_text(Time{}) == "1970-01-01T00:00:00.000Z");
    CHECK(utc_text(Time{1709210096007ms}) == "2024-02-29T12:34:56.007Z");
    CHECK(utc_text(Time{-1ms}) == "1969-12-31T23:59:59.999Z");
}
