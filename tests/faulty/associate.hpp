// SOCKS5's UDP ASSOCIATE (RFC 1928 §6 and 7), right or wrong: a client's datagrams are relayed as
// long as the connection is open on which it has asked for that.

#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "associate_header.hpp"
#include "associate_sockets.hpp"
#include "behaviours.hpp"
#include "sockets.hpp"

class Association {
public:
    /// `told` is from where the client says that it will send; `source` is from where its datagrams
    /// are to be sent onwards.
    Association(Descriptor control, const Endpoint& told, const Endpoint& listen,
                const Endpoint& source)
        : control_{std::move(control)},
          client_address_{peer_endpoint(control_.get()).packed()},
          told_port_{told.port()},
          source_{source} {
        source_.set_port(0);
        for (const int family : {AF_INET, AF_INET6}) {
            try {
                outgoing_[std::string(1, static_cast<char>(family))] = outgoing_socket_of(family);
            } catch (const std::exception&) { // there is none of this family
            }
        }
        relay_at_ = listen;
        relay_at_.set_port(0);
        if (is("association-relay-wildcard")) {
            relay_at_ = any_address(listen.family(), 0);
        }
        if (is("association-shares-port")) {
            join();
        } else {
            relay_ = datagram_socket(relay_at_);
            relay_at_.set_port(local_endpoint(relay_.get()).port());
        }
        if (is("association-everywhere")) {
            everywhere_ = datagram_socket_everywhere(relay_at_, relay_.get());
        }
        told_relay_ = listen;
        told_relay_.set_port(relay_at_.port());
    }
    Association(const Association&) = delete;
    Association& operator=(const Association&) = delete;
    ~Association() {
        const std::lock_guard lock{shared_relay.mutex};
        std::erase(shared_relay.associations, this);
        ++shared_relay.ended;
        if (is("association-leaks")) {
            ::fcntl(relay_.get(), F_DUPFD_CLOEXEC, 0);
        }
        if (is("association-leaks-targets")) {
            for (auto& [name, socket] : outgoing_) {
                ::fcntl(socket.get(), F_DUPFD_CLOEXEC, 0);
            }
        }
    }

    void run() {
        reply();
        if (is("association-closes-control")) {
            ::shutdown(control_.get(), SHUT_RDWR);
            control_.close();
        }
        const int ended_before = shared_relay.ended;
        while (!is_over_ && (!end_ || Clock::now() < *end_)) {
            if (is("association-end-ends-all") && shared_relay.ended != ended_before) {
                return;
            }
            look();
        }
    }

    /// A datagram has arrived where the client is to send to.
    void take(const ReceivedDatagram& datagram) {
        if (!is_from_client(datagram.from)) {
            take_from_stranger(datagram);
            return;
        }
        client_ = datagram.from;
        if (is("association-steals-answers")) {
            const std::lock_guard lock{shared_relay.mutex};
            shared_relay.last_client = {relay_.get(), *client_};
        }
        if (is_deaf_ || shared_relay.has_stopped) {
            return;
        }
        const auto request = read_request_header(datagram.data, source_.family());
        if (!request) {
            take_nonsense(datagram);
            return;
        }
        if (request->fragment == 0) {
            fragments_.clear();
            send_onwards(*request);
        } else {
            take_fragment(*request);
        }
    }

    [[nodiscard]] bool is_from_client(const Endpoint& from) const {
        const bool is_open = is("association-first-comer-owns") ||
                             (is("association-zeros-are-anybody") && told_port_ == 0);
        const bool any_first = is_open && !client_;
        if (is("association-serves-strangers") || any_first) {
            return true;
        }
        if (is_open) {
            return client_->packed() == from.packed();
        }
        const bool needs_told_port = is("association-limits-port") && told_port_ != 0;
        const bool is_locked_out = is("association-needs-address") && told_port_ == 0;
        return from.packed() == client_address_ && !is_locked_out &&
               (!needs_told_port || from.port() == told_port_);
    }

