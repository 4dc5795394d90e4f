#pragma once

/// The version of the library; CMake reads it from here.
#define TEST_TUNNEL_VERSION_MAJOR 0
#define TEST_TUNNEL_VERSION_MINOR 1
#define TEST_TUNNEL_VERSION_PATCH 0
