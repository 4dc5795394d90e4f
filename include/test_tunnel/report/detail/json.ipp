#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/base/detail/escape.hpp"
#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/config/trait_names.hpp"
#include "test_tunnel/report/detail/ladder.hpp"
#include "test_tunnel/report/detail/report_text.hpp"
#include "test_tunnel/report/json.hpp"
#include "test_tunnel/report/report.hpp"

namespace test_tunnel {

namespace detail {

TEST_TUNNEL_INLINE std::string json_string(std::string_view text) {
    std::string result{"\""};
    const auto add = [&](char character) {
        const auto code = static_cast<unsigned char>(character);
        if (character == '"' || character == '\\') {
            result += '\\';
            result += character;
        } else if (character == '\n') {
            result += "\\n";
        } else if (code < 0x20 || code == 0x7f) {
            result += fmt::format("\\u{:04x}", code);
        } else {
            result += character;
        }
    };
    const auto is_ascii = [](char character) {
        return static_cast<unsigned char>(character) < 128;
    };
    for (auto rest = text; !rest.empty();) {
        const auto* const other = std::find_if_not(rest.begin(), rest.end(), is_ascii);
        std::for_each(rest.begin(), other, add);
        const auto* const end = std::find_if(other, rest.end(), is_ascii);
        // What is no UTF-8 becomes plain characters here.
        const auto escaped = escape_controls(std::string_view{other, end});
        std::for_each(escaped.begin(), escaped.end(), add);
        rest.remove_prefix(static_cast<std::size_t>(end - rest.begin()));
    }
    return result += '"';
}

/// Writes one JSON text, member by member, with indentation.
class JsonWriter {
public:
    [[nodiscard]] std::string take() { return std::move(text_) + "\n"; }

    void name(std::string_view name) {
        separate();
        text_ += json_string(name) + ": ";
        is_named_ = true;
    }
    void text(std::string_view value) { raw(json_string(value)); }
    /// Writes null for an empty text.
    void text_or_null(std::string_view value) { raw(value.empty() ? "null" : json_string(value)); }
    void raw(std::string_view value) {
        separate();
        text_ += value;
    }

    void member(std::string_view key, std::string_view value) {
        name(key);
        text(value);
    }
    void flag(std::string_view key, bool value) { // NOLINT: it is what is written
        name(key);
        raw(value ? "true" : "false");
    }
    void milliseconds(std::string_view key, Duration value) {
        name(key);
        raw(fmt::format("{:.3f}", detail::milliseconds(value)));
    }

    /// Writes an object whose members `inside` writes.
    template <typename Inside>
    void object(Inside inside) {
        nest("{}", inside);
    }
    template <typename Range, typename Element>
    void array(std::string_view key, const Range& range, Element element) {
        name(key);
        nest("[]", [&] {
            for (const auto& value : range) {
                object([&] { element(value); });
            }
        });
    }

    /// Writes an array of texts, each being what fmt makes of a value.
    template <typename Range>
    void texts(std::string_view key, const Range& range) {
        name(key);
        nest("[]", [&] {
            for (const auto& value : range) {
                text(fmt::format("{}", value));
            }
        });
    }

private:
    template <typename Inside>
    void nest(std::string_view brackets, Inside inside) {
        separate();
        text_ += brackets[0];
        ++depth_;
        is_first_ = true;
        inside();
        --depth_;
        if (!is_first_) {
            new_line();
        }
        text_ += brackets[1];
        is_first_ = false;
    }
    /// Begins the line of a name, or of a value that has none.
    void separate() {
        if (is_named_ || depth_ == 0) {
            is_named_ = false;
            return;
        }
        text_ += is_first_ ? "" : ",";
        is_first_ = false;
        new_line();
    }
    void new_line() { text_ += '\n' + std::string(depth_ * 2, ' '); }

