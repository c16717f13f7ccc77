/** What an application may ask of Express and web does not: bundle.test.ts compares it with its own bundle. */
import express from 'express';

const app = express();
app.post('/json', express.json(), (req, res) => {
  res.send(req.body);
});
app.post('/form', express.urlencoded({ extended: true }), (req, res) => {
  res.json({ ...req.body, is: req.is('urlencoded') });
});
app.post('/text', express.text({ defaultCharset: 'latin1' }), (req, res) => {
  res.type('.md').send(String(req.body));
});
app.get('/send', (_req, res) => {
  res.send('<p>');
});
app.get('/accepts', (req, res) => {
  res.format({ html: () => res.send('<p>'), json: () => res.send({}), default: () => res.sendStatus(406) });
  res.locals.accepted = req.accepts('png', 'html');
});
app.use('/static', express.static('docs/performance'));

const server = app.listen(0, () => {
  const address = server.address();
  console.log(typeof address === 'object' && address?.port);
});
