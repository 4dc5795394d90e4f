// A forwarder of datagrams: a socket where it listens, and one to the server for each client.

#pragma once

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "behaviours.hpp"
#include "children.hpp"
#include "distortions.hpp"
#include "sockets.hpp"
#include "working.hpp"

struct UdpSettings {
    Endpoint listen;
    Endpoint source;
    Endpoint target;
    /// Whether it puts a PROXY header before each datagram to the server.
    bool tells_client = false;
};

inline bool operator==(const Endpoint& a, const Endpoint& b) {
    return a.port() == b.port() && a.packed() == b.packed();
}

/// A client, and the socket by which the tool talks to the server for it.
struct UdpClient {
    Endpoint from;
    Descriptor server;
    Clock::time_point last = Clock::now();
    int datagrams = 0;
    int unanswered = 0;
    int answers_left = 0;
    bool is_deaf = false;
    bool was_kept_alive = false;
    Endpoint peer{}; // where udp-follows-stranger sends to
};

/// Something that is sent a little later.
struct UdpDelayed {
    Clock::time_point due;
    int fd;
    Endpoint to; // length 0: to whom the socket is connected
    std::string data;
};

class UdpRelay {
public:
    explicit UdpRelay(UdpSettings settings) : settings_{std::move(settings)} {}

    [[noreturn]] void run() {
        bind_listener();
        for (;;) {
            std::vector<pollfd> fds{{listener_.get(), POLLIN, 0}};
            for (const auto& client : clients_) {
                fds.push_back({client->server.get(), POLLIN, 0});
            }
            fds.push_back({is("udp-wildcard") ? elsewhere_.get() : -1, POLLIN, 0});
            ::poll(fds.data(), fds.size(), timeout());
            if (is("udp-hangs")) {
                hang();
            }
            while (is("udp-waits-for-tcp") && process.open > 0) {
                sleep_for(1ms);
            }
            send_delayed();
            for (std::size_t i = 1; i + 1 < fds.size(); ++i) {
                if (fds[i].revents != 0) {
                    take_answers(*clients_[i - 1]);
                }
            }
            if (fds[0].revents != 0) {
                take_words(listener_);
            }
            if (fds.back().revents != 0) {
                take_words(elsewhere_);
            }
            forget_silent();
        }
    }

