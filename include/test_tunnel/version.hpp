#pragma once

/// @file
/// The version of the library, three numbers; CMake reads them from here. A `find_package` that
/// asks for a version takes those with the same first two numbers.

/// The first number.
#define TEST_TUNNEL_VERSION_MAJOR 0
/// The second number.
#define TEST_TUNNEL_VERSION_MINOR 1
/// The third number.
#define TEST_TUNNEL_VERSION_PATCH 0
