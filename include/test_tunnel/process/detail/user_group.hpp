#pragma once

#include <pwd.h>
#include <sys/types.h>

#include <string>

#include "test_tunnel/base/error.hpp"

namespace test_tunnel::detail {

/// The primary group of a user. Throws InvalidConfig.
inline gid_t group_of(const std::string& user) {
    const passwd* entry = ::getpwnam(user.c_str()); // NOLINT(concurrency-mt-unsafe)
    if (entry == nullptr) {
        throw InvalidConfig{fmt::format("there is no user '{}'", user)};
    }
    return entry->pw_gid;
}

} // namespace test_tunnel::detail
