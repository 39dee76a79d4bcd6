var code = location.hash.slice(1);
if (code) {
  document.getElementById("token").value = code;
  history.replaceState(null, "", location.pathname);
}
