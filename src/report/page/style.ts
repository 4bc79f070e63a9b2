import { Html } from './html.ts'

/** Sober, and the same on paper. Colours repeat what patterns and words say. */
export const STYLE = new Html(`
:root {
  --page: #ffffff; --panel: #f5f6f8; --ink: #1c2330; --soft: #5a6474; --line: #cfd5de; --link: #0b57a4;
  --kept: #3b78b8; --current: #1d4f86; --history: #7d6aa8; --expired: #b4530a; --archived: #2f7d5b; --critical: #b3261e;
  --warning: #8a5a00; --due: #2b5d8f; --paused: #8a6d1f; --bar: #3b78b8;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171c; --panel: #1d2229; --ink: #e6e9ee; --soft: #a3adba; --line: #3a424e; --link: #8ab8f0;
    --kept: #5b98d8; --current: #9cc6f5; --history: #a896d4; --expired: #f0a05a; --archived: #6cc49a; --critical: #ff8a80;
    --warning: #f0c060; --due: #8ab8f0; --paused: #d8b860; --bar: #5b98d8;
  }
}
* { box-sizing: border-box; }
html { color-scheme: light dark; scroll-behavior: auto; }
body { margin: 0 auto; max-width: 76rem; padding: 1.25rem 1.5rem 3rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; overflow-wrap: break-word; }
bdi, .facts dd { overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem; }
h3 { font-size: 1.05rem; margin: 0 0 .75rem; }
p { margin: .5rem 0; max-width: 75ch; }
a { color: var(--link); }
code { font-size: .9em; }
.place, .none, caption, figcaption, footer { color: var(--soft); }
footer { margin-top: 3rem; border-top: 1px solid var(--line); font-size: .87rem; }
.patterns { position: absolute; }

.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .6rem; margin: 1.25rem 0; }
.tiles div { background: var(--panel); border: 1px solid var(--line); border-radius: 6px; padding: .5rem .75rem;
  display: flex; flex-direction: column-reverse; }
.tiles dt { color: var(--soft); font-size: .85rem; }
.tiles dd { margin: 0; font-size: 1.3rem; font-weight: 600; white-space: nowrap; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; margin: 0; padding: 0; }

.notices { list-style: none; margin: .5rem 0; padding: 0; }
.notices li { padding: .4rem .7rem; border-left: 4px solid var(--line); background: var(--panel); margin: .3rem 0; }
.notices .critical { border-left-color: var(--critical); }
.notices .warning { border-left-color: var(--warning); }
.notices .due { border-left-color: var(--due); }
.badge { display: inline-block; font-size: .78rem; font-weight: 600; line-height: 1.4; padding: 0 .45em; border-radius: 4px;
  border: 1px solid currentColor; white-space: nowrap; }
.badge.critical { color: var(--critical); } .badge.warning { color: var(--warning); } .badge.due { color: var(--due); }

.set, .run { border: 1px solid var(--line); border-radius: 8px; padding: 1rem 1.25rem; margin: 1.25rem 0; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(24rem, 1fr)); gap: .3rem 1.5rem; margin: .75rem 0; }
.facts div { display: grid; grid-template-columns: 7rem 1fr; gap: .5rem; }
.facts dt { color: var(--soft); }
.facts dd { margin: 0; }

table { border-collapse: collapse; width: 100%; font-size: .93rem; }
table.lines { margin: .5rem 0 1.25rem; }
caption { text-align: left; padding: 0 0 .4rem; font-size: .87rem; }
th, td { text-align: left; padding: .35rem .7rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; white-space: nowrap; }
.figure { text-align: right; font-variant-numeric: tabular-nums; }
td.figure { white-space: nowrap; overflow-wrap: normal; }
time { white-space: nowrap; }
details { margin: .4rem 0; }
summary { cursor: pointer; color: var(--link); }
.scroll { overflow-x: auto; max-height: 30rem; border: 1px solid var(--line); border-radius: 6px; padding: 0 .7rem; margin: .4rem 0; }
.scroll table { overflow-wrap: normal; }
.scroll td, .scroll th { white-space: nowrap; }
.scroll thead th { position: sticky; top: 0; background: var(--page); }

figure { margin: .5rem 0; }
figcaption { font-size: .87rem; }
figcaption strong { color: var(--ink); }
svg { display: block; overflow: visible; }
svg text { font-size: 11px; fill: var(--soft); paint-order: stroke; stroke: var(--page); stroke-width: 3px; stroke-linejoin: round; }
.timeline svg text.mark { fill: var(--ink); }
.base { stroke: var(--soft); }
.bar { stroke: var(--page); stroke-width: 1; fill: var(--kept); }
.bar.current { fill: var(--current); }
.bar.history { fill: url(#p-history); }
.bar.expired, .bar.half-detached { fill: url(#p-expired); }
.bar.on-hold { fill: url(#p-held); }
.bar.ahead { fill: none; stroke: var(--kept); stroke-dasharray: 3 2; }
.archived, .bar.archived { fill: url(#p-archived); stroke: var(--archived); }
.removed, .bar.removed { fill: none; stroke: var(--soft); }
.held, .bar.held { fill: var(--expired); stroke: none; }
.cut { stroke: var(--page); stroke-width: 3; }
line.mark { stroke: var(--ink); }
line.horizon { stroke-dasharray: 5 3; }
line.runway { stroke-dasharray: 1 3; }
.f-page { fill: var(--page); } .f-history { fill: var(--history); } .f-archived { fill: var(--archived); }
.f-expired { fill: var(--expired); } .f-expired-back { fill: var(--page); } .f-paused { fill: var(--paused); }
.s-expired { stroke: var(--expired); stroke-width: 1.5; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; list-style: none; margin: .4rem 0 0; padding: 0; font-size: .85rem; color: var(--soft); }
.legend li { display: flex; align-items: center; gap: .4rem; }

.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: .75rem 2rem; margin: 1rem 0; }
.lane { min-width: 0; margin: 0; }
.latency { fill: none; stroke: var(--bar); }
.median { fill: var(--bar); }
.paused { fill: url(#p-paused); stroke: var(--paused); }
.lag, .waits { fill: var(--bar); }

@media (max-width: 40rem) {
  body { padding: 1rem .9rem 2rem; }
  .wide { display: none; }
  .tiles { grid-template-columns: repeat(auto-fit, minmax(6.2rem, 1fr)); }
  .tiles dd { font-size: 1.1rem; }
  .set, .run { padding: .8rem .8rem; }
  .facts, .charts { grid-template-columns: minmax(0, 1fr); }
  .facts div { grid-template-columns: 6rem minmax(0, 1fr); }
  table.lines, table.lines caption, table.lines tbody, table.lines tr { display: block; }
  table.lines thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  table.lines tr { border-bottom: 1px solid var(--line); padding: .45rem 0; }
  table.lines td { display: flow-root; border: 0; padding: .1rem 0 .1rem 8rem; min-height: 1.7em; text-align: left; white-space: normal; }
  table.lines td::before { content: attr(data-label); color: var(--soft); float: left; width: 7.5rem; margin-left: -8rem; }
  table.lines td:has(> .none:only-child) { display: none; }
}
@media print {
  .set, .run, figure { break-inside: avoid; }
}
`)
