#pragma once

#include <string>
#include <vector>

#include "../detail/inline.hpp"
#include "../detail/unique_fd.hpp"
#include "../observer.hpp"
#include "../report.hpp"

namespace test_tunnel {

namespace detail {

/// Throws InvalidConfig where both paths are those of one regular file, which is there.
void require_two_files(const std::string& path, const std::string& other);

} // namespace detail

/// Collects the reports of all runs that it observes (`Config::observers`), and writes them to
/// files when they are over.
class ReportFiles : public Observer {
public:
    /// Which files are written.
    struct Options {
        /// The path of the one for programs (`to_json`); empty: none.
        std::string json{};
        /// The path of the one for a browser (`to_html`); empty: none.
        std::string html{};
    };

    /// Creates the files, or empties them: throws InvalidConfig, which names the file, where one
    /// can't be written, or both are one.
    explicit ReportFiles(const Options& options);

    /// Adds the pair to the run that it belongs to: the last one of the same tool and program, with
    /// the same level and traits, unless that has had this pair or did not come to its end; else to
    /// a new one.
    void pair_ended(const Report& report) override;

    /// The runs so far, in the order in which they began.
    [[nodiscard]] const std::vector<Report>& reports() const noexcept { return reports_; }

    /// Writes the files. To be called once, when all runs are over, whatever came of them. Throws
    /// SystemError, which names the file, where one can't be written; the other one is,
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
#include "../detail/impl/report_files.hpp" // IWYU pragma: export
#endif
