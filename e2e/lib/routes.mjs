// Which way the media of a page go.

// The candidate pairs in use, one a connection: [{ local, remote }] as the statistics have them.
export const routes = (page) => page.evaluate(async () => {
  const found = [];
  for (const connection of window.__e2e.connections) {
    const stats = await connection.getStats();
    for (const transport of stats.values()) {
      if (transport.type !== 'transport' || !transport.selectedCandidatePairId) continue;
      const pair = stats.get(transport.selectedCandidatePairId);
      found.push({ local: stats.get(pair.localCandidateId), remote: stats.get(pair.remoteCandidateId) });
    }
  }
  return found;
});
