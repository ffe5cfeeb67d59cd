// The camera of the smile page: turned on by a tap, shown as a mirror, and sent as small pictures, one at a time, four a
// second at most. Pictures are made in memory and go to this kiosk only; nothing is stored, here or there.
"use strict";

// a block of its own: the kiosk's script has names of its own, too
{
  const SIDE = 384;
  const PACE_MS = 250;
  const PATIENCE_MS = 8000;
  const mirror = document.getElementById("mirror");
  const told = document.getElementById("told");
  const price = document.getElementById("price");
  const take = document.getElementById("take");
  const go = document.getElementById("go");
  const halt = document.getElementById("halt");
  const paper = document.createElement("canvas");
  paper.width = paper.height = SIDE;
  let stream = null;

  const say = (text) => {
    if (told.textContent !== text) told.textContent = text;
  };

  function stop(text) {
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = null;
    mirror.srcObject = null;
    paper.getContext("2d").clearRect(0, 0, SIDE, SIDE);
    go.hidden = false;
    halt.hidden = true;
    if (text) say(text);
  }

  // the middle square alone: whoever stands at the sides is not sent
  function picture() {
    const side = Math.min(mirror.videoWidth, mirror.videoHeight);
    const left = (mirror.videoWidth - side) / 2;
    const top = (mirror.videoHeight - side) / 2;
    paper.getContext("2d").drawImage(mirror, left, top, side, side, 0, 0, SIDE, SIDE);
    return new Promise((done) => paper.toBlob(done, "image/jpeg", 0.85));
  }

  async function look(of) {
    while (stream === of) {
      const began = performance.now();
      try {
        const body = mirror.videoWidth ? await picture() : null;
        if (stream !== of) return;
        if (body) {
          const answer = await fetch("/smile/picture", {
            method: "POST",
            body,
            headers: { "content-type": "image/jpeg", "x-csrf": document.querySelector("input[name=csrf]").value },
            cache: "no-store",
            signal: AbortSignal.timeout(PATIENCE_MS),
          });
          if (stream !== of) return;
          if (answer.status === 200) {
            const seen = await answer.json();
            price.textContent = seen.price;
            document.body.dataset.looked = seen.looked;
            document.body.dataset.seen = seen.seen;
            if (seen.worth) take.hidden = false;
            say(seen.text);
          } else if (answer.status === 403) {
            return stop((await answer.json().catch(() => ({}))).text ?? told.dataset.gone);
          } else if (answer.status === 404) {
            return stop(told.dataset.gone);
          } // too fast, too busy, or no picture yet: the next one tells
        }
      } catch {
        if (stream === of) stop(told.dataset.gone);
        return;
      }
      await new Promise((done) => setTimeout(done, Math.max(30, PACE_MS - (performance.now() - began))));
    }
  }

  go.addEventListener("click", async () => {
    go.hidden = true;
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        audio: false,
        video: { facingMode: "user", width: { ideal: 640 }, height: { ideal: 480 } },
      });
      mirror.srcObject = stream;
      await mirror.play();
    } catch {
      return stop(told.dataset.off);
    }
    halt.hidden = false;
    say(told.dataset.look);
    look(stream);
  });
  halt.addEventListener("click", () => stop(""));
  addEventListener("pagehide", () => stop(""));
  addEventListener("submit", () => stop(""));
  document.addEventListener("visibilitychange", () => document.hidden && stop(""));
  go.hidden = false;
  if (!navigator.mediaDevices?.getUserMedia) {
    go.hidden = true;
    say(told.dataset.off);
  }
}
