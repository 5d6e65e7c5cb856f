// What is seen. All text from others goes through textContent, so that it is
// text and nothing else.

const $ = id => document.getElementById(id);

const states = {
  connecting: ['warn', 'Connecting…'],
  connected: ['good', 'Connected'],
  disconnected: ['bad', 'Connection lost'],
  waiting: ['bad', 'Connection lost, trying again…'],
  offline: ['bad', 'Offline'],
  closed: ['bad', 'Logged out'],
  gone: ['bad', 'Room gone, reload the page'],
};

function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

export function showRoom(title, me) {
  $('door').hidden = true;
  $('room').hidden = false;
  $('title').textContent = title;
  $('me').textContent = me;
  $('text').focus();
}

export function showRefusal(text) {
  $('refused').textContent = text;
  $('refused').hidden = false;
}

export function showState(name, detail) {
  const [colour, text] = states[name];
  const node = $('state');
  node.className = colour;
  node.dataset.state = name;
  node.textContent = name === 'closed' ? `${text}: ${detail}` : text;
}

export function showEarlier(more) {
  $('earlier').hidden = !more;
}

// showMessage puts a message in its place among the others.
export function showMessage(message, at, me, bot) {
  const list = $('messages');
  const stay = atBottom();
  const time = new Date(message.timestamp);
  const own = message.from === me;
  const item = element('li', { className: own ? 'own' : '' });
  item.dataset.id = message.id;
  item.dataset.from = message.from;
  if (!own) {
    const who = element('span', { className: 'who', textContent: message.from });
    who.style.setProperty('--hue', hue(message.from));
    if (message.from === bot) who.append(element('small', { textContent: 'bot' }));
    item.append(who);
  }
  item.append(content(message), element('time', {
    dateTime: time.toISOString(),
    textContent: time.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }),
  }));
  list.insertBefore(item, list.children[at] || null);
  if (stay || own) toBottom();
}

function content(message) {
  const text = element('p', { className: 'text', textContent: message.text || '' });
  if (message.type !== -2) { // not an image
    if (message.text === undefined || message.text === null) text.textContent = '(a message of another kind)';
    return text;
  }
  const file = message.getFile();
  const image = element('img', { src: safe(file.url()), alt: file.name() || 'Picture', onload: () => toBottomIf(image) });
  const { width, height } = file.metaData() || {};
  if (width > 0 && height > 0) Object.assign(image, { width, height });
  const link = element('a', { href: image.src, target: '_blank', rel: 'noreferrer' }, image);
  return message.text ? element('div', {}, link, text) : link;
}

// safe is an address that is nothing but an address of a picture.
function safe(url) {
  return /^https?:\/\//i.test(url) ? url : '';
}

export function showOutbox(entries, retry) {
  const stay = atBottom();
  $('waiting').replaceChildren(...entries.map(entry => {
    const what = element('p', { className: 'text', textContent: entry.file ? `🖼 ${entry.file.name}` : entry.text });
    const item = element('li', { className: `own ${entry.state}` }, what);
    if (entry.state === 'failed') {
      item.append(element('button', { type: 'button', textContent: `Not sent: ${entry.error}. Try again`, onclick: () => retry(entry) }));
    } else {
      item.append(element('time', { textContent: entry.state === 'sending' ? 'sending…' : 'waiting' }));
    }
    return item;
  }));
  if (stay) toBottom();
}

// ---- scrolling

const near = 80; // pixels from the end that count as being there

function atBottom() {
  const box = $('scroll');
  return box.scrollHeight - box.scrollTop - box.clientHeight < near;
}

export function toBottom() {
  const box = $('scroll');
  box.scrollTop = box.scrollHeight;
}

// A picture without a size pushes the end down when it has loaded.
function toBottomIf(image) {
  const box = $('scroll');
  if (box.scrollHeight - box.scrollTop - box.clientHeight < near + image.height) toBottom();
}

// hue is a colour for a name.
function hue(name) {
  let sum = 0;
  for (const letter of name) sum = (sum * 31 + letter.codePointAt(0)) % 360;
  return sum;
}
