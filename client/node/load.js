// SPDX-License-Identifier: Apache-2.0
// koffi and zeromq are the program's choice: looked for beside this package, and
// where the program itself would find them.
import { createRequire } from 'node:module';
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import path from 'node:path';

/** The module, or null. */
export function optional(name) {
  const places = [import.meta.url, path.join(process.cwd(), 'x.js')];
  if (process.argv[1]) places.push(path.resolve(process.argv[1]));
  for (const place of places) {
    try {
      return createRequire(place)(name);
    } catch {
      // Not there, or not for this machine: the next.
    }
  }
  return null;
}

/** The runtime directories to try, in the order of docs/protocol.md. */
function candidates(dir) {
  const given = dir ?? process.env.BREAKERD_DIR;
  if (given) return [given];
  const uid = process.getuid?.() ?? 0;
  const found = process.env.XDG_RUNTIME_DIR ? [path.join(process.env.XDG_RUNTIME_DIR, 'breakerd')] : [];
  return [...found, '/run/breakerd', `/tmp/breakerd-${uid}`];
}

/** Where a daemon is looked for: `{ socket }`, or `{ trouble }` in words. */
export function findSocket(dir) {
  const tried = candidates(dir);
  const uid = process.getuid?.() ?? 0;
  const place = tried.find((p) => existsSync(p) && (!p.startsWith('/tmp/breakerd-') || dir || process.env.BREAKERD_DIR || statSync(p).uid === uid));
  if (place === undefined) return { trouble: `no breakerd in ${tried.join(', ')}`, dir: tried[0] };
  const socket = path.join(place, 'worker.sock');
  if (Buffer.byteLength(socket) > 107) return { trouble: `${socket} is longer than the 107 octets of a socket's path`, dir: place };
  try {
    accessSync(socket, constants.W_OK);
  } catch (e) {
    const why = e.code === 'EACCES' ? 'permission denied: join the group of the socket (breakerd)' : 'breakerd does not run there';
    return { trouble: `${socket}: ${why}`, dir: place, socket };
  }
  return { dir: place, socket };
}
