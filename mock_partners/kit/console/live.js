// Keeps a page up to date: asks for its parts every second and lays those that changed over the page.
// What is being typed in stays as it is, and a call whose details are open stays open.
'use strict';
const page = document.querySelector('[data-live]');
if (page) {
  const shown = {};
  const button = document.createElement('button');
  const form = document.getElementById('filters');
  let on = true;

  function asked() {
    return form ? new URLSearchParams(new FormData(form)) : '';
  }

  function tell(state, text) {
    button.className = state;
    button.innerHTML = `<i></i>${text}`;
  }

  function lay(id, html) {
    const place = document.getElementById(id);
    if (!place || shown[id] === html) return;
    const typing = place.contains(document.activeElement) && document.activeElement.matches('select, input, textarea');
    if (typing) return;
    const open = [...place.querySelectorAll('details[open]')].map((one) => one.id);
    place.innerHTML = html;
    open.forEach((one) => document.getElementById(one)?.setAttribute('open', ''));
    shown[id] = html;
  }

  async function refresh() {
    if (on && !document.hidden) {
      try {
        const reply = await fetch(`${page.dataset.live}?${asked()}`);
        const parts = await reply.json();
        Object.entries(parts).forEach(([id, html]) => lay(id, html));
        tell('on', 'live');
      } catch {
        tell('off', 'the mock does not answer');
      }
    }
    setTimeout(refresh, 1000);
  }

  button.addEventListener('click', () => {
    on = !on;
    tell(on ? 'on' : '', on ? 'live' : 'paused');
  });
  document.addEventListener('input', (event) => {
    if (form && event.target.form === form) history.replaceState(null, '', `?${asked()}`);
  });
  document.getElementById('live').append(button);
  tell('on', 'live');
  refresh();
}
