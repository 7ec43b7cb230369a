// A mesh with nothing around it: plain JavaScript, one offerer per pair, no
// interface, no recovery. What our page is measured against.

const socket = () => new WebSocket(`ws://${location.host}/ws`);
const links = new Map();
let context;
let microphone;

function play(stream) {
  const element = new Audio();
  element.srcObject = stream;
  element.muted = true; // Chromium feeds Web Audio only if an element plays, too
  void element.play();
  context.createMediaStreamSource(stream).connect(context.destination);
  return element;
}

function link(ws, own, peer) {
  const connection = new RTCPeerConnection();
  const state = { connection };
  links.set(peer, state);
  const send = (body) => ws.send(JSON.stringify({ to: peer, ...body }));
  connection.onicecandidate = ({ candidate }) => candidate && send({ candidate });
  connection.ontrack = ({ track }) => (state.element = play(new MediaStream([track])));
  if (own > peer) {
    connection.addTrack(microphone);
    connection.onnegotiationneeded = async () => {
      await connection.setLocalDescription();
      send({ description: connection.localDescription });
    };
  }
  return state;
}

async function described(ws, { connection }, peer, description) {
  await connection.setRemoteDescription(description);
  if (description.type !== 'offer') return;
  connection.addTrack(microphone);
  await connection.setLocalDescription();
  ws.send(JSON.stringify({ to: peer, description: connection.localDescription }));
}

async function join() {
  context = new AudioContext({ sampleRate: 48000 });
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  [microphone] = stream.getAudioTracks();
  const ws = socket();
  let own;
  ws.onmessage = async ({ data }) => {
    const message = JSON.parse(data);
    if (message.you) {
      own = message.you;
      for (const peer of message.peers) link(ws, own, peer);
    } else if (message.joined) {
      link(ws, own, message.joined);
    } else if (message.left) {
      links.get(message.left)?.connection.close();
      links.delete(message.left);
    } else if (message.description) {
      await described(ws, links.get(message.from), message.from, message.description);
    } else if (message.candidate) {
      await links.get(message.from)?.connection.addIceCandidate(message.candidate);
    }
  };
}

document.getElementById('join').onclick = join;
