// In place of body-parser, in the bundle (build.mjs): whoever adds express.json() removes this.
module.exports = {};