    /// Which of several associations a datagram is for: the client's own, or one that it has told.
    [[nodiscard]] bool is_used_by(const Endpoint& from) const {
        return client_ ? client_->packed() == from.packed() && client_->port() == from.port()
                       : is_from_client(from) && (told_port_ == 0 || told_port_ == from.port());
    }

private:
    void join() {
        const std::lock_guard lock{shared_relay.mutex};
        if (!shared_relay.socket) {
            shared_relay.socket = datagram_socket(relay_at_);
            std::thread{[] {
                for (;;) {
                    is_readable(shared_relay.socket.get(), -1);
                    const auto datagram = receive_datagram(shared_relay.socket.get());
                    const std::lock_guard locked{shared_relay.mutex};
                    for (auto* each : shared_relay.associations) {
                        if (datagram && each->is_used_by(datagram->from)) {
                            each->take(*datagram);
                            break;
                        }
                    }
                }
            }}.detach();
        }
        shared_relay.associations.push_back(this);
        relay_at_.set_port(local_endpoint(shared_relay.socket.get()).port());
    }

    [[nodiscard]] int relay_socket() const {
        return relay_ ? relay_.get() : shared_relay.socket.get();
    }

    void reply() {
        auto told = told_relay_;
        if (is("association-relay-zeros")) {
            told = any_address(told.family(), told.port());
        }
        if (is("association-relay-wrong-port")) {
            told.set_port(static_cast<std::uint16_t>(told.port() ^ 1U));
        }
        if (is("association-refused")) {
            write_all(control_.get(), std::string{5, 7, 0, 1} + std::string(6, '\0'));
            is_over_ = true;
            return;
        }
        write_all(control_.get(), std::string{5, 0, 0} + written_address(told));
    }

    Descriptor outgoing_socket_of(int family) {
        auto result =
            datagram_socket(family == source_.family() ? source_ : any_address(family, 0));
        if (is("association-ends-on-icmp")) {
            set_option(result.get(), family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6,
                       family == AF_INET ? IP_RECVERR : IPV6_RECVERR, 1);
        }
        return result;
    }

    Descriptor& outgoing_to(const Endpoint& target) {
        const bool one_each = is("association-leaks-targets") || is("association-socket-each");
        const auto name =
            one_each ? written_address(target) : std::string(1, static_cast<char>(target.family()));
        auto& socket = outgoing_[name];
        if (!socket) {
            socket = outgoing_socket_of(target.family());
        }
        return socket;
    }

    /// Waits for something to happen, and deals with it.
    void look() {
        std::vector<pollfd> ready{
            {control_.get(), POLLIN, 0}, {relay_.get(), POLLIN, 0}, {everywhere_.get(), POLLIN, 0}};
        for (const auto& [name, socket] : outgoing_) {
            ready.push_back({socket.get(), POLLIN, 0});
        }
        int timeout = end_ || is("association-end-ends-all") ? 10 : -1;
        if (is("association-ends-idle")) {
            timeout = 100;
        }
        if (is("association-short-session")) {
            timeout = 2000;
        }
        if (is("association-ends-silent")) {
            timeout = 2500;
        }
        if (::poll(ready.data(), ready.size(), timeout) == 0) {
            is_over_ = is_over_ || is("association-ends-idle") || is("association-ends-silent");
            if (is("association-short-session")) {
                outgoing_.clear();
            }
            return;
        }
        if (ready[0].revents != 0) {
            look_at_control();
        }
        for (const auto& [fd, events, happened] : {ready[1], ready[2]}) {
            if (happened == 0) {
                continue;
            }
            if (const auto datagram = receive_datagram(fd)) {
                take(*datagram);
            }
        }
        for (auto entry = ready.begin() + 3; entry != ready.end(); ++entry) {
            if (entry->revents != 0) {
                take_answer(entry->fd);
            }
        }
    }

    void look_at_control() {
        char data[4096];
        const auto count = ::recv(control_.get(), data, sizeof data, 0);
        if (count > 0) {
            return; // nothing that it could say has a meaning
        }
        control_.close();
        if (is("association-outlives-control") ||
            (is("association-outlives-reset") && count == -1)) {
            end_ = Clock::now() + 20s;
        } else if (is("association-answers-on")) {
            end_ = Clock::now() + 20s;
            is_deaf_ = true;
        } else if (is("association-late-end")) {
            end_ = Clock::now() + 100ms;
        } else {
            is_over_ = true;
        }
    }

    void take_from_stranger(const ReceivedDatagram& datagram) {
        if (is("association-passes-strangers") && client_) {
            send_datagram(relay_socket(), answer_header(datagram.from, told_relay_) + datagram.data,
                          *client_);
        }
        if (is("association-strangers-steal")) {
            client_ = datagram.from;
        }
        if (is("association-strangers-end-it")) {
            is_over_ = true;
        }
    }

