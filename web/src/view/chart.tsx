// The chart of an answer. What draws it is large, and loaded only when there is one to draw.

import { useEffect, useRef, useState } from "preact/hooks";

type Spec = Record<string, unknown>;

export function Chart({ spec }: { spec: Spec }) {
  const frame = useRef<HTMLDivElement>(null);
  const [fault, setFault] = useState("");
  const description = typeof spec.description === "string" ? spec.description : "Chart of the rows";
  useEffect(() => {
    let isHere = true;
    let end = () => {};
    const draw = async () => {
      try {
        const { drawn } = await import("../chart/draw");
        if (!isHere || !frame.current) return;
        const chart = await drawn(frame.current, spec);
        if (isHere) end = chart.end;
        else chart.end();
      } catch (cause) {
        console.warn("the chart cannot be drawn", cause);
        if (isHere) setFault("The chart cannot be drawn. Its rows are below.");
      }
    };
    void draw();
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const redraw = () => {
      end();
      void draw();
    };
    dark.addEventListener("change", redraw);
    return () => {
      isHere = false;
      dark.removeEventListener("change", redraw);
      end();
    };
  }, [spec]);
  if (fault) return <p class="quiet">{fault}</p>;
  return (
    <figure class="chart">
      <div ref={frame} role="img" aria-label={description} />
    </figure>
  );
}
