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

/** The nodes of `text`, with every occurrence of `doubtful` marked. Each block runs in the direction of its own script. */
export function rendered(text: string, doubtful: string[]): DocumentFragment {
  const html = marked.parse(text, { async: false });
  const fragment = DOMPurify.sanitize(html, PURIFY as never) as unknown as DocumentFragment;
  for (const block of fragment.querySelectorAll("p, blockquote, th, td, h3, h4, h5, h6"))
    block.setAttribute("dir", "auto");
  // `auto` leaves out what has a direction of its own, which is all that stands in these.
  for (const block of fragment.querySelectorAll("ul, ol, table")) {
    block.setAttribute("dir", direction(block.textContent ?? ""));
  }
  for (const link of fragment.querySelectorAll("a[href]")) {
    link.setAttribute("target", "_blank");
    link.setAttribute("rel", "noopener noreferrer nofollow");
  }
  fragment.querySelectorAll("table").forEach(framed);
  for (const claim of doubtful) markDoubtful(fragment, claim);
  return fragment;
}

/** The direction of the first letter that has one (Unicode Standard Annex 9, P2 and P3). */
function direction(text: string): "ltr" | "rtl" {
  const first = /\p{L}/u.exec(text)?.[0] ?? "";
  return /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u.test(first)
    ? "rtl"
    : "ltr";
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

/** Marks where `claim` stands as whole words. */
function markDoubtful(fragment: DocumentFragment, claim: string): void {
  if (!claim) return;
  const walker = document.createTreeWalker(fragment, NodeFilter.SHOW_TEXT);
  const texts: Text[] = [];
  while (walker.nextNode()) texts.push(walker.currentNode as Text);
  for (let text of texts.filter((text) => !text.parentElement?.closest("mark"))) {
    for (let at = indexOfWords(text.data, claim); at >= 0; at = indexOfWords(text.data, claim)) {
      const found = text.splitText(at);
      text = found.splitText(claim.length);
      const mark = document.createElement("mark");
      mark.title = "Not found in the rows";
      found.replaceWith(mark);
      mark.append(found);
    }
  }
}

function indexOfWords(text: string, words: string): number {
  const isPart = (character: string | undefined) => character !== undefined && /[\p{L}\p{N}]/u.test(character);
  for (let at = text.indexOf(words); at >= 0; at = text.indexOf(words, at + 1)) {
    if (!isPart(text[at - 1]) && !isPart(text[at + words.length])) return at;
  }
  return -1;
}
