// In place of packages that Express loads and nothing here uses, in the bundle (build.ts): whoever adds express.json(),
// or asks Express for the type of a file or of an answer (res.type, res.send, req.accepts), removes the alias.
module.exports = {};
