#include <test_tunnel/base/detail/escape.hpp>
#include <test_tunnel/base/text.hpp>
#include <test_tunnel/process/process.hpp>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

using namespace test_tunnel;
using namespace test_tunnel::detail;
using namespace std::string_view_literals;

TEST_CASE("escape_controls keeps text, newlines and tabs", "[text]") {
    CHECK(escape_controls("").empty());
    CHECK(escape_controls("one two\n\tthree\\ ~") == "one two\n\tthree\\ ~");
}

TEST_CASE("escape_controls makes terminal sequences harmless", "[text]") {
    CHECK(escape_controls("\x1b[31mred\x1b[0m") == "\\x1b[31mred\\x1b[0m");
    CHECK(escape_controls("\x1b]0;title\a") == "\\x1b]0;title\\x07");
    CHECK(escape_controls("over\rwritten\b") == "over\\x0dwritten\\x08");
    CHECK(escape_controls("\0\x7f"sv) == "\\x00\\x7f");
}

TEST_CASE("escape_controls lets no C1 control character through", "[text]") {
    // U+009B is CSI, as good as ESC [ for some terminals.
    CHECK(escape_controls("\xc2\x9b"
                          "2J") == "\\xc2\\x9b2J");
    CHECK(escape_controls("\x9b"
                          "2J") == "\\x9b2J");
    for (unsigned last = 0x80; last < 0xa0; ++last) {
        const std::string control{'\xc2', static_cast<char>(last)};
        CHECK(escape_controls(control) == fmt::format("\\xc2\\x{:02x}", last));
    }
    CHECK(escape_controls("\xc2\xa0") == "\xc2\xa0");
}

// NOLINTBEGIN(misc-misleading-bidirectional): such text is what it is about
TEST_CASE("escape_controls lets nothing through that hides or reorders text", "[text]") {
    CHECK(escape_controls("user\xe2\x80\xaegnp.exe") == "user\\xe2\\x80\\xaegnp.exe"); // U+202E
    for (const auto* const control : {
             "\xc2\xad",                             // U+00AD, soft hyphen
             "\xd8\x9c",                             // U+061C, Arabic letter mark
             "\xe1\xa0\x8e",                         // U+180E, Mongolian vowel separator
             "\xe2\x80\x8b",     "\xe2\x80\x8f",     // U+200B to U+200F: spaces, joiners, marks
             "\xe2\x80\xa8",     "\xe2\x80\xa9",     // U+2028, U+2029: ends of lines
             "\xe2\x80\xaa",     "\xe2\x80\xae",     // U+202A to U+202E: embeddings, overrides
             "\xe2\x81\xa0",     "\xe2\x81\xa6",     // U+2060, word joiner; U+2066, an isolate
             "\xe2\x81\xa9",     "\xe2\x81\xaf",     // U+2069, end of isolate; U+206F
             "\xe3\x85\xa4",                         // U+3164, Hangul filler
             "\xef\xbb\xbf",                         // U+FEFF, byte order mark
             "\xef\xbf\xb9",                         // U+FFF9, annotation
             "\xf0\x9d\x85\xb3",                     // U+1D173, of music
             "\xf3\xa0\x80\x81", "\xf3\xa0\x81\xbf", // U+E0001, U+E007F: tags
         }) {
        std::string escaped;
        for (const char byte : std::string_view{control}) {
            escaped += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
        }
        CHECK(escape_controls(fmt::format("a{}b", control)) == fmt::format("a{}b", escaped));
    }
    // What stands beside them, and what is drawn.
    for (const auto* const text :
         {"\xe2\x80\x8a", "\xe2\x80\x90", "\xe2\x80\xa7", "\xe2\x80\xaf", "\xd8\x80", "\xc2\xac",
          "\xe2\x9a\xa0\xef\xb8\x8f", "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d"}) {
        CHECK(escape_controls(text) == text);
    }
}
// NOLINTEND(misc-misleading-bidirectional)

TEST_CASE("escape_controls keeps well-formed UTF-8 of every length", "[text]") {
    for (const auto* const text : {"\xc3\xa9",
                                   "4\xe2\x86\x92"
                                   "6",
                                   "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbd",
                                   "\xf0\x90\x80\x80", "\xf0\x9f\x9a\x87", "\xf4\x8f\xbf\xbf"}) {
        CHECK(escape_controls(text) == text);
    }
}

TEST_CASE("escape_controls escapes every byte of what is no UTF-8", "[text]") {
    const std::vector<std::pair<std::string_view, std::string_view>> cases{
        {"\x80", "\\x80"},                                     // no lead byte
        {"\xff\xfe", "\\xff\\xfe"},                            // never in UTF-8
        {"\xc3", "\\xc3"},                                     // cut off
        {"\xe2\x86", "\\xe2\\x86"},                            // cut off
        {"\xf0\x9f\x9a", "\\xf0\\x9f\\x9a"},                   // cut off
        {"\xc3(", "\\xc3("},                                   // no continuation
        {"\xe2\x86\x1b", "\\xe2\\x86\\x1b"},                   // no continuation
        {"\xc0\xaf", "\\xc0\\xaf"},                            // overlong '/'
        {"\xc1\xbf", "\\xc1\\xbf"},                            // overlong
        {"\xe0\x80\x9b", "\\xe0\\x80\\x9b"},                   // overlong ESC
        {"\xe0\x9f\xbf", "\\xe0\\x9f\\xbf"},                   // overlong
        {"\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf"},          // overlong
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},                   // surrogate U+D800
        {"\xed\xbf\xbf", "\\xed\\xbf\\xbf"},                   // surrogate U+DFFF
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},          // above U+10FFFF
        {"\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80"}, // five bytes
        {"\xef\xbf\xbf", "\\xef\\xbf\\xbf"},                   // U+FFFF: not in XML
    };
    for (const auto& [text, escaped] : cases) {
        CHECK(escape_controls(text) == escaped);
    }
}

