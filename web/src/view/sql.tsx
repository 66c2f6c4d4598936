// A statement with its words coloured.

import { getSegments } from "sql-highlight";

const COLORED = new Set(["keyword", "function", "number", "string", "comment", "identifier"]);

export function Sql({ text, label = "SQL" }: { text: string; label?: string }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached with the keyboard (WCAG 2.1.1).
    <section class="sql" dir="ltr" tabIndex={0} aria-label={label}>
      <pre>
        {getSegments(text).map(({ name, content }, index) =>
          COLORED.has(name) ? (
            <span key={index} class={name}>
              {content}
            </span>
          ) : (
            content
          ),
        )}
      </pre>
    </section>
  );
}
