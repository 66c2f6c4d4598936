// A model's Markdown on the page.

import { useLayoutEffect, useRef } from "preact/hooks";
import { rendered } from "../text/markdown";

export function Markdown({ text }: { text: string }) {
  const block = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => block.current?.replaceChildren(rendered(text)), [text]);
  return <div class="markdown" ref={block} />;
}
