#include <test_tunnel/catch2.hpp>
#include <test_tunnel/test_tunnel.hpp>

int main(int argc, char** argv) {
    return test_tunnel::catch2::main(argc, argv);
}
