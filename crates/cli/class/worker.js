// One of a device's workers: a kernel, and no decision. It opens the module, or the script where the
// browser has no vectors, and then scans what the page sends:
//
//   to it    { work, first, end }          `work` as `prepare` in kernel.js takes it, with its piece
//   from it  { ready: 'module' }           or 'script'; once
//            { broken: true }              instead: this browser computes wrongly
//            { piece, hashes, seconds, hits }
'use strict';

importScripts('rounds.js', 'kernel.js');

async function open() {
  try {
    const answer = await fetch('kernel.wasm');
    const kernel = openModule(await answer.arrayBuffer());
    if (kernel.selfTest()) return [kernel, 'module'];
  } catch {
    // No vectors, or no module: the script does it, more slowly.
  }
  const kernel = openScript();
  return kernel.selfTest() ? [kernel, 'script'] : [null, null];
}

open().then(([kernel, name]) => {
  if (kernel === null) {
    postMessage({ broken: true });
    return;
  }
  let prepared = null;
  onmessage = ({ data: { work, first, end } }) => {
    if (prepared !== work.piece) {
      kernel.prepare(work);
      prepared = work.piece;
    }
    const begun = performance.now();
    const { hashes, hits } = kernel.scan(first, end);
    const seconds = (performance.now() - begun) / 1000;
    postMessage({ piece: work.piece, hashes, seconds, hits });
  };
  postMessage({ ready: name });
});
