// Surfaces on canvas: quads over the grid, painted from the farthest to the nearest. Heights are 0 to 1; null is a hole.
{
  const shapes = JSON.parse(document.getElementById("surfaces").textContent);
  const TALL = 0.75; // of the longer side of the ground
  const TEXT = 12.5; // pixels on the screen
  const START = { turn: -0.9, tilt: 0.55 };

  const draw = (canvas, shape, view) => {
    const context = canvas.getContext("2d");
    const ink = getComputedStyle(canvas).color;
    const ground = getComputedStyle(document.body).backgroundColor;
    const { alphas, betas, heights, colours, marks, ticks, names } = shape;
    const [width, depth] = sides(alphas, betas);
    const scale = canvas.width * 0.5;
    const [c, s, up, down] = [Math.cos(view.turn), Math.sin(view.turn), Math.cos(view.tilt), Math.sin(view.tilt)];
    const across = (a) => ((a - alphas[0]) / (alphas.at(-1) - alphas[0]) - 0.5) * width;
    const along = (b) => ((b - betas[0]) / (betas.at(-1) - betas[0]) - 0.5) * depth;
    const place = (x, y, z) => {
      const [right, far] = [x * c - y * s, x * s + y * c];
      const high = (z - 0.5) * TALL;
      return [canvas.width / 2 + scale * right, canvas.height * 0.52 - scale * (high * up + far * down), far * up - high * down];
    };
    const points = heights.map((row, j) => row.map((z, i) => z === null ? null : place(across(alphas[i]), along(betas[j]), z)));
    const quads = [];
    for (let j = 0; j + 1 < betas.length; j++) {
      for (let i = 0; i + 1 < alphas.length; i++) {
        const corners = [points[j][i], points[j][i + 1], points[j + 1][i + 1], points[j + 1][i]];
        if (corners.some((corner) => corner === null)) continue;
        const mean = (heights[j][i] + heights[j][i + 1] + heights[j + 1][i + 1] + heights[j + 1][i]) / 4;
        quads.push({ corners, mean, far: corners.reduce((sum, corner) => sum + corner[2], 0) });
      }
    }
    quads.sort((a, b) => b.far - a.far);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.lineJoin = "round";
    frame(context, place, width, depth, ink);
    for (const { corners, mean } of quads) {
      context.beginPath();
      corners.forEach(([x, y], at) => (at ? context.lineTo(x, y) : context.moveTo(x, y)));
      context.closePath();
      context.fillStyle = colours[Math.min(colours.length - 1, Math.floor(mean * colours.length))];
      context.fill();
      context.strokeStyle = "rgb(255 255 255 / 35%)";
      context.lineWidth = 1;
      context.stroke();
    }
    context.font = `${(TEXT * canvas.width) / (canvas.clientWidth || 560)}px system-ui, sans-serif`;
    context.fillStyle = ink;
    write(context, place(0, -depth / 2 - 0.08, 0), names[0]);
    write(context, place(width / 2 + 0.08, 0, 0), names[1]);
    const [x, y] = nearestEdge(place, width, depth);
    for (const [z, text] of ticks) write(context, place(x, y, z), text, -14);
    for (const [name, alpha, beta] of marks) pin(context, place(across(alpha), along(beta), heightAt(shape, alpha, beta)), name, ink, ground);
  };

  // The ground, the longer side 1; sides of very different lengths are drawn as if they were alike.
  const sides = (alphas, betas) => {
    const [a, b] = [alphas.at(-1) - alphas[0], betas.at(-1) - betas[0]];
    const ratio = Math.min(1.6, Math.max(0.6, b / a));
    return ratio < 1 ? [1, ratio] : [1 / ratio, 1];
  };

  const frame = (context, place, width, depth, ink) => {
    const [x, y] = [width / 2, depth / 2];
    context.strokeStyle = ink;
    context.globalAlpha = 0.35;
    context.lineWidth = 1.5;
    const ground = [[-x, -y], [x, -y], [x, y], [-x, y], [-x, -y]].map(([p, q]) => place(p, q, 0));
    context.beginPath();
    ground.forEach(([u, v], at) => (at ? context.lineTo(u, v) : context.moveTo(u, v)));
    const [p, q] = nearestEdge(place, width, depth);
    context.moveTo(...place(p, q, 0).slice(0, 2));
    context.lineTo(...place(p, q, 1).slice(0, 2));
    context.stroke();
    context.globalAlpha = 1;
  };

  // The corner farthest to the left carries the scale.
  const nearestEdge = (place, width, depth) =>
    [[-1, -1], [1, -1], [1, 1], [-1, 1]]
      .map(([x, y]) => [(x * width) / 2, (y * depth) / 2])
      .sort((a, b) => place(...a, 0)[0] - place(...b, 0)[0])[0];

  const write = (context, [x, y], text, shift = 0) => {
    context.textAlign = shift < 0 ? "right" : "center";
    context.fillText(text, x + shift, y + 9);
  };

  const heightAt = ({ alphas, betas, heights }, alpha, beta) => {
    const near = (values, value) => values.reduce((best, v, at) => (Math.abs(v - value) < Math.abs(values[best] - value) ? at : best), 0);
    return heights[near(betas, beta)][near(alphas, alpha)] ?? 1;
  };

  const pin = (context, [x, y], name, ink, ground) => {
    context.beginPath();
    context.arc(x, y, 6, 0, 2 * Math.PI);
    context.fillStyle = ink;
    context.strokeStyle = ground;
    context.lineWidth = 5;
    context.textAlign = "center";
    context.stroke();
    context.fill();
    context.strokeText(name, x, y - 16);
    context.fillText(name, x, y - 16);
  };

  for (const figure of document.querySelectorAll("[data-surface]")) {
    const canvas = figure.querySelector("canvas");
    const shape = shapes[figure.dataset.surface];
    const view = { ...START };
    const again = () => draw(canvas, shape, view);
    const turn = (turned, tilted) => {
      view.turn += turned;
      view.tilt = Math.min(1.5, Math.max(0, view.tilt + tilted));
      again();
    };
    const back = () => {
      Object.assign(view, START);
      again();
    };
    let held = null;
    canvas.addEventListener("pointerdown", (event) => {
      held = [event.clientX, event.clientY];
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!held) return;
      turn((event.clientX - held[0]) / 150, (event.clientY - held[1]) / 150);
      held = [event.clientX, event.clientY];
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (held = null));
    canvas.addEventListener("keydown", (event) => {
      const moves = { ArrowLeft: [-0.12, 0], ArrowRight: [0.12, 0], ArrowUp: [0, -0.12], ArrowDown: [0, 0.12] };
      if (event.key === "Home") back();
      else if (event.key in moves) turn(...moves[event.key]);
      else return;
      event.preventDefault();
    });
    figure.querySelector(".reset").addEventListener("click", back);
    addEventListener("recoloured", again);
    new ResizeObserver(again).observe(canvas); // also when its tab is first shown
    again();
  }
}
