"use strict";

const part = (id) => document.getElementById(id);
const say = (text) => { part("status").textContent = text; };

part("key").value = sessionStorage.getItem("key") ?? "";
part("key").addEventListener("input", () => sessionStorage.setItem("key", part("key").value.trim()));
part("file").addEventListener("change", () => show(part("file").files[0]));
part("drop").addEventListener("dragover", (event) => { event.preventDefault(); part("drop").classList.add("over"); });
part("drop").addEventListener("dragleave", () => part("drop").classList.remove("over"));
part("drop").addEventListener("drop", (event) => {
  event.preventDefault();
  part("drop").classList.remove("over");
  show(event.dataTransfer.files[0]);
});

async function show(file) {
  if (!file) return;
  part("result").hidden = true;
  try {
    say(`Uploading ${file.name} …`);
    const uploaded = await ask("/upload", { method: "POST", body: file });
    const { image_id: id } = await uploaded.json();
    say("Processing …");
    const picture = await finished(id);
    const row = await (await ask(`/get-image-metadata/${id}`)).json();
    if (part("picture").src) URL.revokeObjectURL(part("picture").src);
    part("picture").src = part("save").href = URL.createObjectURL(await picture.blob());
    part("save").download = id;
    part("row").textContent = JSON.stringify(row, null, 2);
    part("result").hidden = false;
    say(`Done: ${id}`);
  } catch (error) {
    say(error.message);
  }
}

async function finished(id) {
  for (;;) {
    const answer = await fetch(`/get-processed-image/${id}?wait=20`, { headers: headers() });
    if (answer.ok) return answer;
    const problem = await answer.json();
    if (problem.code !== "not_ready") throw new Error(problem.message);
  }
}

async function ask(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: headers() });
  if (!answer.ok) throw new Error((await answer.json()).message);
  return answer;
}

function headers() {
  return { "x-api-key": part("key").value.trim(), accept: "*/*" };
}
