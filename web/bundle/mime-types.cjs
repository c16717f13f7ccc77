// In place of the package of this name, in the bundle (bundle.ts): the package itself, read when it is first asked. Express
// loads it at the start, where reading its table of 2,500 types takes 15 ms, though no route asks for one.
module.exports = new Proxy({}, { get: (_, name) => require('../../node_modules/mime-types')[name] });