TEST_CASE("escape_controls goes on after a bad sequence with the next character", "[text]") {
    CHECK(escape_controls("\xe2\xc3\xa9") == "\\xe2\xc3\xa9");
    CHECK(escape_controls("\xf0\x9f\xe2\x86\x92") == "\\xf0\\x9f\xe2\x86\x92");
}

TEST_CASE("shell_quote leaves a plain word as it is", "[text]") {
    CHECK(shell_quote("TCP4-LISTEN:6374,bind=192.0.2.1") == "TCP4-LISTEN:6374,bind=192.0.2.1");
    CHECK(shell_quote("") == "''");
    CHECK(shell_quote("it's") == "'it'\\''s'");
}

TEST_CASE("shell_quote gives a word that a shell reads back as it was", "[text]") {
    std::string every_byte;
    for (int byte = 1; byte < 256; ++byte) {
        every_byte += static_cast<char>(byte);
    }
    for (const std::string word :
         {"",           "plain",   "two words", " ",     "it's",        "'",     "''",
          "\"double\"", "$HOME",   "`id`",      "$(id)", "back\\slash", "\\",    "end\\'",
          "a\nb",       "\n",      "tab\t",     "*",     "~",           "~root", "#no",
          "a;b&c|d",    "<in>out", "{a,b}",     "[a]",   "!!",          "-n",    "%s",
          "\xc3\xa9",   "\xff",    "a=b",       "?"}) {
        every_byte += word;
        SpawnOptions options;
        // The word is twice on the line: it must neither end it nor run into the next.
        options.argv = {"sh", "-c",
                        fmt::format("printf '<%s>' {} {}", shell_quote(word), shell_quote(word))};
        auto shell = Process::spawn(std::move(options));
        INFO("word " << shell_quote(word));
        REQUIRE(shell.wait(Deadline::after(std::chrono::seconds{10})));
        CHECK(shell.out() == fmt::format("<{}><{}>", word, word));
    }
    SpawnOptions options;
    options.argv = {"sh", "-c", "printf %s " + shell_quote(every_byte)};
    auto shell = Process::spawn(std::move(options));
    REQUIRE(shell.wait(Deadline::after(std::chrono::seconds{10})));
    CHECK(shell.out() == every_byte);
}

TEST_CASE("joined puts separators between, and only there", "[text]") {
    using Words = std::vector<std::string>;
    CHECK(joined(Words{}, ", ").empty());
    CHECK(joined(Words{"a"}, ", ") == "a");
    CHECK(joined(Words{"a", "b", "c"}, ", ") == "a, b, c");
    CHECK(joined(Words{"", "", "c"}, ",") == ",,c");
    CHECK(joined(std::vector<int>{1, 2}, "→") == "1→2");
}

TEST_CASE("indent_lines indents every line but the first", "[text]") {
    CHECK(indent_lines("", "  ").empty());
    CHECK(indent_lines("one", "  ") == "one");
    CHECK(indent_lines("one\ntwo\nthree", "  ") == "one\n  two\n  three");
    CHECK(indent_lines("one\n\ntwo\n", "> ") == "one\n> \n> two\n");
}

TEST_CASE("a hexdump shows offset, bytes and characters", "[text]") {
    CHECK(hexdump("").empty());
    CHECK(hexdump("Hi\n\x1b\xff") ==
          "00000000  48 69 0a 1b ff                                   |Hi...|");
    CHECK(hexdump("0123456789abcdef") ==
          "00000000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  |0123456789abcdef|");
}

TEST_CASE("a hexdump goes on in a second line, from the offset that it was given", "[text]") {
    CHECK(hexdump("0123456789abcdef!", 0x100) ==
          "00000100  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  |0123456789abcdef|\n"
          "00000110  21                                               |!|");
}

TEST_CASE("bytes_around says how many bytes there are", "[text]") {
    CHECK(bytes_around("", 0) == "0 bytes");
    CHECK(bytes_around("a", 0) == "1 byte\n" + hexdump("a"));
    CHECK(bytes_around("ab", 1) == "2 bytes\n" + hexdump("ab"));
}

TEST_CASE("bytes_around shows at most 64 bytes, the position among them, offsets true", "[text]") {
    std::string bytes;
    for (int i = 0; i < 1000; ++i) {
        bytes += static_cast<char>(i * 7);
    }
    for (const std::size_t position : {0U, 15U, 16U, 17U, 500U, 999U, 1000U}) {
        const auto start = position < 16 ? 0 : position / 16 * 16 - 16;
        CHECK(bytes_around(bytes, position) ==
              "1000 bytes\n" + hexdump(std::string_view{bytes}.substr(start, 64), start));
    }
}

TEST_CASE("bytes_around takes a position behind the end for the end", "[text]") {
    CHECK(bytes_around("abc", 3) == "3 bytes\n" + hexdump("abc"));
    CHECK(bytes_around("abc", std::string::npos) == "3 bytes\n" + hexdump("abc"));
}
