#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/file_io.hpp"
#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/config/trait_names.hpp"
#include "test_tunnel/report/files.hpp"
#include "test_tunnel/report/html.hpp"
#include "test_tunnel/report/json.hpp"
#include "test_tunnel/report/junit.hpp"

namespace test_tunnel {

namespace detail {

/// Throws InvalidConfig where both paths are those of one regular file, which is there.
inline void require_two_files(const std::string& path, const std::string& other) {
    struct stat status {};
    struct stat other_status {};
    // A terminal or a pipe takes one after the other.
    if (::stat(path.c_str(), &status) == 0 && ::stat(other.c_str(), &other_status) == 0 &&
        S_ISREG(status.st_mode) && status.st_dev == other_status.st_dev &&
        status.st_ino == other_status.st_ino) {
        throw InvalidConfig{
            fmt::format("two reports can't be written to one file: '{}', '{}'", path, other)};
    }
}

} // namespace detail

TEST_TUNNEL_INLINE ReportFiles::ReportFiles(const Options& options) {
    const auto open = [&](const std::string& path, auto* to_text) {
        if (path.empty()) {
            return;
        }
        constexpr mode_t readable_by_all = 0666;
        detail::UniqueFd fd{::open(
            path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, readable_by_all)};
        if (!fd) {
            throw InvalidConfig{fmt::format("the report can't be written to '{}': {}", path,
                                            std::generic_category().message(errno))};
        }
        for (const auto& other : files_) {
            detail::require_two_files(other.path, path);
        }
        files_.push_back({path, std::move(fd), to_text});
    };
    open(options.json, &to_json);
    open(options.html, &to_html);
    open(options.junit, &to_junit);
}

TEST_TUNNEL_INLINE void ReportFiles::pair_ended(const Report& report) {
    const auto is_same_run = [&](const Report& other) {
        return other.slug == report.slug && other.program == report.program &&
               other.level == report.level &&
               declared_traits(other.traits) == declared_traits(report.traits);
    };
    const auto has_it = [&](const Report& other) {
        return std::any_of(other.pairs.begin(), other.pairs.end(), [&](const PairResult& known) {
            return std::any_of(report.pairs.begin(), report.pairs.end(), [&](const auto& added) {
                return added.pair.name() == known.pair.name();
            });
        });
    };
    const auto last = std::find_if(reports_.rbegin(), reports_.rend(), is_same_run);
    const bool is_new = last == reports_.rend() || !last->error.empty() || has_it(*last);
    auto& run = is_new ? reports_.emplace_back(report) : *last;
    if (!is_new) {
        run.pairs.insert(run.pairs.end(), report.pairs.begin(), report.pairs.end());
        run.duration += report.duration;
        run.error = report.error;
        run.stop_cause = report.stop_cause;
    }
    for (auto& entry : run.pairs) {
        // The ports are free for the next run.
        entry.pair.proxy_listen.reservation = {};
        entry.pair.svc_listen.reservation = {};
    }
}

TEST_TUNNEL_INLINE void ReportFiles::write() {
    std::exception_ptr first_error;
    for (const auto& file : std::exchange(files_, {})) {
        try {
            detail::write_all(file.fd.get(), file.to_text(reports_),
                              fmt::format("writing the report to '{}'", file.path));
        } catch (const std::exception&) { // the others may still be written
            first_error = first_error ? first_error : std::current_exception();
        }
    }
    if (first_error) {
        std::rethrow_exception(first_error);
    }
}

} // namespace test_tunnel
