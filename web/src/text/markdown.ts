// Markdown to nodes of the page. The text is a model's, and may repeat what stands in rows: no HTML in it is taken as such, nothing is
// loaded for it, and its links lead to http and https alone.

import DOMPurify from "dompurify";
import { Marked } from "marked";

/** Headings of an answer stand below the question's, which is an h2. */
const ABOVE = 2;

const marked = new Marked({
  gfm: true,
  renderer: {
    html: ({ text }) => escaped(text),
    image: ({ text, href }) => escaped(text || href),
    heading({ tokens, depth }) {
      const level = Math.min(6, depth + ABOVE);
      return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>`;
    },
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

const BLOCKS = [
  "p",
  "ul",
  "ol",
  "li",
  "blockquote",
  "table",
  "thead",
  "tbody",
  "tr",
  "th",
  "td",
  "h3",
  "h4",
  "h5",
  "h6",
];
const PURIFY = {
  ALLOWED_TAGS: [...BLOCKS, "br", "hr", "strong", "em", "del", "code", "pre", "a"],
  ALLOWED_ATTR: ["href", "align", "start"],
  ALLOWED_URI_REGEXP: /^https?:\/\//i,
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
} as const;

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** The nodes of `text`. Each block runs in the direction of its own script. */
export function rendered(text: string): DocumentFragment {
  const html = marked.parse(text, { async: false });
  const fragment = DOMPurify.sanitize(html, PURIFY as never) as unknown as DocumentFragment;
  for (const block of fragment.querySelectorAll("p, ul, ol, li, blockquote, table, th, td, h3, h4, h5, h6")) {
    block.setAttribute("dir", "auto");
  }
  for (const link of fragment.querySelectorAll("a[href]")) {
    link.setAttribute("target", "_blank");
    link.setAttribute("rel", "noopener noreferrer nofollow");
  }
  fragment.querySelectorAll("table").forEach(framed);
  return fragment;
}

/** A table that is too wide scrolls by itself, with the keyboard too. */
function framed(table: Element): void {
  const frame = document.createElement("div");
  frame.className = "frame";
  frame.tabIndex = 0;
  frame.setAttribute("role", "region");
  frame.setAttribute("aria-label", "Table of the answer");
  table.replaceWith(frame);
  frame.append(table);
}
