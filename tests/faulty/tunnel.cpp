// A forwarder that is correct, but for the one fault that its last argument names.
//
//   faulty_tunnel LISTEN-ADDRESS PORT SOURCE-ADDRESS TARGET-ADDRESS PORT FAULT
//
// It carries one connection at a time. On each it first tells the client where it connects from, in
// a line of text, as some protocols do in their handshake.

#include <signal.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <string>
#include <string_view>
#include <test_tunnel/socket.hpp>
#include <thread>

using namespace test_tunnel;
using namespace std::chrono_literals;

namespace {

std::string fault;

/// Whether this is the fault that was asked for; `name` becomes known by that.
bool is(std::string_view name) {
    return fault == name;
}

constexpr std::string_view known_faults[] = {
    // correct
    "none", "slow-start", "slow-stop", "single-bytes", "noisy", "no-newline", "slow-child",
    "wildcard", "serves-once", "lazy",
    // start
    "exits", "daemonizes", "crashes-at-start", "bound-but-not-listening", "never-listens",
    // connection
    "closes-client", "resets-client", "never-connects", "wrong-source", "listen-source",
    "never-speaks", "port-in-use", "lying-address", "lying-port", "greets-early", "floods",
    // data
    "changes-up", "changes-down", "loses-up", "loses-down", "adds-up", "adds-down", "doubles-up",
    "reorders-down", "stalls-up", "stalls-down", "crashes-in-transfer", "exits-in-transfer",
    // close
    "adds-at-end", "resets-at-end", "never-ends",
    // stop
    "exits-after-transfer", "crashes-after-transfer", "leaves-child", "alarms", "ignores-sigterm",
    "crashes-on-sigterm", "status-3-on-sigterm"};

void sleep_for(std::chrono::milliseconds duration) {
    std::this_thread::sleep_for(duration); // the behaviour under test
}

void on_sigterm(int /*signal*/) {
    if (is("crashes-on-sigterm")) {
        ::signal(SIGSEGV, SIG_DFL);
        ::raise(SIGSEGV);
    }
    if (is("slow-stop")) {
        sleep_for(300ms);
    }
    ::_exit(is("status-3-on-sigterm") ? 3 : 0);
}

[[noreturn]] void crash() {
    ::signal(SIGSEGV, SIG_DFL);
    ::raise(SIGSEGV);
    std::abort();
}

/// What becomes of one piece of data; `up` is from the client to the server.
std::string distort(std::string data, bool up) {
    if ((up && is("changes-up")) || (!up && is("changes-down"))) {
        data.back() ^= 1;
    } else if ((up && is("loses-up")) || (!up && is("loses-down"))) {
        data.pop_back();
    } else if ((up && is("adds-up")) || (!up && is("adds-down"))) {
        data += '!';
    } else if (up && is("doubles-up")) {
        data += data;
    } else if (!up && is("reorders-down")) {
        std::swap(data[0], data[1]);
    } else if (up && is("crashes-in-transfer")) {
        crash();
    } else if (up && is("exits-in-transfer")) {
        std::exit(7);
    } else if ((up && is("stalls-up")) || (!up && is("stalls-down"))) {
        data.clear();
    }
    return data;
}

void forward(Socket& to, const std::string& data) {
    const std::size_t piece = is("single-bytes") ? 1 : data.size();
    for (std::size_t done = 0; done < data.size(); done += piece) {
        to.write(std::string_view{data}.substr(done, piece));
    }
}

/// True as long as there is more to come from this side.
bool relay(Socket& from, Socket& to, bool up) {
    std::string data(65536, '\0');
    data.resize(from.read_some(data.data(), data.size()));
    if (!data.empty()) {
        if (is("noisy")) {
            std::fputs((std::string(1 << 20, 'n') + "\n").c_str(), stderr);
        }
        forward(to, distort(std::move(data), up));
        return true;
    }
    if (is("never-ends")) {
        sleep_for(1h);
    }
    if (up && is("adds-at-end")) {
        to.write("!");
    }
    if (up && is("resets-at-end")) {
        to.reset();
        from.close();
        return false;
    }
    to.shutdown_write();
    return false;
}

void serve(Socket client, const Address& source, const Endpoint& target) {
    if (is("closes-client")) {
        return;
    }
    if (is("resets-client")) {
        client.reset();
        return;
    }
    if (is("never-speaks")) {
        sleep_for(1h);
    }
    if (is("greets-early")) {
        client.write("220 welcome\n");
    }
    while (is("floods")) {
        client.write("y");
    }
    if (is("never-connects")) {
        sleep_for(1h);
    }
    if (is("lazy")) {
        pollfd first{client.fd(), POLLIN, 0};
        ::poll(&first, 1, -1);
    }
    Socket server{target.address.family()};
    server.set_timeout(1h);
    if (is("listen-source")) {
        server.bind({client.local().address, 0});
    } else if (!is("wrong-source")) {
        server.bind({source, 0});
    }
    server.connect(target);
    auto reported = server.local();
    if (is("lying-address")) {
        reported.address = Address{};
    }
    reported.port = static_cast<std::uint16_t>(reported.port + (is("lying-port") ? 1 : 0));
    if (!is("greets-early")) {
        client.write(fmt::format("{} {}\n", reported.address.text(), reported.port));
    }

    bool up = true;
    bool down = true;
    while (up || down) {
        pollfd fds[2] = {{up ? client.fd() : -1, POLLIN, 0}, {down ? server.fd() : -1, POLLIN, 0}};
        ::poll(fds, 2, -1);
        if (fds[0].revents != 0) {
            up = relay(client, server, true);
        }
        if (server.fd() == -1) {
            return;
        }
        if (fds[1].revents != 0) {
            down = relay(server, client, false);
        }
    }
    if (is("exits-after-transfer")) {
        std::exit(5);
    }
    if (is("crashes-after-transfer")) {
        crash();
    }
}

std::uint16_t port_of(std::string_view text) {
    std::uint16_t port = 0;
    std::from_chars(text.data(), text.data() + text.size(), port);
    return port;
}

void run(char** argv) {
    const Endpoint listen{Address::parse(argv[1]), port_of(argv[2])};
    const auto source = Address::parse(argv[3]);
    const Endpoint target{Address::parse(argv[4]), port_of(argv[5])};
    if (is("ignores-sigterm")) {
        ::signal(SIGTERM, SIG_IGN);
    } else {
        ::signal(SIGTERM, on_sigterm);
    }
    if (is("exits")) {
        std::fputs("can't do it\n", stderr);
        std::exit(4);
    }
    if (is("port-in-use")) {
        std::fputs("bind: Address already in use\n", stderr);
        std::exit(1);
    }
    if (is("crashes-at-start")) {
        crash();
    }
    if (is("slow-start")) {
        sleep_for(300ms);
    }
    if (is("never-listens")) {
        sleep_for(1h);
    }
    if (is("no-newline")) {
        std::fputs("ready", stdout);
        std::fflush(stdout);
    }
    if (is("daemonizes") && ::fork() != 0) {
        ::_exit(0);
    }
    if (is("leaves-child") || is("slow-child")) {
        const bool slow = is("slow-child");
        if (::fork() == 0) {
            ::signal(SIGTERM, SIG_IGN);
            if (!slow) {
                ::setsid();
            }
            sleep_for(slow ? 200ms : 1h);
            ::_exit(0);
        }
    }
    if (is("alarms")) {
        std::fputs("==1==ERROR: AddressSanitizer: heap-use-after-free on address 0x1\n", stderr);
    }
    Socket listener{listen.address.family()};
    listener.set_timeout(1h);
    const bool anywhere = is("wildcard");
    const std::string wildcard(listen.address.packed().size(), '\0');
    listener.bind({anywhere ? Address::from_packed(wildcard) : listen.address, listen.port});
    if (is("bound-but-not-listening")) {
        sleep_for(1h);
    }
    listener.listen();
    for (;;) {
        try {
            auto client = listener.accept();
            client.set_timeout(1h);
            if (is("serves-once")) {
                listener.close();
            }
            serve(std::move(client), source, target);
            if (is("serves-once")) {
                ::_exit(0);
            }
        } catch (const SystemError& error) {
            std::fprintf(stderr, "%s\n", error.what());
        }
    }
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 7 || std::find(std::begin(known_faults), std::end(known_faults),
                               std::string_view{argv[6]}) == std::end(known_faults)) {
        std::fputs("usage: faulty_tunnel LISTEN PORT SOURCE TARGET PORT FAULT\n", stderr);
        return 2;
    }
    fault = argv[6];
    run(argv);
}
