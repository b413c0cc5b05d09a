exports.up = function (knex) {
  return knex('readers').insert([
    { handle: 'ylva', display_name: 'Ylva Strand' },
    { handle: 'okan', display_name: 'Okan Deniz' },
    { handle: 'mira', display_name: 'Mira Falk' },
  ]);
};

exports.down = function (knex) {
  return knex('readers').whereIn('handle', ['ylva', 'okan', 'mira']).delete();
};
