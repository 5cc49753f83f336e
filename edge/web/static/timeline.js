// The day as a chart, drawn from the table below it, and drawn again when something was done.
"use strict";

(() => {
  const chart = document.getElementById("chart");
  const table = document.getElementById("lived");
  if (!chart || !table || !window.uPlot) return;
  const marks = ["usual", "quiet", "told"];
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  function data() {
    const rows = [...table.tBodies[0].rows].filter((row) => row.dataset.score !== "").reverse();
    const times = rows.map((row) => Number(row.dataset.t));
    return [times, ...marks.map((mark) => rows.map((row) => (row.classList.contains(mark) ? Number(row.dataset.score) : null)))];
  }

  // Each kind has its own shape: color alone tells some people nothing.
  function points(shape) {
    return (plot, series) => {
      const { ctx } = plot;
      const size = 4 * devicePixelRatio;
      ctx.save();
      ctx.fillStyle = color(marks[series - 1]);
      plot.data[series].forEach((value, index) => {
        if (value === null) return;
        const x = plot.valToPos(plot.data[0][index], "x", true);
        const y = plot.valToPos(Math.min(value, plot.scales.y.max), "y", true);
        ctx.beginPath();
        shape(ctx, x, y, size);
        ctx.fill();
      });
      ctx.restore();
      return null;
    };
  }
  const circle = (ctx, x, y, size) => ctx.arc(x, y, size * 0.8, 0, 2 * Math.PI);
  const diamond = (ctx, x, y, size) => [[0, -1.4], [1.4, 0], [0, 1.4], [-1.4, 0]].forEach(([dx, dy]) => ctx.lineTo(x + dx * size, y + dy * size));
  const triangle = (ctx, x, y, size) => [[0, -1.5], [1.5, 1.2], [-1.5, 1.2]].forEach(([dx, dy]) => ctx.lineTo(x + dx * size, y + dy * size));

  function limit(plot) {
    const { ctx, bbox } = plot;
    const y = plot.valToPos(1, "y", true);
    ctx.save();
    ctx.strokeStyle = color("edge");
    ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.fillStyle = color("soft");
    ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textAlign = "left";
    ctx.fillText(chart.dataset.limit, bbox.left + 5 * devicePixelRatio, y - 5 * devicePixelRatio);
    ctx.restore();
  }

  let plot = null;
  function draw() {
    const values = data();
    chart.hidden = values[0].length === 0;
    if (chart.hidden) return;
    plot?.destroy();
    const highest = Math.max(1.25, ...values.slice(1).flat().filter((value) => value !== null));
    const start = Number(chart.dataset.start);
    const hours = chart.dataset.hours.trim().split(" ").map((each) => each.split("="));
    const axis = { stroke: color("soft"), grid: { stroke: color("line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    plot = new window.uPlot({
      width: chart.clientWidth,
      height: chart.clientHeight,
      legend: { show: false },
      cursor: { show: false },
      scales: {
        x: { time: false, range: () => [start, Number(chart.dataset.end)] },
        y: { range: () => [0, Math.min(3, highest * 1.08)] },
      },
      axes: [
        { ...axis, size: 28, splits: () => hours.map(([moment]) => Number(moment)), values: () => hours.map(([, name]) => name) },
        { ...axis, size: 42 },
      ],
      series: [{}, ...[circle, diamond, triangle].map((shape) => ({ paths: () => null, points: { show: points(shape) } }))],
      hooks: { drawAxes: [limit] },
    }, values, chart);
  }

  draw();
  document.addEventListener("renewed", draw);
  new ResizeObserver(() => plot?.setSize({ width: chart.clientWidth, height: chart.clientHeight })).observe(chart);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
