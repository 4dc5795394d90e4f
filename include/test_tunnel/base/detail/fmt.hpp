#pragma once

// The one header that includes fmt: the one that spdlog has in its own headers, or else that which
// is installed. <fmt/core.h> compiles in half the time of <fmt/format.h>, but has fmt::format only
// before fmt 11, or, until 12.2, for compatibility.

#include <spdlog/tweakme.h>

#if !defined(SPDLOG_FMT_EXTERNAL) && !defined(SPDLOG_USE_STD_FORMAT)
#include <spdlog/fmt/fmt.h> // IWYU pragma: export
#elif __has_include(<fmt/base.h>)
#include <fmt/format.h> // IWYU pragma: export
#else
#include <fmt/core.h> // IWYU pragma: export
#endif