    [[nodiscard]] static int& count() {
        static int clients = 0;
        return clients;
    }

private:
    [[nodiscard]] static Descriptor udp_socket(int family) {
        Descriptor result{
            checked(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket")};
        if (family == AF_INET6) {
            set_option(result.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
        }
        if (is("udp-large-buffers")) {
            set_option(result.get(), SOL_SOCKET, SO_RCVBUF, 1 << 20);
        }
        return result;
    }

    void bind_listener() {
        listener_ = udp_socket(settings_.listen.family());
        const auto at = settings_.listen;
        if (is("udp-wildcard") ||
            is("udp-everywhere")) { // beside its own address, from which it answers
            set_option(listener_.get(), SOL_SOCKET, SO_REUSEADDR, 1);
            elsewhere_ = udp_socket(at.family());
            set_option(elsewhere_.get(), SOL_SOCKET, SO_REUSEADDR, 1);
            const auto any = any_address(at.family(), at.port());
            checked(::bind(elsewhere_.get(), any.address(), any.length), "bind");
        }
        if (is("udp-never-binds")) {
            hang();
        }
        if (is("udp-second-port")) {
            elsewhere_ = udp_socket(at.family());
            auto second = at;
            second.set_port(static_cast<std::uint16_t>(at.port() + 1000));
            checked(::bind(elsewhere_.get(), second.address(), second.length), "bind");
        }
        if (is("udp-asks-others")) {
            auto resolver = at;
            resolver.set_port(53);
            resolver_ = udp_socket(at.family());
            checked(::connect(resolver_.get(), resolver.address(), resolver.length), "connect");
            elsewhere_ = udp_socket(at.family());
            send(elsewhere_.get(), "it has started", resolver);
        }
        checked(::bind(listener_.get(), at.address(), at.length), "bind");
        if (is("udp-stops-when-client-gone")) {
            const bool ipv6 = at.family() == AF_INET6;
            set_option(listener_.get(), ipv6 ? IPPROTO_IPV6 : IPPROTO_IP, ipv6 ? 25 : 11,
                       1); // RECVERR
        }
    }

    [[nodiscard]] int timeout() const {
        const bool looks = is("udp-ticks") || is("udp-keeps-alive") || is("udp-100-ms") ||
                           is("udp-ends-when-silent") || !delayed_.empty();
        return looks ? 1 : 100;
    }

    /// After how long a client is forgotten.
    [[nodiscard]] static std::chrono::milliseconds patience() {
        return is("udp-100-ms")                                     ? 100ms
               : is("udp-one-second")                               ? 1000ms
               : is("udp-two-seconds") || is("udp-leaks-forgotten") ? 2000ms
                                                                    : 60000ms;
    }

    void forget_silent() {
        const auto now = Clock::now();
        for (auto& client : clients_) {
            const auto silent = now - client->last;
            if (is("udp-keeps-alive") && silent > 250ms && !client->was_kept_alive) {
                client->was_kept_alive = true;
                send(listener_.get(), "\0", client->from);
            }
            if (is("udp-ends-when-silent") && silent > 300ms) {
                ::_exit(0);
            }
        }
        for (auto& client : clients_) {
            if (is("udp-leaks-forgotten") && now - client->last > patience()) {
                ::fcntl(client->server.get(), F_DUPFD_CLOEXEC, 0);
            }
        }
        std::erase_if(clients_,
                      [&](const auto& client) { return now - client->last > patience(); });
        constexpr std::size_t most = 512;
        while (clients_.size() > most && is("udp-gives-up-first")) {
            clients_.erase(clients_.begin());
        }
        count() = static_cast<int>(clients_.size());
    }

    // --- From clients

    [[nodiscard]] bool is_same(const Endpoint& a, const Endpoint& b) const {
        if (is("udp-by-address")) {
            return a.packed() == b.packed();
        }
        if (is("udp-by-port")) {
            return a.port() == b.port();
        }
        if (is("udp-by-low-bits")) {
            return a.port() % 32 == b.port() % 32 && a.packed() == b.packed();
        }
        return a == b;
    }

    [[nodiscard]] Descriptor server_socket(const Endpoint& client) {
        auto result = udp_socket(settings_.target.family());
        auto source = settings_.source;
        source.set_port(0);
        if (is("udp-wrong-source") && settings_.listen.family() == source.family()) {
            source = settings_.listen;
            source.set_port(0);
        }
        const bool is_unbound =
            is("udp-forgets-source") ||
            (is("udp-wrong-source") && settings_.listen.family() != source.family()) ||
            (is("udp-other-source-later") && ++made_ > 2);
        if (is("udp-same-port")) {
            source.set_port(client.port());
        }
        if (!is_unbound && ::bind(result.get(), source.address(), source.length) == -1) {
            source.set_port(0);
            checked(::bind(result.get(), source.address(), source.length), "bind");
        }
        if (!is_open()) {
            checked(::connect(result.get(), settings_.target.address(), settings_.target.length),
                    "connect");
        }
        return result;
    }

    /// Whether its sockets take datagrams from anybody.
    [[nodiscard]] static bool is_open() {
        return is("udp-filters") || is("udp-takes-anybody") || is("udp-takes-address") ||
               is("udp-follows-stranger") || is("udp-ends-on-stranger");
    }

    UdpClient* client_at(const Endpoint& from) {
        const auto found = std::find_if(clients_.begin(), clients_.end(), [&](const auto& client) {
            return is_same(client->from, from);
        });
        if (found != clients_.end()) {
            return found->get();
        }
        if ((is("udp-first-client-only") && !clients_.empty()) ||
            (is("udp-32-at-most") && clients_.size() >= 32) ||
            (is("udp-no-new-when-refused") && was_refused_)) {
            return nullptr;
        }
        auto client = std::make_unique<UdpClient>();
        client->from = from;
        client->server = server_socket(from);
        client->peer = settings_.target;
        clients_.push_back(std::move(client));
        count() = static_cast<int>(clients_.size());
        auto& made = *clients_.back();
        if (is("udp-empty-at-start")) {
            to_server(made, "");
        }
        if (is("udp-fills-pool") && clients_.size() <= 30) {
            ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
        }
        return &made;
    }

    void take_words(const Descriptor& from) {
        struct Word {
            Endpoint from;
            std::string data;
        };
        std::vector<Word> words;
        const std::size_t most = is("udp-clips-8192")    ? 8192
                                 : is("udp-clips-65000") ? 65000
                                                         : 65536;
        const bool reads_all = is("udp-reads-all") || is("udp-reorders") || is("udp-merges") ||
                               is("udp-mixes-at-once") || is("udp-loses-bursts");
        if (is("udp-loses-bursts")) {
            sleep_for(2ms); // so that all of a burst is there
        }
        std::string buffer(most, '\0');
        do {
            Word word;
            word.from.length = sizeof word.from.storage;
            const auto size = ::recvfrom(from.get(), buffer.data(), most, 0, word.from.address(),
                                         &word.from.length);
            if (size == -1) {
                if (errno != EAGAIN && is("udp-stops-when-client-gone")) {
                    hang();
                }
                break;
            }
            word.data = buffer.substr(0, static_cast<std::size_t>(size));
            words.push_back(std::move(word));
        } while (reads_all);
        if (is("udp-reorders")) {
            for (std::size_t i = 0; i + 1 < words.size(); i += 2) {
                std::swap(words[i], words[i + 1]);
            }
        }
        if (is("udp-loses-bursts") && words.size() > 4) {
            words.resize(4);
        }
        for (std::size_t i = 0; i + 1 < words.size() && is("udp-merges"); ++i) {
            if (words[i].from == words[i + 1].from) {
                words[i].data += words[i + 1].data;
                words.erase(words.begin() + static_cast<std::ptrdiff_t>(i) + 1);
            }
        }
        for (auto& word : words) {
            take_word(is("udp-mixes-at-once") ? words.front().from : word.from,
                      std::move(word.data));
        }
        if (is("udp-binds-anew") && !words.empty() && !std::exchange(is_bound_anew_, true)) {
            listener_.close();
            bind_listener();
        }
    }

    void take_word(const Endpoint& from, std::string data) {
        auto* client = client_at(from);
        if (client == nullptr) {
            return;
        }
        if (is("udp-by-low-bits")) {
            client->from = from;
        }
        ++client->datagrams;
        ++client->unanswered;
        client->last = Clock::now();
        client->was_kept_alive = false;
        client->answers_left = is("udp-five-answers") ? 5 : client->answers_left + 1;
        last_ = client;
        note_word(data);
        if (is_word_lost(*client, data)) {
            return;
        }
        if (is("udp-empty-to-others")) {
            for (const auto& other : clients_) {
                if (other.get() != client) {
                    send(listener_.get(), "", other->from);
                }
            }
        }
        if (is("udp-new-source")) {
            renew(*client);
        }
        data = distorted(std::move(data));
        if (settings_.tells_client && !(is("udp-tells-once") && client->datagrams > 1)) {
            data = proxy_header(from) + data;
        }
        to_server(*client, data);
        if ((is("udp-doubles-tenth") && total_ % 10 == 0) ||
            (is("udp-doubles-in-flood") && total_ % 50 == 0)) {
            to_server(*client, data);
        }
    }

    /// What tells the server of a client (PROXY protocol, version 2).
    [[nodiscard]] std::string proxy_header(const Endpoint& client) {
        auto told = client;
        if (is("udp-tells-first-port")) {
            told.set_port(clients_.front()->from.port());
        }
        if (is("udp-tells-first-port-of-address")) {
            told = first_at_.emplace(client.port(), client).first->second;
        }
        if (is("udp-tells-itself")) {
            told = settings_.listen;
        }
        std::string result{"\r\n\r\n\0\r\nQUIT\n\x21", 13};
        const bool ipv6 = (client.family() == AF_INET6) != is("udp-tells-other-family");
        result += static_cast<char>((ipv6 ? 0x20 : 0x10) | (is("udp-tells-of-connection") ? 1 : 2));
        std::string addresses;
        for (const auto* end : {&told, &settings_.listen}) {
            auto packed = end->packed();
            packed.resize(ipv6 ? 16 : 4);
            addresses += packed;
        }
        for (const auto port : {told.port(), settings_.listen.port()}) {
            addresses += static_cast<char>(port >> 8U);
            addresses += static_cast<char>(port & 0xffU);
        }
        return result + '\0' + static_cast<char>(addresses.size()) + addresses;
    }

    /// Has the client another socket to the server; the old one may still bring an answer.
    void renew(UdpClient& client) {
        auto old = std::make_unique<UdpClient>();
        old->from = client.from;
        old->from.set_port(0); // so that it is found by nobody
        old_to_[old.get()] = client.from;
        old->server = std::exchange(client.server, server_socket(client.from));
        old->peer = settings_.target;
        old->answers_left = 1;
        clients_.push_back(std::move(old));
        constexpr std::size_t most = 200;
        if (clients_.size() > most) {
            const auto oldest =
                std::find_if(clients_.begin(), clients_.end(),
                             [](const auto& each) { return each->from.port() == 0; });
            old_to_.erase(oldest->get());
            clients_.erase(oldest);
        }
    }

    void note_word(const std::string& data) {
        ++total_;
        if (is("udp-crashes-on-large") && data.size() > 9000) {
            crash();
        }
        if (is("udp-ends-on-empty") && data.empty()) {
            ::_exit(0);
        }
        if (is("udp-noisy")) {
            std::fprintf(stderr, "a datagram of %zu bytes\n", data.size());
        }
        if (is("udp-leaks-descriptors") && total_ % 4 == 0) {
            ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
        }
        if (is("udp-leaks-memory")) {
            static std::vector<std::string> kept;
            kept.emplace_back(8192, 'x');
        }
        if (is("udp-hiccups") && total_ % 40 == 0) {
            sleep_for(30ms);
        }
        if (is("udp-stops-in-flood") && total_ > 300) {
            hang();
        }
        const auto now = Clock::now();
        if (now - second_ > 1s) {
            second_ = now;
            in_second_ = 0;
        }
        ++in_second_;
        if (is("udp-before-tcp") && in_second_ > 200) {
            process.flooded_until = (now + 200ms).time_since_epoch().count();
        }
    }

    [[nodiscard]] static bool is_too_large(const std::string& data) {
        const bool takes_1500 = is("udp-1500-at-most") || is("udp-never-rests");
        return (takes_1500 && data.size() > 1500) ||
               (is("udp-2500-at-most") && data.size() > 2500) ||
               (is("udp-9000-at-most") && data.size() > 9000);
    }

    [[nodiscard]] bool is_word_lost(const UdpClient& client, const std::string& data) const {
        return is_too_large(data) || (is("udp-no-empty") && data.empty()) ||
               (is("udp-loses-1473") && data.size() > 1472 && data.size() <= 2000) ||
               (is("udp-loses-one-byte") && data.size() == 1) ||
               (is("udp-loses-tenth") && total_ % 10 == 0) ||
               (is("udp-loses-first") && client.datagrams == 1) ||
               (is("udp-loses-second") && client.datagrams == 2) ||
               (is("udp-stops-after-answer") && client.unanswered > 8) ||
               (is("udp-loses-when-busy") && in_second_ > 200 && total_ % 10 == 0) ||
               (is("udp-300-a-second") && in_second_ > 300) ||
               (is("udp-loses-in-flood") && in_second_ > 500 && total_ % 1000 == 0) ||
               client.is_deaf;
    }

    [[nodiscard]] std::string distorted(std::string data) {
        if (is("udp-wraps-size")) {
            data.resize(data.size() % 32768);
        }
        if (is("udp-zeroes-tail") && data.size() > 16384) {
            std::fill(data.begin() + 16384, data.end(), '\0');
        }
        if (is("udp-pads-to-four") && data.size() < 4) {
            data.resize(4);
        }
        if (is("udp-stale-bytes")) {
            const auto size = data.size();
            if (size > 0 && stale_.size() > size && size < 8) {
                data += stale_.substr(size, 1);
            }
            stale_ = data;
        }
        if (is("udp-stops-at-zero")) {
            data.resize(std::min(data.find('\0'), data.size()));
        }
        if (is("udp-strips-newline") && data.ends_with('\n') && data.size() < 8) {
            data.pop_back();
        }
        if (is("udp-changes-line-ends")) {
            for (auto at = data.find("\r\n"); at != std::string::npos; at = data.find("\r\n")) {
                data.erase(at, 1);
            }
        }
        if (is("udp-escapes-ff")) {
            for (std::size_t i = 0; i < data.size(); ++i) {
                if (data[i] == '\xff') {
                    data.insert(i++, 1, '\xff');
                }
            }
        }
        if (is("udp-adds-header")) {
            data = std::to_string(data.size()) + data;
        }
        return data;
    }

    void to_server(UdpClient& client, const std::string& data) {
        if ((is("udp-splits-1000") && data.size() > 1000) ||
            (is("udp-splits-large") && data.size() > 4096)) {
            const auto half = data.size() / 2;
            pass(client, data.substr(0, half));
            pass(client, data.substr(half));
            return;
        }
        pass(client, data);
    }

    void pass(UdpClient& client, const std::string& data) {
        const auto to = is_open() ? client.peer : Endpoint{};
        const bool is_first = client.datagrams == 1 && clients_.size() <= 6;
        if (is("udp-late") || is("udp-late-250") || is("udp-late-350") ||
            (is("udp-late-first") && is_first)) {
            const auto pause = is("udp-late")       ? 15ms
                               : is("udp-late-250") ? 250ms
                               : is("udp-late-350") ? 350ms
                                                    : 200ms;
            delayed_.push_back({Clock::now() + pause, client.server.get(), to, data});
            return;
        }
        if (is("udp-late-once") && total_ == 1) {
            delayed_.push_back({Clock::now() + 600ms, client.server.get(), to, data});
            return;
        }
        if (send(client.server.get(), data, to) == ECONNREFUSED) {
            on_refused(client);
            send(client.server.get(), data, to); // the error was of an earlier one
        }
    }

    void send_delayed() {
        const auto now = Clock::now();
        for (auto& each : delayed_) {
            if (each.due <= now && send(each.fd, each.data, each.to) == ECONNREFUSED) {
                send(each.fd, each.data, each.to); // the error was of an earlier one
            }
        }
        std::erase_if(delayed_, [&](const auto& each) { return each.due <= now; });
    }

    /// Sends, and returns errno.
    static int send(int fd, std::string_view data, const Endpoint& to) {
        const auto result = to.length == 0 ? ::send(fd, data.data(), data.size(), MSG_NOSIGNAL)
                                           : ::sendto(fd, data.data(), data.size(), MSG_NOSIGNAL,
                                                      to.address(), to.length);
        return result == -1 ? errno : 0;
    }

    // --- From the server

    void on_refused(UdpClient& client) {
        was_refused_ = true;
        if (is("udp-dies-when-refused") || is("udp-ends-tcp")) {
            ::_exit(1);
        }
        if (is("udp-spins-when-refused")) {
            work_from_now_on();
        }
        if (is("udp-empty-when-refused")) {
            send(listener_.get(), "", client.from);
        }
        client.is_deaf = client.is_deaf || is("udp-deaf-when-refused");
        if (is("udp-drops-refused")) {
            client.last = Clock::now() - 1h;
        }
    }

    void take_answers(UdpClient& client) {
        std::string buffer(65536, '\0');
        for (std::string before;;) {
            Endpoint from;
            from.length = sizeof from.storage;
            const std::size_t most = is("udp-clips-answers") ? 2048 : buffer.size();
            const auto size = ::recvfrom(client.server.get(), buffer.data(), most, 0,
                                         from.address(), &from.length);
            if (size == -1) {
                if (errno == ECONNREFUSED) {
                    on_refused(client);
                    continue;
                }
                if (!before.empty()) {
                    answer(client, before);
                }
                return;
            }
            if (is_open() && !is_wanted(client, from)) {
                continue;
            }
            auto data = buffer.substr(0, static_cast<std::size_t>(size));
            if (!is("udp-merges-answers")) {
                answer(client, data);
            } else if (before.empty()) {
                before = data;
            } else {
                answer(client, std::exchange(before, {}) + data);
            }
        }
    }

    [[nodiscard]] bool is_wanted(UdpClient& client, const Endpoint& from) const {
        if (is("udp-takes-anybody")) {
            return true;
        }
        if (is("udp-takes-address")) {
            return from.packed() == settings_.target.packed();
        }
        if (is("udp-follows-stranger")) {
            client.peer = from;
        }
        if (is("udp-ends-on-stranger") && !(from == settings_.target)) {
            hang();
        }
        return from == settings_.target;
    }

    void answer(UdpClient& client, std::string data) {
        ++answers_;
        client.unanswered = 0;
        const bool is_limited = is("udp-one-answer") || is("udp-five-answers");
        if (is("udp-never-answers") || (is("udp-loses-answers") && answers_ % 4 == 0) ||
            (is("udp-late-answers-lost") && Clock::now() - client.last > 300ms) ||
            (is_limited && client.answers_left-- <= 0) || client.is_deaf ||
            (is("udp-no-empty") && data.empty()) || is_too_large(data)) {
            return;
        }
        client.last = Clock::now();
        if (is("udp-seven-bits") && !data.empty()) {
            data.back() = static_cast<char>(data.back() & 0x7f);
        }
        auto to = client.from;
        if (const auto old = old_to_.find(&client); old != old_to_.end()) {
            to = old->second;
        }
        if (is("udp-last-client") && last_ != nullptr) {
            to = last_->from;
        }
        if (is("udp-swaps-answers") && answers_ % 50 == 0) {
            to = clients_[static_cast<std::size_t>(answers_) % clients_.size()]->from;
        }
        if (is("udp-answers-elsewhere")) {
            auto other = udp_socket(to.family());
            auto at = settings_.listen;
            at.set_port(0);
            checked(::bind(other.get(), at.address(), at.length), "bind");
            send(other.get(), data, to);
            return;
        }
        send(listener_.get(), data, to);
        if (is("udp-doubles-answers") && answers_ % 7 == 0) {
            send(listener_.get(), data, to);
        }
    }

    UdpSettings settings_;
    Descriptor listener_;
    Descriptor elsewhere_;
    Descriptor resolver_;
    std::vector<std::unique_ptr<UdpClient>> clients_;
    std::map<const UdpClient*, Endpoint> old_to_;
    std::map<std::uint16_t, Endpoint> first_at_;
    std::vector<UdpDelayed> delayed_;
    std::string stale_;
    UdpClient* last_ = nullptr;
    Clock::time_point second_ = Clock::now();
    int in_second_ = 0;
    int total_ = 0;
    int answers_ = 0;
    int made_ = 0;
    bool was_refused_ = false;
    bool is_bound_anew_ = false;
};

inline void on_udp_sigterm(int /*signal*/) {
    const bool is_busy = UdpRelay::count() > 0;
    if (is("udp-ignores-sigterm") && is_busy) {
        return;
    }
    if (is("udp-crashes-on-sigterm") && is_busy) {
        crash();
    }
    if (is("udp-leaves-child")) {
        leave_child();
    }
    if (is("udp-slow-stop")) {
        sleep_for(300ms);
    }
    ::_exit(is("udp-status-3") && is_busy ? 3 : 0);
}

[[noreturn]] inline void run_udp(UdpSettings settings) {
    struct sigaction action {};
    action.sa_handler = on_udp_sigterm;
    ::sigaction(SIGTERM, &action, nullptr);
    if (is("udp-slow-start")) {
        sleep_for(300ms);
    }
    if (is("udp-never-rests")) {
        work_for_ever();
    }
    UdpRelay{std::move(settings)}.run();
}
