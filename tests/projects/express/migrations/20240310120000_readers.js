exports.up = function (knex) {
  return knex.schema.createTable('readers', (table) => {
    table.uuid('id').primary().defaultTo(knex.raw('gen_random_uuid()'));
    table.string('handle', 40).notNullable().unique();
    table.string('display_name', 80).notNullable();
    table.timestamp('created_at').notNullable().defaultTo(knex.fn.now());
  });
};

exports.down = function (knex) {
  return knex.schema.dropTable('readers');
};
