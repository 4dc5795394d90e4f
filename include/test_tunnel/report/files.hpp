#pragma once

#include <string>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/detail/unique_fd.hpp"
#include "test_tunnel/config/observer.hpp"
#include "test_tunnel/report/report.hpp"

namespace test_tunnel {

/// Collects the reports of all runs that it observes (`Config::observers`), and writes them to
/// files when they are over.
class ReportFiles : public Observer {
public:
    /// Which files are written.
    struct Options {
        /// The path of the report for programs (`to_json`). Empty: there is none.
        std::string json{};
        /// The path of the report for a browser (`to_html`). Empty: there is none.
        std::string html{};
        /// The path of the report for a CI system (`to_junit`). Empty: there is none.
        std::string junit{};
    };

    /// Creates the files, or empties them. Throws InvalidConfig, which names the file, where one
    /// can't be written, or where two are the same file.
    explicit ReportFiles(const Options& options);

    /// Adds the pair to the run that it belongs to, the last one of the same tool and program, with
    /// the same level and traits. A new run begins where there is none, and where that run has had
    /// this pair or did not come to its end.
    void pair_ended(const Report& report) override;

    /// The runs so far, in the order in which they began.
    [[nodiscard]] const std::vector<Report>& reports() const noexcept { return reports_; }

    /// Writes the files. To be called once, when all runs are over, whatever came of them. Throws
    /// SystemError, which names the file, where one can't be written; the others are written
    /// nevertheless.
    void write();

private:
    struct File {
        std::string path;
        detail::UniqueFd fd;
        std::string (*to_text)(const std::vector<Report>& reports);
    };

    std::vector<File> files_;
    std::vector<Report> reports_;
};

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/report/detail/files.ipp" // IWYU pragma: export
#endif