    std::string text_;
    std::size_t depth_ = 0;
    bool is_first_ = true;
    bool is_named_ = false;
};

TEST_TUNNEL_INLINE void write_check(JsonWriter& json, const CheckResult& check) {
    const bool failed = is_failure(check.outcome);
    json.member("id", check.id);
    json.member("title", check.title);
    json.member("outcome", word_of(check.outcome));
    json.milliseconds("duration_ms", check.duration);
    json.name("reason");
    json.text_or_null(failed ? "" : check.account);
    json.name("failure");
    if (failed) {
        json.object([&] {
            json.member("step", check.step);
            json.member("expected", check.expected);
            json.member("actual", check.actual);
            json.name("same_as");
            json.text_or_null(check.same_as);
            json.member("account", check.account);
            json.array("steps", check.steps, [&](const Step& step) {
                json.member("name", step.name);
                json.member("expected", step.expected);
                json.member("from", text_of(step.from));
                json.member("to", text_of(step.to));
                json.milliseconds("begin_ms", step.begin);
            });
        });
    } else {
        json.raw("null");
    }
    json.array("notes", check.notes, [&](const Note& note) {
        json.name("trait");
        json.text_or_null(note.trait);
        json.member("text", note.text);
    });
    json.array("shown", check.shown, [&](const NamedTrait& trait) {
        json.member("trait", trait.name);
        json.member("value", trait.value);
    });
}

TEST_TUNNEL_INLINE void write_soak(JsonWriter& json, const Soak& soak) {
    const auto number = [&](std::string_view name, auto value) {
        json.name(name);
        json.raw(fmt::format("{}", value));
    };
    json.milliseconds("duration_ms", soak.duration);
    number("rounds", soak.rounds);
    number("connections", soak.connections);
    json.array("trends", soak.trends, [&](const Trend& trend) {
        json.member("name", trend.name);
        number("first", trend.first);
        number("last", trend.last);
        number("per_thousand", trend.per_thousand);
    });
    json.array("times", soak.times, [&](const TimesTaken& time) {
        json.member("name", time.name);
        number("count", time.count);
        json.milliseconds("p50_ms", time.p50);
        json.milliseconds("p90_ms", time.p90);
        json.milliseconds("p99_ms", time.p99);
        json.milliseconds("max_ms", time.max);
    });
}

TEST_TUNNEL_INLINE void write_pair(JsonWriter& json, const PairResult& entry) {
    const auto endpoint = [&](std::string_view name, const Endpoint& value) {
        json.name(name);
        json.object([&] {
            json.member("address", value.address.text());
            json.name("port");
            json.raw(fmt::format("{}", value.port));
        });
    };
    json.member("name", entry.pair.name());
    json.flag("passed", entry.passed());
    json.member("seed", fmt::format("{}", entry.seed));
    json.name("rounds");
    json.raw(fmt::format("{}", entry.rounds));
    json.texts("failed_seeds", entry.failed_seeds);
    endpoint("client", entry.pair.proxy_listen.client());
    endpoint("listen", entry.pair.proxy_listen.listen());
    endpoint("source", entry.pair.svc_listen.client());
    endpoint("target", entry.pair.svc_listen.listen());
    json.milliseconds("duration_ms", entry.duration);
    const auto time = [&](std::string_view name, const std::optional<Duration>& value) {
        if (value) {
            json.milliseconds(name, *value);
        } else {
            json.name(name);
            json.raw("null");
        }
    };
    time("start_ms", entry.start);
    time("stop_ms", entry.stop);
    json.milliseconds("cpu_ms", entry.use.cpu);
    json.name("peak_memory");
    json.raw(fmt::format("{}", entry.use.peak_memory));
    json.name("peak_descriptors");
    json.raw(fmt::format("{}", entry.use.peak_descriptors));
    json.name("soak");
    if (entry.soak) {
        json.object([&] { write_soak(json, *entry.soak); });
    } else {
        json.raw("null");
    }
    json.array("checks", entry.checks, [&](const CheckResult& check) { write_check(json, check); });
}

} // namespace detail

TEST_TUNNEL_INLINE std::string to_json(const std::vector<Report>& reports) {
    detail::JsonWriter json;
    json.object([&] {
        json.member("schema", "test-tunnel-report");
        json.name("version");
        json.raw(fmt::format("{}", json_schema_version));
        json.member("library", detail::library_version());
        json.flag("passed", detail::all_passed(reports));
        json.array("runs", reports, [&](const Report& report) {
            json.member("tool", report.slug);
            json.member("program", report.program);
            json.name("tool_version");
            json.text_or_null(report.version);
            json.name("command");
            json.text_or_null(report.command);
            json.member("level", text_of(report.level));
            json.flag("passed", report.passed());
            json.name("error");
            json.text_or_null(report.error);
            json.member("began", detail::utc_text(report.began));
            json.milliseconds("duration_ms", report.duration);
            json.name("traits");
            json.object([&] {
                for (const auto& trait : declared_traits(report.traits)) {
                    json.member(trait.name, trait.value);
                }
            });
            json.array("pairs", report.pairs,
                       [&](const PairResult& entry) { detail::write_pair(json, entry); });
        });
    });
    return json.take();
}

} // namespace test_tunnel
