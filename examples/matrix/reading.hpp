#pragma once

// Reports as `to_json` has written them, read back.

#include <test_tunnel/base/error.hpp>
#include <test_tunnel/config/trait_names.hpp>
#include <test_tunnel/report/json.hpp>
#include <test_tunnel/report/report.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace matrix {

using namespace test_tunnel;
using Json = nlohmann::json;

/// A run of a tool, with what a Report does not have.
struct Run {
    Report report;
    /// The version of the library that has tested it.
    std::string library;
    /// What was declared, as it stands in the report.
    std::vector<NamedTrait> declared;
    /// "2026-01-31T12:34:56.789Z"
    std::string began;
};

inline Outcome outcome_of(const std::string& word) {
    using Word = std::pair<std::string_view, Outcome>;
    for (const auto& [name, outcome] :
         {Word{"passed", Outcome::passed}, Word{"failed", Outcome::failed},
          Word{"skipped", Outcome::skipped}, Word{"not_applicable", Outcome::not_applicable},
          Word{"known_failure", Outcome::known_failure}}) {
        if (word == name) {
            return outcome;
        }
    }
    throw Error{fmt::format("'{}' is no outcome of a check", word)};
}

/// What stands there, or an empty text for null and for what older reports do not have.
inline std::string text_at(const Json& object, const char* name) {
    const auto found = object.find(name);
    return found == object.end() || found->is_null() ? std::string{} : found->get<std::string>();
}

/// A number of milliseconds; nothing for null and for what older reports do not have.
inline std::optional<Duration> time_at(const Json& object, const char* name) {
    const auto found = object.find(name);
    if (found == object.end() || found->is_null()) {
        return std::nullopt;
    }
    return std::chrono::duration_cast<Duration>(
        std::chrono::duration<double, std::milli>{found->get<double>()});
}

inline CheckResult read_check(const Json& json) {
    CheckResult result;
    result.id = json.at("id");
    result.title = json.at("title");
    result.outcome = outcome_of(json.at("outcome"));
    result.duration = time_at(json, "duration_ms").value_or(Duration{});
    result.account = text_at(json, "reason");
    if (const auto& failure = json.at("failure"); !failure.is_null()) {
        result.step = failure.at("step");
        result.expected = failure.at("expected");
        result.actual = failure.at("actual");
        result.account = failure.at("account");
        result.same_as = text_at(failure, "same_as");
    }
    for (const auto& note : json.at("notes")) {
        result.notes.push_back({text_at(note, "trait"), note.at("text")});
    }
    for (const auto& shown : json.value("shown", Json::array())) {
        result.shown.push_back({shown.at("trait"), shown.at("value")});
    }
    return result;
}

/// The two sides of a pair. What tells pairs apart is their families, which the addresses have.
inline AddrPort read_side(const Json& client, const Json& listen) {
    AddrPort result;
    result.address = Address::parse(listen.at("address").get<std::string>());
    result.svc_port = listen.at("port");
    result.proxy_port = client.at("port");
    result.clients = {Address::parse(client.at("address").get<std::string>())};
    return result;
}

inline PairResult read_pair(const Json& json) {
    PairResult result;
    result.pair = {read_side(json.at("client"), json.at("listen")),
                   read_side(json.at("source"), json.at("target"))};
    result.duration = time_at(json, "duration_ms").value_or(Duration{});
    result.start = time_at(json, "start_ms");
    result.stop = time_at(json, "stop_ms");
    result.use = {.cpu = time_at(json, "cpu_ms").value_or(Duration{}),
                  .peak_memory = json.value("peak_memory", std::uint64_t{0}),
                  .peak_descriptors = json.value("peak_descriptors", std::size_t{0})};
    result.seed = std::stoull(json.at("seed").get<std::string>());
    for (const auto& check : json.at("checks")) {
        result.checks.push_back(read_check(check));
    }
    return result;
}

inline Run read_run(const Json& json, std::string library) {
    Run run;
    run.library = std::move(library);
    auto& report = run.report;
    report.slug = json.at("tool");
    report.program = json.at("program");
    report.version = text_at(json, "tool_version");
    report.command = text_at(json, "command");
    report.error = text_at(json, "error");
    report.stop_cause = report.error.empty() ? StopCause::none : StopCause::other;
    report.duration = time_at(json, "duration_ms").value_or(Duration{});
    run.began = json.at("began");
    const std::string level = json.at("level");
    report.level = level == "strict"  ? Level::strict
                   : level == "hello" ? Level::hello
                                      : Level::standard;
    for (const auto& [name, value] : json.at("traits").items()) {
        run.declared.push_back({name, value.get<std::string>()});
    }
    for (const auto& pair : json.at("pairs")) {
        report.pairs.push_back(read_pair(pair));
    }
    return run;
}

/// Reads the runs of one file. Throws Error, which names the file, where it is no such report.
inline std::vector<Run> read_file(const std::filesystem::path& path) {
    std::ifstream file{path, std::ios::binary};
    if (!file) {
        throw Error{fmt::format("{}: it can't be read", path.string())};
    }
    try {
        const auto json = Json::parse(file);
        if (json.value("schema", "") != "test-tunnel-report") {
            throw Error{"it is no report of test-tunnel"};
        }
        if (const int version = json.at("version"); version != json_schema_version) {
            throw Error{
                fmt::format("its schema is version {}, not {}", version, json_schema_version)};
        }
        std::vector<Run> runs;
        for (const auto& run : json.at("runs")) {
            runs.push_back(read_run(run, json.at("library")));
        }
        return runs;
    } catch (const std::exception& error) {
        throw Error{fmt::format("{}: {}", path.string(), error.what())};
    }
}

/// Reads files, and all files of directories whose names end in ".json", in the order of their
/// names. Throws Error.
inline std::vector<Run> read_all(const std::vector<std::string>& paths) {
    std::vector<Run> runs;
    for (const std::filesystem::path path : paths) {
        std::vector<std::filesystem::path> files{path};
        if (std::filesystem::is_directory(path)) {
            files.clear();
            for (const auto& entry : std::filesystem::directory_iterator{path}) {
                if (entry.path().extension() == ".json") {
                    files.push_back(entry.path());
                }
            }
            std::sort(files.begin(), files.end());
            if (files.empty()) {
                throw Error{
                    fmt::format("{}: there is no file whose name ends in .json", path.string())};
            }
        }
        for (const auto& file : files) {
            for (auto& run : read_file(file)) {
                runs.push_back(std::move(run));
            }
        }
    }
    return runs;
}

} // namespace matrix
