// Takes the code out of the address bar at once and puts it into the form. Without this script the code is typed.
"use strict";

(() => {
  const found = location.hash.slice(1);
  if (found === "") return;
  // before anything else, so that nothing that fails later leaves the code in the address bar or the session's history
  history.replaceState(null, "", location.pathname + location.search);
  if (!/^[0-9A-Za-z-]{20,24}$/.test(found)) return;
  const field = document.getElementById("code");
  const plain = found.replaceAll("-", "").toUpperCase();
  field.value = plain.match(/.{1,4}/g).join("-");
  const hint = document.getElementById("scanned");
  hint.textContent = hint.dataset.text;
  document.querySelector("button.main").focus();
})();
