// Brings the room and what is seen together.

import { Room } from './room.js';
import { showEarlier, showMessage, showOutbox, showRefusal, showRoom, showState } from './view.js';

const $ = id => document.getElementById(id);
const remembered = 'webchat.name'; // by this tab only: two tabs are two people

let room;

async function enter(name) {
  const settings = await (await fetch('/page/room.json')).json();
  room = room || new Room(settings, {
    state: showState,
    earlier: showEarlier,
    message: (message, at) => showMessage(message, at, room.client.id, settings.bot),
    outbox: entries => showOutbox(entries, entry => room.outbox.retry(entry)),
  });
  await room.enter(name);
  sessionStorage.setItem(remembered, name);
  document.title = `${name} – ${settings.name}`;
  showRoom(settings.name, name);
}

async function tryToEnter(name) {
  const button = $('door').querySelector('button');
  button.disabled = true;
  try {
    await enter(name);
  } catch (error) {
    showRefusal(`This did not work: ${error.message}`);
  } finally {
    button.disabled = false;
  }
}

$('door').addEventListener('submit', event => {
  event.preventDefault();
  const name = $('name').value.trim();
  if (name) tryToEnter(name);
});

$('compose').addEventListener('submit', event => {
  event.preventDefault();
  const text = $('text').value.trim();
  $('text').value = '';
  if (text) room.send(text);
});

$('picture').addEventListener('change', event => {
  for (const file of event.target.files) room.sendPicture(file);
  event.target.value = ''; // the same one can be chosen again
});

$('earlier').addEventListener('click', async () => {
  $('earlier').disabled = true;
  try {
    await room.earlier();
  } catch (error) {
    console.warn('no earlier messages:', error.message); // the button stays
  } finally {
    $('earlier').disabled = false;
  }
});

const name = sessionStorage.getItem(remembered);
if (name) {
  $('name').value = name;
  tryToEnter(name);
}
