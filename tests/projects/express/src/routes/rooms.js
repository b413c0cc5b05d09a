const { Router } = require('express');
const db = require('../db');
const { listNotes, listRooms, createNote } = require('../notes');

const router = Router();

router.get('/readers/:handle/rooms', async (req, res, next) => {
  try {
    const reader = await db('readers').where({ handle: req.params.handle }).first();
    if (!reader) return res.status(404).json({ error: 'no such reader' });
    res.json(await listRooms(reader.id));
  } catch (error) {
    next(error);
  }
});

router.get('/rooms/:roomId/notes', async (req, res, next) => {
  try {
    res.json(await listNotes(req.params.roomId));
  } catch (error) {
    next(error);
  }
});

router.post('/rooms/:roomId/notes', async (req, res, next) => {
  try {
    const reader = await db('readers').where({ handle: req.body.handle }).first();
    res.status(201).json(await createNote(req.params.roomId, reader, req.body.text));
  } catch (error) {
    next(error);
  }
});

module.exports = router;
