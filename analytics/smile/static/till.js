// The till asks whether the shop's computer answers before it sends a code: where it does not, nothing is taken off.
"use strict";

{
  const form = document.getElementById("till");
  const offline = document.getElementById("offline");
  let asking = false;

  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    event.stopPropagation(); // the kiosk's own script would take a second try for a double tap
    if (asking) return;
    asking = true;
    offline.hidden = true;
    try {
      const answer = await fetch("/till", { cache: "no-store", signal: AbortSignal.timeout(5000) });
      if (!answer.ok) throw new Error();
      form.submit();
    } catch {
      offline.hidden = false;
      asking = false;
    }
  });
}
