// What a tunnel must do.

#include "test_tunnel/checks/all.ipp"
