// What has come of a run, and how it is written.

#include "test_tunnel/report/detail/report.ipp"
#include "test_tunnel/config/detail/trait_names.ipp"
#include "test_tunnel/report/detail/files.ipp"
#include "test_tunnel/report/detail/html.ipp"
#include "test_tunnel/report/detail/json.ipp"
#include "test_tunnel/report/detail/junit.ipp"
#include "test_tunnel/report/detail/progress.ipp"
#include "test_tunnel/report/detail/summary.ipp"
