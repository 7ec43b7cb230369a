// A browser that believes one certificate more.

import { X509Certificate, createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';

// The argument by which Chromium believes whoever has the key of the certificate in `path`, for
// pages, sockets and relays: they all ask the same verifier.
export async function trusting(path) {
  const { publicKey } = new X509Certificate(await readFile(path));
  const key = publicKey.export({ type: 'spki', format: 'der' });
  const hash = createHash('sha256').update(key).digest('base64');
  return `--ignore-certificate-errors-spki-list=${hash}`;
}