    void take_nonsense(const ReceivedDatagram& datagram) {
        constexpr std::size_t shortest = 10;
        if (is("association-crashes-on-short") && datagram.data.size() < shortest) {
            crash();
        }
        if (is("association-stops-on-nonsense")) {
            shared_relay.has_stopped = true;
        }
        if (is("association-ends-on-nonsense")) {
            is_over_ = true;
        }
    }

    void take_fragment(const DatagramRequest& request) {
        constexpr unsigned char last = 0x80;
        if (is("association-dies-of-fragment")) {
            is_deaf_ = true;
        }
        if (is("association-forwards-fragments") ||
            (is("association-forwards-last") && (request.fragment & last) != 0)) {
            send_onwards(request);
        }
        if (!is("association-reassembles")) {
            return;
        }
        if ((request.fragment & ~last) == 1) {
            fragments_.clear();
        }
        fragments_ += request.data;
        if ((request.fragment & last) != 0) {
            auto whole = request;
            whole.data = std::exchange(fragments_, {});
            send_onwards(whole);
        }
    }

    void send_onwards(const DatagramRequest& request) {
        auto target = request.target;
        if (!first_target_) {
            first_target_ = target;
        }
        const bool is_first = written_address(*first_target_) == written_address(target);
        if (is("association-one-target") && !is_first) {
            return;
        }
        if (is("association-keeps-target")) {
            target = *first_target_;
        }
        if (is("association-repeats") && !is_first) {
            const bool is_new = !asked_as_.contains(written_address(target));
            asked_as_[written_address(target)] = request.written;
            if (!is_new) {
                repeat_for_ever(outgoing_to(target).get(), request.data, target);
            }
            return;
        }
        last_target_ = target;
        asked_as_[written_address(target)] = request.written;
        if (is("association-dies-of-other-family") && target.family() != source_.family()) {
            is_deaf_ = true;
            return;
        }
        if (is("association-deaf")) {
            return;
        }
        if (is("association-late-first") && is_first_) {
            sleep_for(300ms);
        }
        is_first_ = false;
        if (!send_datagram(outgoing_to(target).get(), request.data, target)) {
            is_deaf_ = is_deaf_ || is("association-dies-of-failed-send");
        }
    }

    static void repeat_for_ever(int socket, const std::string& data, const Endpoint& target) {
        std::thread{[=] {
            for (;;) {
                send_datagram(socket, data, target);
                std::this_thread::sleep_for(50ms);
            }
        }}.detach();
    }

    void take_answer(int socket) {
        const auto answer = receive_datagram(socket);
        if (!answer) {
            is_over_ = is_over_ || is("association-ends-on-icmp");
            return;
        }
        if (!client_ || is("association-silent")) {
            return;
        }
        if (is("association-restricted") && !asked_as_.contains(written_address(answer->from))) {
            return;
        }
        const auto sender =
            is("association-mixes-answers") && last_target_ ? *last_target_ : answer->from;
        auto header = answer_header(sender, told_relay_);
        const auto asked = asked_as_.find(written_address(sender));
        if (is("association-answers-by-name") && asked != asked_as_.end()) {
            header = std::string(3, '\0') + asked->second;
        }
        auto data = header + answer->data;
        if (is("association-clips")) {
            data.resize(std::min<std::size_t>(data.size(), 1500));
        }
        if (is("association-steals-answers")) {
            const std::lock_guard lock{shared_relay.mutex};
            if (shared_relay.last_client) {
                send_datagram(shared_relay.last_client->first, data,
                              shared_relay.last_client->second);
            }
            return;
        }
        if (is("association-answers-from-fresh-port")) {
            auto at = relay_at_;
            at.set_port(0);
            send_datagram(datagram_socket(at).get(), data, *client_);
            return;
        }
        send_datagram(relay_socket(), data, *client_);
    }

    Descriptor control_;
    std::string client_address_;
    std::uint16_t told_port_;
    Endpoint source_;
    Endpoint relay_at_;
    Endpoint told_relay_;
    Descriptor relay_;
    Descriptor everywhere_;
    std::map<std::string, Descriptor> outgoing_;
    /// Where the client's last datagram came from.
    std::optional<Endpoint> client_;
    std::optional<Endpoint> first_target_;
    std::optional<Endpoint> last_target_;
    std::map<std::string, std::string> asked_as_;
    std::string fragments_;
    std::optional<Clock::time_point> end_;
    bool is_first_ = true;
    bool is_deaf_ = false;
    bool is_over_ = false;
};
