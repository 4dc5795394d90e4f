// What knows Catch2.

#include "test_tunnel/catch2/detail/main.ipp"
#include "test_tunnel/catch2/detail/sections.ipp"
