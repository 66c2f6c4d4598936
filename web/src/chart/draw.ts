// Draws a Vega-Lite specification. The largest part of the page, so it is a chunk of its own.
//
// Expressions are interpreted, never compiled: the content security policy forbids making code of text. Nothing is loaded for a chart, and
// no link leads out of one, whatever the specification says.

import embed, { type EmbedOptions, type VisualizationSpec } from "vega-embed";
import { expressionInterpreter } from "vega-interpreter";

const LOADER = {
  load: () => Promise.reject(new Error("charts load nothing")),
  sanitize: () => Promise.reject(new Error("charts link to nothing")),
  http: () => Promise.reject(new Error("charts load nothing")),
  file: () => Promise.reject(new Error("charts load nothing")),
};

/** Colours of the page as they are now: light or dark. */
function theme(frame: HTMLElement): object {
  const color = (name: string) => {
    frame.style.color = `var(${name})`;
    const { color } = getComputedStyle(frame);
    frame.style.color = "";
    return color;
  };
  const [ink, quiet, line] = [color("--ink"), color("--quiet"), color("--line")];
  const series = Array.from({ length: 8 }, (_, index) => color(`--series-${index + 1}`));
  return {
    background: "transparent",
    font: getComputedStyle(frame).fontFamily,
    view: { stroke: "transparent" },
    axis: {
      labelColor: quiet,
      titleColor: quiet,
      gridColor: line,
      domainColor: line,
      tickColor: line,
      titleFontWeight: 500,
    },
    legend: { labelColor: ink, titleColor: quiet },
    title: { color: ink, fontWeight: 600, anchor: "start" },
    mark: { color: series[0] },
    range: { category: series },
  };
}

/** A chart that is drawn in `frame` until it is ended. */
export async function drawn(frame: HTMLElement, spec: Record<string, unknown>): Promise<{ end: () => void }> {
  const options: EmbedOptions = {
    actions: false,
    ast: true,
    expr: expressionInterpreter as NonNullable<EmbedOptions["expr"]>,
    config: theme(frame) as NonNullable<EmbedOptions["config"]>,
    defaultStyle: false,
    loader: LOADER as NonNullable<EmbedOptions["loader"]>,
    renderer: "svg",
    tooltip: false,
  };
  const result = await embed(frame, spec as unknown as VisualizationSpec, options);
  return { end: () => result.finalize() };
}
