/* Snapshots of a whole instance. All of its state lies in its arena, `struct tg` included, so an
 * image of the arena is one of the instance. Pointers hold, because it is put back to the address
 * it came from; the device and code addresses in it are those of the process it was made in. */
#include "core/core.h"

size_t tg_snapshot_bytes(const struct tg *s)
{
	return arena_snapshot_bytes(s->arena);
}

size_t tg_snapshot_save(const struct tg *s, void *buf, size_t cap)
{
	return arena_snapshot_save(s->arena, buf, cap);
}

bool tg_snapshot_restore(struct tg *s, const void *buf, size_t bytes)
{
	bool restored;

	/* What comes next would not follow from what was recorded. */
	if (s->recorder)
		return false;
	restored = arena_snapshot_restore(s->arena, buf, bytes);
	/* The image may be of a time when there was a recorder. */
	if (restored)
		s->recorder = NULL;
	return restored;
}
