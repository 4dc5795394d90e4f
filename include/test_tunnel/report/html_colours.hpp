#pragma once

#include <string_view>

namespace test_tunnel {

/// The colours of pages, light and dark, as variables of CSS: `--good`, `--bad` and `--note` for
/// what passed, failed and is worth a note, each with a ground. Text has a contrast of 4.5 at least
/// to its ground (WCAG 2.2 §1.4.3).
inline constexpr std::string_view html_colours = R"css(
:root { color-scheme: light dark;
  --ground: #fff; --sheet: #f6f7f9; --line: #d5d9e0; --text: #1c2330; --weak: #586174;
  --good: #17663a; --good-ground: #e3f4e8; --bad: #b3141d; --bad-ground: #fdeaea;
  --note: #7a4b00; --note-ground: #fdf3dc; }
@media (prefers-color-scheme: dark) { :root {
  --ground: #14171c; --sheet: #1c2027; --line: #373e4a; --text: #e4e8ef; --weak: #a1abbc;
  --good: #7bd69b; --good-ground: #17301f; --bad: #ff9a9a; --bad-ground: #3a1a1c;
  --note: #f0c674; --note-ground: #33290f; } }
)css";

} // namespace test_tunnel
