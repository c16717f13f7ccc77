const list = document.querySelector('ul');
const show = ({ text }) => list.prepend(Object.assign(document.createElement('li'), { textContent: text }));
const json = async (path) => (await fetch(path)).json();

document.querySelector('form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const body = JSON.stringify({ text: event.target.text.value });
  await fetch('/notes', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body });
  event.target.reset();
});
document.querySelector('h1').textContent = (await json('/title')).title;
for (const note of (await json('/notes')).reverse()) show(note);
new EventSource('/events').addEventListener('message', ({ data }) => show(JSON.parse(data)));
