// Makes one table of any number of reports in JSON: a page for a browser, Markdown, or values with
// commas between; or tells what has changed between two sets of reports.

#include <test_tunnel/run/command_line.hpp>
#include <test_tunnel/test_tunnel.hpp>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "page.hpp"
#include "reading.hpp"
#include "table.hpp"
#include "text.hpp"

using namespace matrix;

namespace {

enum Status { done = 0, differs = 1, wrong_usage = 2 };

constexpr auto usage = R"(usage: tunnel_matrix [OPTION…] REPORT…
       tunnel_matrix --diff OLD NEW

Makes one table of the reports that check_command and catch2::main write with --json: a row for each
tool, a column for each group of checks, and what each tool was seen to do its own way. A REPORT is a
file, or a directory whose files end in .json.

  --html FILE       writes a page for a browser
  --markdown FILE   writes a table in Markdown
  --brief           leaves the groups of checks out of the table in Markdown
  --csv FILE        writes a line for each tool, combination and check (RFC 4180)
  --title TEXT      the title of the page (default: What tunnels do)
  --only NAME       only the tools of that name; may be given more than once, in the order of the rows
  --diff            tells what has changed from OLD to NEW: each a file or a directory
  --help            prints this

FILE may be -, the standard output; without any of them, the Markdown goes there.
Exit status: 0; 1 where --diff has found something; 2 wrong usage.
)";

struct Request {
    std::string html;
    std::string markdown;
    std::string csv;
    std::string title = "What tunnels do";
    std::vector<std::string> only;
    bool diff = false;
    bool brief = false;
    bool help = false;
    std::vector<std::string> paths;
};

Request read_arguments(const std::vector<std::string>& arguments) {
    Request request;
    const std::vector<std::pair<std::string, std::string*>> options{
        {"--html", &request.html}, {"--markdown", &request.markdown},
        {"--csv", &request.csv},   {"--title", &request.title},
        {"--only", nullptr},       {"--diff", nullptr},
        {"--brief", nullptr},      {"--help", nullptr}};
    for (auto next = arguments.begin(); next != arguments.end(); ++next) {
        if (!next->starts_with("--")) {
            request.paths.push_back(*next);
            continue;
        }
        auto* const value = choose("option", *next, options);
        if (*next == "--diff" || *next == "--help" || *next == "--brief") {
            (*next == "--diff"   ? request.diff
             : *next == "--help" ? request.help
                                 : request.brief) = true;
            continue;
        }
        if (next + 1 == arguments.end()) {
            throw InvalidConfig{fmt::format("{} takes a value", *next)};
        }
        const auto& text = *++next;
        if (value != nullptr) {
            *value = text;
        } else {
            request.only.push_back(text);
        }
    }
    return request;
}

void write(const std::string& path, const std::string& text) {
    if (path == "-") {
        std::fputs(text.c_str(), stdout);
        return;
    }
    std::ofstream file{path, std::ios::binary};
    file << text;
    if (!file.flush()) {
        throw Error{fmt::format("{}: it can't be written", path)};
    }
}

/// The runs of the tools that are asked for, in that order. Throws InvalidConfig for one that is
/// not there.
std::vector<Run> selected(std::vector<Run> runs, const std::vector<std::string>& only) {
    if (only.empty()) {
        return runs;
    }
    std::vector<Run> result;
    for (const auto& name : only) {
        const auto count = result.size();
        std::copy_if(runs.begin(), runs.end(), std::back_inserter(result),
                     [&](const Run& run) { return run.report.slug == name; });
        if (result.size() == count) {
            throw InvalidConfig{fmt::format("--only {}: no report is of that tool", name)};
        }
    }
    return result;
}

Status run(const Request& request) {
    if (request.help) {
        std::fputs(usage, stdout);
        return done;
    }
    if (request.diff) {
        if (request.paths.size() != 2) {
            throw InvalidConfig{"--diff takes two reports, or directories of reports"};
        }
        const auto text = differences(read_all({request.paths[0]}), read_all({request.paths[1]}));
        std::fputs(text.empty() ? "nothing has changed\n" : text.c_str(), stdout);
        return text.empty() ? done : differs;
    }
    if (request.paths.empty()) {
        throw InvalidConfig{"no report was given; tunnel_matrix --help says how"};
    }
    const auto runs = selected(read_all(request.paths), request.only);
    if (!request.html.empty()) {
        write(request.html, to_page(runs, request.title));
    }
    if (!request.csv.empty()) {
        write(request.csv, to_csv(runs));
    }
    if (!request.markdown.empty() || (request.html.empty() && request.csv.empty())) {
        write(request.markdown.empty() ? "-" : request.markdown, to_markdown(runs, request.brief));
    }
    return done;
}

} // namespace

int main(int argc, char** argv) {
    try {
        return run(read_arguments({argv + std::min(argc, 1), argv + argc}));
    } catch (const std::exception& error) {
        std::fputs(fmt::format("tunnel_matrix: {}\n", error.what()).c_str(), stderr);
        return wrong_usage;
    }
}
