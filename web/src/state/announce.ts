// What is told to those who do not see the page. One live region; the last text wins, and the same text twice is told twice.

import { signal } from "@preact/signals";

export const announcement = signal({ text: "", count: 0 });

export function announce(text: string): void {
  announcement.value = { text, count: announcement.value.count + 1 };
}
