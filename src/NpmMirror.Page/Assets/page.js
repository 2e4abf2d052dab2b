// What reading does not need: one key to the search and to copy, live state and live events.
'use strict';
(() => {
  const up = document.body.dataset.up;
  const inField = target => target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
  const say = text => { document.getElementById('said').textContent = text; };

  const copy = async button => {
    const text = document.getElementById(button.dataset.copy).textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Without TLS there is no clipboard interface: select the text and use the older command.
      const range = document.createRange();
      range.selectNodeContents(document.getElementById(button.dataset.copy));
      const selection = getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      if (!document.execCommand('copy')) {
        say('Selected; press Ctrl+C to copy.');
        return;
      }
    }
    say('Copied: ' + button.dataset.name);
  };

  const buttons = [...document.querySelectorAll('button[data-copy]')];
  for (const button of buttons) {
    button.hidden = false;
    button.addEventListener('click', () => copy(button));
  }

  document.addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey || inField(event.target)) {
      return;
    }
    if (event.key === '/') {
      event.preventDefault();
      document.getElementById('search').focus();
    }
    const button = buttons.find(one => one.dataset.key === event.key);
    if (button) {
      event.preventDefault();
      button.focus();
      copy(button);
    }
  });

  // Streams are open only while the page is seen: a browser opens six connections to a host and no more.
  const streams = [];
  const stream = (address, listen) => {
    const one = { address, listen, source: null };
    one.open = () => { one.close(); one.source = new EventSource(one.address()); listen(one.source); };
    one.close = () => { one.source?.close(); one.source = null; };
    streams.push(one);
    if (!document.hidden) {
      one.open();
    }
    return one;
  };
  document.addEventListener('visibilitychange', () => streams.forEach(one => document.hidden ? one.close() : one.open()));
  addEventListener('pagehide', () => streams.forEach(one => one.close()));

  const live = document.getElementById('live');
  if (live) {
    stream(() => up + 'api/sse', source => source.addEventListener('message', event => {
      const state = JSON.parse(event.data);
      live.textContent = ['', 'Working', 'Waiting', 'Trouble'][state.Status] + ': ' + state.Message;
    }));
  }

  const list = document.getElementById('events');
  if (list) {
    const rowsMax = 200;
    const form = document.getElementById('event-filter');
    form.hidden = false;
    const filter = () => new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ''));
    const events = stream(() => up + 'api/events?' + filter(), source => {
      for (const type of list.dataset.types.split(' ')) {
        source.addEventListener(type, event => {
          const told = JSON.parse(event.data);
          const row = document.createElement('li');
          const time = document.createElement('time');
          time.dateTime = told.seenAt;
          time.textContent = told.seenAt.slice(0, 19).replace('T', ' ');
          const link = document.createElement('a');
          link.href = up + 'package/' + told.package.split('/').map(encodeURIComponent).join('/');
          link.textContent = told.package;
          row.append(time, ' ', told.type, ' ', link);
          list.prepend(row);
          while (list.children.length > rowsMax) {
            list.lastElementChild.remove();
          }
        });
      }
    });
    form.addEventListener('submit', event => { event.preventDefault(); list.replaceChildren(); events.open(); say('The filter is set.'); });
  }

  // Suggestions as one types: the server's own list, in the place of the one that is shown.
  const found = document.getElementById('found');
  const search = document.getElementById('search');
  if (found) {
    let asked = 0;
    let timer = 0;
    search.addEventListener('input', () => {
      clearTimeout(timer);
      timer = setTimeout(async () => {
        const mine = ++asked;
        const answer = await fetch(up + 'packages?q=' + encodeURIComponent(search.value), { headers: { accept: 'text/html' } });
        if (!answer.ok || mine !== asked) {
          return;
        }
        const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
        found.replaceChildren(...page.getElementById('found').childNodes);
      }, 120);
    });
  }
})();
