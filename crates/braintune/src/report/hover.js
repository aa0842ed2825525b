// Values at once, beside the pointer; without this, browsers show the same titles after a moment.
(() => {
  const tip = document.createElement('div');
  tip.id = 'tip';
  tip.hidden = true;
  document.body.append(tip);
  addEventListener('pointermove', event => {
    const mark = event.target.closest?.('.panels svg *');
    const title = mark?.querySelector(':scope>title');
    if (title) {
      mark.dataset.t = title.textContent;
      title.remove();
    }
    const text = mark?.dataset.t;
    tip.hidden = !text;
    if (!text) return;
    tip.textContent = text;
    const right = event.clientX + 14 + tip.offsetWidth > innerWidth;
    tip.style.left = (right ? event.clientX - 14 - tip.offsetWidth : event.clientX + 14) + 'px';
    tip.style.top = Math.max(4, Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 4)) + 'px';
  });
})();
