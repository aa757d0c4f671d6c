'use strict';

// Values under the pointer. Each chart's points lie beside it as JSON: [{name, x: [...], y: [...]}, ...].
for (const plot of document.querySelectorAll('.plot')) {
  const series = JSON.parse(plot.parentElement.querySelector('script').textContent);
  const name = plot.parentElement.querySelector('.axis').textContent;
  const [low, high] = plot.dataset.x.split(' ').map(Number);
  const cursor = document.createElement('div');
  const readout = document.createElement('output');
  cursor.className = 'cursor';
  cursor.hidden = readout.hidden = true;
  plot.append(cursor, readout);

  const nearest = (xs, x) => xs.reduce((best, value, i) => Math.abs(value - x) < Math.abs(xs[best] - x) ? i : best, 0);
  const line = (title, value, colour) => {
    const row = document.createElement('div');
    const label = document.createElement('b');
    label.textContent = title;
    if (colour) label.className = colour;
    row.append(label, value);
    return row;
  };

  plot.addEventListener('pointermove', event => {
    const box = plot.getBoundingClientRect();
    const x = low + (high - low) * (event.clientX - box.left) / box.width;
    const main = series.find(each => each.x.length > 0);
    const step = main.x[nearest(main.x, x)];
    const share = (step - low) / (high - low);
    const rows = series.flatMap(
        (each, i) =>
            each.x.length === 0 ? [] : [line(each.name, each.y[nearest(each.x, step)].toPrecision(4), `series-${i}`)]);
    const shown = Number.isInteger(step) ? step.toLocaleString('en') : step.toPrecision(3);
    readout.replaceChildren(line(name, shown), ...rows);
    readout.style.left = share < 0.5 ? `calc(${100 * share}% + 0.6rem)` : '';
    readout.style.right = share < 0.5 ? '' : `calc(${100 * (1 - share)}% + 0.6rem)`;
    cursor.style.left = `${100 * share}%`;
    cursor.hidden = readout.hidden = false;
  });
  plot.addEventListener('pointerleave', () => { cursor.hidden = readout.hidden = true; });
}

// Pictures enlarge at a click, with what is drawn over them.
const zoom = document.getElementById('zoom');
for (const picture of document.querySelectorAll('.picture')) {
  picture.addEventListener('click', () => {
    zoom.replaceChildren(picture.cloneNode(true));
    zoom.showModal();
  });
}
zoom.addEventListener('click', () => zoom.close());

// Paper shows everything.
addEventListener('beforeprint', () => {
  for (const details of document.querySelectorAll('details')) details.open = true;
});

document.documentElement.dataset.ready = 'yes';
