// Draws a Vega-Lite specification. The largest part of the page, so it is a chunk of its own.
//
// Vega itself and not vega-embed, which writes `innerHTML` and style elements, both of which the content security policy forbids. Expressions
// are interpreted, never compiled, for the same reason. Nothing is loaded for a chart, and no link leads out of one, whatever the specification says.

import { type Config, type Loader, parse, type Spec, type TooltipHandler, View } from "vega";
import { expressionInterpreter } from "vega-interpreter";
import { compile, type TopLevelSpec } from "vega-lite";

const refuse = () => Promise.reject(new Error("charts load nothing and link to nothing"));
const LOADER = { load: refuse, sanitize: refuse, http: refuse, file: refuse } as unknown as Loader;

/** Colours of the page as they are now: light or dark. */
function theme(frame: HTMLElement): Config {
  const color = (name: string) => {
    frame.style.color = `var(${name})`;
    const { color } = getComputedStyle(frame);
    frame.style.color = "";
    return color;
  };
  const [ink, quiet, line] = [color("--ink"), color("--quiet"), color("--line")];
  const series = Array.from({ length: 8 }, (_, index) => color(`--series-${index + 1}`));
  const font = getComputedStyle(frame).fontFamily;
  const lines = { gridColor: line, domainColor: line, tickColor: line };
  return {
    background: "transparent",
    font,
    view: { stroke: "transparent" },
    axis: {
      labelColor: quiet,
      titleColor: quiet,
      titleFontWeight: 500,
      labelFontSize: 12,
      titleFontSize: 12,
      ...lines,
    },
    legend: { labelColor: ink, titleColor: quiet, labelFontSize: 12, titleFontSize: 12 },
    title: { color: ink, fontWeight: 600, anchor: "start" },
    mark: { color: series[0] },
    range: { category: series },
  } as unknown as Config;
}

/** A chart that is drawn in `frame` until it is ended. */
export async function drawn(frame: HTMLElement, spec: Record<string, unknown>): Promise<{ end: () => void }> {
  const config = theme(frame);
  const compiled = compile(spec as unknown as TopLevelSpec, { config: config as object }).spec as Spec;
  const { tooltip, hide } = tooltips(frame);
  // Vega gives its container a role and a name of its own, which are not those of the frame.
  const container = document.createElement("div");
  frame.append(container);
  const view = new View(parse(compiled, config, { ast: true }), {
    container,
    expr: expressionInterpreter,
    hover: true,
    loader: LOADER,
    renderer: "svg",
    tooltip,
  });
  await view.runAsync();
  // A width of "container" is looked up when the window changes; the chart follows its own frame.
  const observer = new ResizeObserver(() => dispatchEvent(new Event("resize")));
  observer.observe(frame);
  const end = () => {
    observer.disconnect();
    hide();
    view.finalize();
    frame.replaceChildren();
  };
  return { end };
}

/** Tells what a mark stands for beside the pointer, as text. */
function tooltips(frame: HTMLElement): { tooltip: TooltipHandler; hide: () => void } {
  const box = document.createElement("div");
  box.className = "tooltip";
  const hide = () => box.remove();
  const tooltip: TooltipHandler = (_handler, event, _item, value: unknown) => {
    if (value === null || value === undefined || value === "") {
      hide();
      return;
    }
    const lines =
      typeof value === "object" ? Object.entries(value).map(([name, of]) => `${name}: ${String(of)}`) : [String(value)];
    box.textContent = lines.join("\n");
    frame.append(box);
    const { left, top, width } = frame.getBoundingClientRect();
    const x = Math.min(event.clientX - left + 12, width - box.offsetWidth);
    box.style.translate = `${Math.max(0, x)}px ${event.clientY - top + 12}px`;
  };
  return { tooltip, hide };
}
