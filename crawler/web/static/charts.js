// Draw the charts of a page. Each has its figure as JSON beside it, and a table that is open until then.
"use strict";

(() => {
  // Pixels of a character in the font of the charts, and between two names; pixels of a narrow chart,
  // and what is beside its drawing; pixels of a chart on paper, and of one that has a whole line.
  const CHARACTER = 7, GAP = 18, NARROW = 480, BESIDE = 70, ON_PAPER = 320, ACROSS = 670;

  const figures = [...document.querySelectorAll("figure.chart")].map((figure) => ({
    plot: figure.querySelector(".plot"),
    details: figure.querySelector("details"),
    ...JSON.parse(figure.querySelector("script").textContent),
  }));

  // Of the names below a chart, those that have room.
  const fitting = ({ xaxis }, width) => {
    const change = { "xaxis.nticks": width < NARROW ? 4 : 7 };
    if (!xaxis.ticktext) return change;
    const longest = Math.max(0, ...xaxis.ticktext.map((text) => text.length));
    const needed = xaxis.ticktext.length * (longest * CHARACTER + GAP);
    const every = Math.max(1, Math.ceil(needed / (width - BESIDE)));
    change["xaxis.ticktext"] = xaxis.ticktext.map((text, at) => (at % every ? "" : text));
    return change;
  };

  const draw = async ({ plot, data, layout, config }) => {
    layout.font.family = getComputedStyle(document.body).fontFamily;
    const { "xaxis.nticks": nticks, "xaxis.ticktext": ticktext } = fitting(layout, plot.clientWidth);
    const xaxis = { ...layout.xaxis, nticks, ...(ticktext ? { ticktext } : {}) };
    await Plotly.newPlot(plot, data, { ...layout, xaxis }, config);
  };

  const drawAll = async () => {
    // Nothing moves while they are drawn one after the other.
    for (const { plot, details, layout } of figures) {
      plot.style.height = `${layout.height}px`;
      details.open = false;
    }
    for (const figure of figures) {
      await draw(figure);
      // Let the page answer between two charts.
      await new Promise((resume) => setTimeout(resume));
    }
    document.documentElement.dataset.drawn = "yes";
  };

  const fit = (widthOf) => {
    for (const { plot, layout } of figures) {
      if (!plot.data) continue;
      const width = widthOf(plot);
      Plotly.relayout(plot, { ...fitting(layout, width), width });
    }
  };
  const onScreen = (plot) => plot.clientWidth;
  const onPaper = (plot) => (plot.closest(".wide") ? ACROSS : ON_PAPER);

  if (!window.Plotly) return;
  let waiting;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => fit(onScreen), 100);
  });
  window.addEventListener("beforeprint", () => fit(onPaper));
  window.addEventListener("afterprint", () => fit(onScreen));
  drawAll();
})();
