const knex = require('knex');
const settings = require('../knexfile');

module.exports = knex(settings);
