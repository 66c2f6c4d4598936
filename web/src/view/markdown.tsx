// A model's Markdown on the page.

import { useLayoutEffect, useRef } from "preact/hooks";
import { rendered } from "../text/markdown";

const NONE: string[] = [];

interface MarkdownProps {
  text: string;
  /** Numbers and names in it that no row supports. */
  doubtful?: string[];
}

export function Markdown({ text, doubtful = NONE }: MarkdownProps) {
  const block = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => block.current?.replaceChildren(rendered(text, doubtful)), [text, doubtful]);
  return <div class="markdown" ref={block} />;
}
