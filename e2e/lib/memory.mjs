// What one page keeps in memory once the garbage is gone, by Chromium's inspector.

const MIB = 1024 * 1024;
const ROUNDS = 3; // what one collection frees lets the next one free more

// How many objects of each of these classes are left.
const WATCHED = [
  'RTCPeerConnection',
  'HTMLAudioElement',
  'AnalyserNode',
  'MediaStreamAudioSourceNode',
  'MediaStream',
  'MediaStreamTrack',
];

// Collects the garbage of `page`; returns MiB in use and the objects left by class.
export async function memoryOf(page) {
  const session = await page.context().newCDPSession(page);
  try {
    for (let round = 0; round < ROUNDS; round += 1) await session.send('HeapProfiler.collectGarbage');
    const usage = await session.send('Runtime.getHeapUsage');
    const objects = {};
    for (const name of WATCHED) objects[name] = await countOf(session, name);
    return {
      heap: usage.usedSize / MIB,
      embedder: (usage.embedderHeapUsedSize ?? 0) / MIB,
      buffers: (usage.backingStorageSize ?? 0) / MIB,
      objects,
    };
  } finally {
    await session.detach();
  }
}

async function countOf(session, name) {
  const objectGroup = 'counted';
  const prototype = await session.send('Runtime.evaluate', { expression: `${name}.prototype`, objectGroup });
  const { objects } = await session.send('Runtime.queryObjects', {
    prototypeObjectId: prototype.result.objectId,
    objectGroup,
  });
  const { result } = await session.send('Runtime.callFunctionOn', {
    objectId: objects.objectId,
    functionDeclaration: 'function () { return this.length; }',
    returnByValue: true,
  });
  await session.send('Runtime.releaseObjectGroup', { objectGroup });
  return result.value;
}
