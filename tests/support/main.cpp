#include <test_tunnel/catch2.hpp>

int main(int argc, char** argv) {
    return test_tunnel::catch2::main(argc, argv);
}
