import { html, type Html } from './html.ts'
import type { PartitionState } from './seen-set.ts'

/** What can be seen in a timeline. */
export type Sign = Exclude<PartitionState, 'default'> | 'archived' | 'removed' | 'held'

const WORDS: Readonly<Record<Sign, string>> = {
  history: 'history: one partition for all earlier rows',
  kept: 'kept',
  current: 'receives rows now',
  ahead: 'ahead of now',
  expired: 'expired: retired by the next rotation',
  'on hold': 'expired, and on hold',
  'half detached': 'half detached',
  archived: 'archived and removed',
  removed: 'removed',
  held: 'range on hold',
}

export function legend(signs: readonly Sign[]): Html {
  return html`<ul class="legend">
    ${signs.map(
      (sign) =>
        html`<li>
          <svg width="16" height="12" aria-hidden="true">
            <rect class="bar ${sign.replace(' ', '-')}" width="16" height="12" /></svg
          >${WORDS[sign]}
        </li>`,
    )}
  </ul>`
}

/** The patterns by which things are told apart without colours: of all charts of a page, once. */
export const PATTERNS = html`<svg class="patterns" width="0" height="0" aria-hidden="true">
  <defs>
    <pattern id="p-expired" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
      <rect width="6" height="6" class="f-expired-back" />
      <rect width="3" height="6" class="f-expired" />
    </pattern>
    <pattern id="p-held" width="6" height="6" patternUnits="userSpaceOnUse">
      <rect width="6" height="6" class="f-expired-back" />
      <path d="M0 0L6 6M6 0L0 6" class="s-expired" />
    </pattern>
    <pattern id="p-history" width="6" height="6" patternUnits="userSpaceOnUse">
      <rect width="6" height="6" class="f-history" />
      <circle cx="3" cy="3" r="1" class="f-page" />
    </pattern>
    <pattern id="p-archived" width="4" height="4" patternUnits="userSpaceOnUse">
      <rect width="4" height="4" class="f-page" />
      <rect width="2" height="4" class="f-archived" />
    </pattern>
    <pattern id="p-paused" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)">
      <rect width="6" height="6" class="f-page" />
      <rect width="3" height="6" class="f-paused" />
    </pattern>
  </defs>
</svg>`
