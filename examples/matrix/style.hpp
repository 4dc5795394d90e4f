#pragma once

#include <string_view>

namespace matrix {

/// How the page looks. Text has a contrast of 4.5 at least to what is behind it (WCAG 2.2 §1.4.3),
/// and no outcome is told by its colour alone.
inline constexpr std::string_view style = R"css(
* { box-sizing: border-box; }
body { margin: 0; padding: 1.25rem; background: var(--ground); color: var(--text);
  font: 15px/1.45 system-ui, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; }
h3 { margin: 0 0 .6rem; }
h4 { margin: .8rem 0 .3rem; }
p { max-width: 70rem; margin: .3rem 0; }
small { color: var(--weak); }
code, pre { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .86em; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .2rem 0; }
.scroll { overflow: auto; max-height: 85vh; border: 1px solid var(--line); }
table { border-collapse: separate; border-spacing: 0; }
th, td { border-right: 1px solid var(--line); border-bottom: 1px solid var(--line);
  padding: .2rem .45rem; text-align: left; vertical-align: middle; }
thead th { background: var(--sheet); position: sticky; top: 0; z-index: 1; vertical-align: bottom; }
#matrix tbody th { background: var(--ground); position: sticky; left: 0; white-space: nowrap; }
#matrix thead th:first-child { left: 0; z-index: 2; }
#matrix tr:target th, #matrix tr:target td { background: var(--note-ground); }
th[aria-sort] { cursor: pointer; text-decoration: underline dotted; }
.group span { writing-mode: vertical-rl; transform: rotate(180deg); }
td a { text-decoration: none; display: grid; justify-content: center; gap: 1px; color: inherit; }
td a:focus-visible { outline: 2px solid var(--text); }
.four { grid-template-columns: repeat(2, 1.15rem); }
i { font-style: normal; font-weight: 600; text-align: center; border-radius: .2rem; padding: 0 .2rem;
  line-height: 1.25; display: inline-block; min-width: 1.15rem; }
.badge { border-radius: 1rem; padding: .05rem .6rem; font-weight: 600; white-space: nowrap; }
.passed { color: var(--good); background: var(--good-ground); }
.failed { color: var(--bad); background: var(--bad-ground); }
.known { color: var(--note); background: var(--note-ground); }
.skipped, .na, .none { color: var(--weak); background: var(--sheet); }
.way { white-space: nowrap; }
.legend { display: flex; flex-wrap: wrap; gap: .4rem 1.1rem; margin: .6rem 0; }
#controls { display: flex; flex-wrap: wrap; gap: .6rem; margin: .5rem 0; }
#controls input, #controls select { font: inherit; padding: .15rem .4rem; }
.sheet { display: none; }
.sheet:target { display: block; position: fixed; inset: 0; z-index: 3; overflow: auto;
  background: rgb(0 0 0 / 45%); padding: 3vh 3vw; }
.sheet > div { position: relative; max-width: 70rem; margin: auto; padding: 1rem 1.2rem 1.4rem;
  background: var(--ground); border: 1px solid var(--line); border-radius: .5rem; }
.sheet pre { background: var(--sheet); border: 1px solid var(--line); border-radius: .3rem;
  padding: .4rem .6rem; }
.sheet h4 { display: inline-block; padding: .05rem .5rem; border-radius: .3rem; }
.close { position: absolute; top: .4rem; right: .8rem; font-size: 1.6rem; text-decoration: none;
  color: inherit; }
.checks { border: 1px solid var(--line); margin: .6rem 0; }
.checks thead th { position: static; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem .8rem; margin: .8rem 0 0; }
dt { color: var(--weak); }
dd { margin: 0; min-width: 0; }
@media (max-width: 45rem) { body { padding: .6rem; font-size: 14px; }
  #matrix tbody th small { display: none; }
  .sheet:target { padding: 0; } .sheet > div { border-radius: 0; min-height: 100%; overflow-x: auto; }
  dl { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; } }
@media print { .scroll { max-height: none; } thead th { position: static; } }
)css";

/// Sorts by a column, and shows only some tools: what the page can do without.
inline constexpr std::string_view script = R"js(
"use strict";
(() => {
  const table = document.getElementById("matrix");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const controls = document.getElementById("controls");
  const name = Object.assign(document.createElement("input"),
    {type: "search", placeholder: "part of a name", ariaLabel: "part of a tool's name"});
  const kind = Object.assign(document.createElement("select"), {ariaLabel: "result"});
  for (const text of ["all results", "passed", "failed", "skipped"]) kind.add(new Option(text));
  controls.append(name, kind);
  const filter = () => rows.forEach(row => {
    const named = row.cells[0].textContent.toLowerCase().includes(name.value.toLowerCase());
    row.hidden = !named || (kind.selectedIndex > 0 && row.dataset.verdict !== kind.value);
  });
  name.addEventListener("input", filter);
  kind.addEventListener("change", filter);
  const milliseconds = text => {
    const match = /^([\d.]+) (µs|ms|s|min|MB)$/.exec(text);
    return match ? match[1] * {"µs": .001, ms: 1, s: 1000, min: 60000, MB: 1}[match[2]] : NaN;
  };
  const compare = (a, b) => {
    const x = milliseconds(a), y = milliseconds(b);
    return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y;
  };
  Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
    head.ariaSort = "none";
    head.tabIndex = 0;
    const text = row => row.cells[column].textContent.trim();
    const sort = () => {
      const down = head.ariaSort === "ascending";
      Array.from(table.tHead.rows[0].cells).forEach(other => other.ariaSort = "none");
      head.ariaSort = down ? "descending" : "ascending";
      rows.sort((a, b) => (down ? -1 : 1) * compare(text(a), text(b)));
      body.append(...rows);
    };
    head.addEventListener("click", sort);
    head.addEventListener("keydown", event => { if (event.key === "Enter") sort(); });
  });
  addEventListener("keydown", event => {
    const open = document.querySelector(".sheet:target .close");
    if (event.key === "Escape" && open) open.click();
  });
})();
)js";

} // namespace matrix
