#pragma once

#include <string_view>

namespace test_tunnel::detail {

/// How the page looks. The colours of text on its ground have a contrast of 4.5 at least (WCAG 2.2
/// §1.4.3), and no outcome is told by colour alone.
inline constexpr std::string_view html_style = R"css(
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 1.5rem 1.25rem 4rem; background: var(--ground);
  color: var(--text); font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .25rem; display: flex; gap: .75rem; align-items: center;
  flex-wrap: wrap; }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; }
h4 { font-size: 1rem; margin: 0; }
p { margin: .25rem 0; }
a { color: inherit; }
code, pre, td.id { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .86em; }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.weak { color: var(--weak); }
.badge { font-size: .85rem; font-weight: 600; border-radius: 1rem; padding: .1rem .7rem; }
.passed { color: var(--good); background: var(--good-ground); }
.failed { color: var(--bad); background: var(--bad-ground); }
.known_failure { color: var(--note); background: var(--note-ground); }
.not_applicable, .skipped { color: var(--weak); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { border: 1px solid var(--line); padding: .3rem .6rem; text-align: left;
  vertical-align: top; }
thead th { background: var(--sheet); font-weight: 600; }
.matrix td { text-align: center; white-space: nowrap; }
.matrix th[scope=row] { white-space: nowrap; }
td.number, .matrix td.number { text-align: right; white-space: nowrap; }
.chips { display: flex; flex-wrap: wrap; gap: .4rem; list-style: none; margin: .5rem 0; padding: 0; }
.chips li { background: var(--sheet); border: 1px solid var(--line); border-radius: .3rem;
  padding: .05rem .5rem; }
.notes { margin: .25rem 0; padding-left: 1.2rem; }
.failure { border: 1px solid var(--line); border-left: 4px solid var(--bad); border-radius: .4rem;
  padding: .9rem 1rem 1rem; margin: .9rem 0; background: var(--sheet); }
.failure.failed, .failure.known_failure { color: inherit; background: var(--sheet); }
.failure.known_failure { border-left-color: var(--note); }
.against { display: grid; grid-template-columns: max-content 1fr; gap: .4rem .9rem; margin: .7rem 0; }
.against dt { color: var(--weak); }
.against dd { margin: 0; }
.against .wrong { color: var(--bad); }
details { margin: .6rem 0; }
summary { cursor: pointer; }
details[open] > summary { margin-bottom: .5rem; }
.account { border: 1px solid var(--line); background: var(--ground); border-radius: .3rem;
  padding: .6rem .8rem; }
.error { color: var(--bad); background: var(--bad-ground); padding: .6rem .8rem;
  border-radius: .3rem; }
.ladder { display: block; width: 100%; min-width: 40rem; max-width: 54rem; font-size: 13px; }
.ladder text { fill: var(--text); }
.ladder .party { font-weight: 600; text-anchor: middle; }
.ladder .time { fill: var(--weak); text-anchor: end; font-variant-numeric: tabular-nums; }
.ladder .lane { stroke: var(--line); stroke-width: 2; }
.ladder .step line { stroke: var(--text); stroke-width: 1.6; }
.ladder .step polygon, .ladder .step circle { fill: var(--text); }
.ladder .last line { stroke: var(--bad); stroke-width: 2.4; }
.ladder .last polygon, .ladder .last circle { fill: var(--bad); }
.ladder .last text { fill: var(--bad); font-weight: 600; }
@media (max-width: 40rem) { .against { grid-template-columns: 1fr; gap: .1rem; }
  .against dd { margin-bottom: .5rem; } }
@media print { body { max-width: none; } .failure { break-inside: avoid; } }
)css";

} // namespace test_tunnel::detail
