// The player of a listener: shows whether the show is on air, and joins again when it is back.

const room = document.querySelector('main').dataset.room;
const player = document.getElementById('player');
const state = document.getElementById('state');
const title = document.getElementById('title');
const LOOK_MS = 5000;
let wanted = false;
let onAir;

const fresh = () => {
  player.src = `/listen/${room}.ogg?${Date.now()}`;
};

const join = () => {
  fresh();
  player.play().catch(() => {});
};

player.addEventListener('play', () => {
  wanted = true;
});

// A live stream has no place to go back to: the next press begins at the present.
player.addEventListener('pause', () => {
  if (player.ended || player.error) return;
  wanted = false;
  fresh();
});

const show = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

async function look() {
  try {
    const answer = await (await fetch(`/listen/${room}.json`, { cache: 'no-store' })).json();
    show(title, answer.title || 'Listen');
    show(state, answer.onAir ? 'On air' : 'Not on air at the moment');
    document.body.classList.toggle('on-air', answer.onAir);
    if (answer.onAir && wanted && (player.ended || player.error)) join();
    else if (answer.onAir && !onAir && !wanted) fresh();
    onAir = answer.onAir;
  } catch {
    show(state, 'The station does not answer; trying again');
    onAir = false;
  }
}

look();
setInterval(look, LOOK_MS);
